//! A curl command. Invariant: an option that changes what is sent is followed or refused, never passed over.

pub(super) mod words;

use assay_text::secret::{REDACTED, redact_url};
use base64::Engine as _;

use self::words::Word;
use super::{
    ImportError,
    draft::{Draft, DraftBody, DraftStep, Part, is_known, literal, slug},
};

/// Options that change nothing that a scenario sends: alone, and with a value.
const IDLE: [&str; 22] = [
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-v",
    "--verbose",
    "-i",
    "--include",
    "-L",
    "--location",
    "-f",
    "--fail",
    "--fail-with-body",
    "-N",
    "--no-buffer",
    "-#",
    "--progress-bar",
    "-g",
    "--globoff",
    "--http1.1",
    "--tcp-nodelay",
    "--no-progress-meter",
];
const IDLE_WITH_VALUE: [&str; 12] = [
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-c",
    "--cookie-jar",
    "--retry",
    "--retry-delay",
    "--connect-timeout",
    "-D",
    "--dump-header",
    "--max-redirs",
];
/// Short options with a value, which may follow without a space.
const SHORT_WITH_VALUE: &str = "XHdubAemowcDxETF";

/// What the options come to.
#[derive(Default)]
struct Command {
    method: Option<String>,
    url: Option<Word>,
    headers: Vec<(String, String)>,
    data: Vec<String>,
    parts: Vec<(String, Part)>,
    has_json: bool,
    is_get: bool,
    is_head: bool,
    user: Option<String>,
    timeout_ms: Option<u64>,
    http2: bool,
    tls: Vec<(&'static str, String)>,
    routes: Vec<String>,
    socket: Option<String>,
    notes: Vec<String>,
}

/// The scenario of a command.
pub(super) fn draft(words: &[Word]) -> Result<Draft, ImportError> {
    let mut command = Command::default();
    let mut words = words.iter();
    match words.next() {
        Some(first) if first.text == "curl" || first.text.ends_with("/curl") => {}
        Some(other) => {
            return Err(
                other.error(&format!("expected a command that begins with curl, found {:?}", other.text))
            );
        }
        None => {
            return Err(ImportError(
                "curl:1:1: there is no command; give one such as 'curl http://127.0.0.1:8000/'".to_owned(),
            ));
        }
    }
    let mut queue: Vec<Word> = words.rev().cloned().collect();
    while let Some(word) = queue.pop() {
        if let Some((name, value)) =
            word.text.split_once('=').filter(|(n, _)| n.starts_with("--") && takes_value(n))
        {
            queue.push(Word { text: value.to_owned(), at: word.at });
            command.option(&Word { text: name.to_owned(), at: word.at }, &mut queue)?;
        } else if is_cluster(&word.text) {
            split_cluster(&word, &mut queue);
        } else if word.text.starts_with('-') && word.text.len() > 1 {
            command.option(&word, &mut queue)?;
        } else if let Some(url) = &command.url {
            return Err(
                word.error(&format!("a second URL next to {:?}; import one request at a time", url.text))
            );
        } else {
            command.url = Some(word);
        }
    }
    command.draft()
}

/// `-sSL`, `-XPOST`: short options in one word.
fn is_cluster(text: &str) -> bool {
    text.chars().nth(2).is_some() && text.starts_with('-') && !text.starts_with("--")
}

fn split_cluster(word: &Word, queue: &mut Vec<Word>) {
    let mut rest = word.text[1..].chars();
    let mut parts = Vec::new();
    while let Some(c) = rest.next() {
        parts.push(format!("-{c}"));
        if SHORT_WITH_VALUE.contains(c) && !rest.as_str().is_empty() {
            parts.push(rest.as_str().to_owned());
            break;
        }
    }
    queue.extend(parts.into_iter().rev().map(|text| Word { text, at: word.at }));
}

fn takes_value(name: &str) -> bool {
    const LONG: [&str; 21] = [
        "--request",
        "--header",
        "--data",
        "--data-raw",
        "--data-ascii",
        "--data-binary",
        "--data-urlencode",
        "--json",
        "--user",
        "--cookie",
        "--user-agent",
        "--referer",
        "--max-time",
        "--url",
        "--cacert",
        "--cert",
        "--key",
        "--form",
        "--proxy",
        "--resolve",
        "--unix-socket",
    ];
    LONG.contains(&name) || IDLE_WITH_VALUE.contains(&name)
}

impl Command {
    fn option(&mut self, word: &Word, queue: &mut Vec<Word>) -> Result<(), ImportError> {
        let name = word.text.as_str();
        if IDLE.contains(&name) {
            return Ok(());
        }
        match name {
            "-G" | "--get" => self.is_get = true,
            "-I" | "--head" => self.is_head = true,
            "--http2" | "--http2-prior-knowledge" => self.http2 = true,
            "--compressed" => self.header("accept-encoding: deflate, gzip, br, zstd"),
            "-k" | "--insecure" => self.tls.push(("insecure", "true".to_owned())),
            _ => {
                let Some(value) = queue.pop() else {
                    return Err(word.error(&format!("the option {name} lacks its value, or is not known")));
                };
                self.option_with_value(word, &value)?;
            }
        }
        Ok(())
    }

    fn option_with_value(&mut self, word: &Word, value: &Word) -> Result<(), ImportError> {
        let (name, text) = (word.text.as_str(), value.text.as_str());
        match name {
            "-X" | "--request" => {
                let method = text.to_ascii_uppercase();
                if !is_known(&method) {
                    return Err(value.error(&format!("a step cannot have the method {text:?}")));
                }
                self.method = Some(method);
            }
            "-H" | "--header" => self.header(text),
            "-A" | "--user-agent" => self.header(&format!("user-agent: {text}")),
            "-e" | "--referer" => self.header(&format!("referer: {text}")),
            "-b" | "--cookie" if text.contains('=') => self.header(&format!("cookie: {text}")),
            "-b" | "--cookie" => return Err(value.error("a file of cookies; give them as name=value")),
            "-d" | "--data" | "--data-ascii" => self.data.push(read(value, true)?),
            "--data-raw" => self.data.push(text.to_owned()),
            "--data-binary" => self.data.push(read(value, false)?),
            "--data-urlencode" => self.data.push(encoded(text)),
            "--json" => {
                self.data.push(read(value, false)?);
                self.has_json = true;
            }
            "-u" | "--user" => self.user = Some(text.to_owned()),
            "-F" | "--form" => self.part(value)?,
            "-m" | "--max-time" => {
                let seconds = text.parse::<f64>().ok().filter(|s| *s > 0.0 && *s < 1e6);
                let seconds = seconds.ok_or_else(|| value.error("expected a number of seconds"))?;
                self.timeout_ms = Some((seconds * 1e3) as u64);
            }
            "--url" => self.url = Some(value.clone()),
            "--resolve" => {
                let text = text.strip_prefix('+').unwrap_or(text);
                text.parse::<crate::client::route::Route>().map_err(|e| value.error(&e.to_string()))?;
                self.routes.push(text.to_owned());
            }
            "--unix-socket" => self.socket = Some(text.to_owned()),
            "--cacert" => self.tls.push(("ca", text.to_owned())),
            // The file's password is behind a colon.
            "-E" | "--cert" => {
                let (file, password) = text.split_once(':').map_or((text, None), |(f, p)| (f, Some(p)));
                if password.is_some() {
                    self.notes
                        .push("a key with a password is not read; take the password off its file".to_owned());
                }
                self.tls.push(("cert", file.to_owned()));
            }
            "--key" => self.tls.push(("key", text.to_owned())),
            _ if IDLE_WITH_VALUE.contains(&name) => {}
            _ => {
                return Err(word.error(&format!(
                    "a scenario cannot follow the option {name}; take it out of the command"
                )));
            }
        }
        Ok(())
    }

    /// `name=text`, `name=@file` or `name=<file`, with `;type=` behind.
    fn part(&mut self, word: &Word) -> Result<(), ImportError> {
        let Some((name, value)) = word.text.split_once('=').filter(|(n, _)| !n.is_empty()) else {
            return Err(word.error("expected a part of a form such as name=text or name=@file"));
        };
        let (value, kind) = match value.split_once(";type=") {
            Some((value, kind)) => (value, Some(kind.to_owned())),
            None => (value, None),
        };
        let part = match value.strip_prefix('@') {
            Some(path) => Part::File { path: path.to_owned(), kind },
            None => match value.strip_prefix('<') {
                Some(path) => Part::Text(read(&Word { text: format!("@{path}"), at: word.at }, false)?),
                None => Part::Text(value.to_owned()),
            },
        };
        if self.parts.iter().any(|(n, _)| n == name) {
            return Err(
                word.error(&format!("a second part {name:?}; a scenario's form has one of each name"))
            );
        }
        self.parts.push((name.to_owned(), part));
        Ok(())
    }

    fn header(&mut self, line: &str) {
        // `Name:` takes a header of curl's own out, which a load does not send anyway.
        let Some((name, value)) = line.split_once(':').filter(|(_, v)| !v.trim().is_empty()) else { return };
        let name = name.trim().to_ascii_lowercase();
        if ["host", "content-length", "connection"].contains(&name.as_str()) {
            if name == "host" {
                self.notes
                    .push(format!("the header host: {} is left out; the target says where to", value.trim()));
            }
            return;
        }
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.trim().to_owned()));
    }

    fn draft(mut self) -> Result<Draft, ImportError> {
        let Some(word) = self.url.take() else {
            return Err(ImportError("curl:1:1: the command has no URL".to_owned()));
        };
        let text =
            if word.text.contains("://") { word.text.clone() } else { format!("http://{}", word.text) };
        let mut url =
            url::Url::parse(&text).map_err(|e| word.error(&format!("{:?} is not a URL: {e}", word.text)))?;
        let origin = crate::client::origin::Origin::of(&url).map_err(|e| word.error(&e.to_string()))?;
        self.user = self.user.take().or_else(|| crate::client::origin::user(&url));
        let body = self.data.join("&");
        let has_body = !self.data.is_empty() && !self.is_get;
        if self.is_get && !body.is_empty() {
            let query = url.query().map_or_else(|| body.clone(), |q| format!("{q}&{body}"));
            url.set_query(Some(&query));
        }
        self.pair_keys();
        // Whatever the host is called, the socket is where it is.
        self.routes
            .extend(self.socket.take().map(|path| format!("{}:{}:unix:{path}", origin.host, origin.port)));
        let mut draft = Draft {
            name: slug(&origin.host),
            origin: "a curl command".to_owned(),
            target: Some(origin.to_string()),
            tls: std::mem::take(&mut self.tls),
            routes: std::mem::take(&mut self.routes),
            http2: self.http2,
            notes: std::mem::take(&mut self.notes),
            ..Draft::default()
        };
        let step = self.step(&mut draft, &url, has_body.then_some(body));
        draft.push(step);
        Ok(draft)
    }

    /// A certificate's file has its key in it where curl is given none; each option counts once, the last time.
    fn pair_keys(&mut self) {
        let last = |tls: &[(&str, String)], name| {
            tls.iter().rfind(|(n, _)| *n == name).map(|(_, file)| file.clone())
        };
        let (ca, cert, key) = (last(&self.tls, "ca"), last(&self.tls, "cert"), last(&self.tls, "key"));
        if cert.is_none() && key.is_some() {
            self.notes.push("--key is left out: there is no --cert that it belongs to".to_owned());
        }
        let key = cert.as_ref().map(|cert| key.unwrap_or_else(|| cert.clone()));
        let insecure = last(&self.tls, "insecure");
        let ca = ca.filter(|_| insecure.is_none());
        let found = [("insecure", insecure), ("ca", ca), ("cert", cert), ("key", key)];
        self.tls = found.into_iter().filter_map(|(name, file)| Some((name, file?))).collect();
    }

    fn step(mut self, draft: &mut Draft, url: &url::Url, body: Option<String>) -> DraftStep {
        let has_parts = !self.parts.is_empty();
        let implied = if self.is_head {
            "HEAD"
        } else if body.is_some() || has_parts {
            "POST"
        } else {
            "GET"
        };
        let method = self.method.take().unwrap_or_else(|| implied.to_owned());
        let mut step = DraftStep {
            name: format!("{method} {}", redact_url(url.path(), REDACTED)),
            method,
            ..DraftStep::default()
        };
        step.timeout_ms = self.timeout_ms;
        draft.locate(&mut step, url);
        let has = |headers: &[(String, String)], name: &str| headers.iter().any(|(n, _)| n == name);
        if body.is_some() && !has(&self.headers, "content-type") {
            let kind = if self.has_json { "application/json" } else { "application/x-www-form-urlencoded" };
            self.headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        if self.has_json && !has(&self.headers, "accept") {
            self.headers.push(("accept".to_owned(), "application/json".to_owned()));
        }
        if let Some(user) = self.user.filter(|_| !has(&self.headers, "authorization")) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(user);
            self.headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
            draft.notes.push("AUTHORIZATION is base64 of user:password".to_owned());
        }
        step.body = match body {
            Some(text) => draft.body(&mut self.headers, &text),
            None if has_parts => draft.parts(&step.name, self.parts),
            None => DraftBody::None,
        };
        let secrets = &mut draft.secrets;
        step.headers = self
            .headers
            .into_iter()
            .map(|(n, v)| {
                let text = if n == "cookie" { cookies(secrets, &v) } else { secrets.header(&n, &v) };
                (n, text)
            })
            .collect();
        step
    }
}

/// Every cookie's value is taken for a secret.
pub(super) fn cookies(secrets: &mut super::secrets::Secrets, value: &str) -> String {
    let parts = value.split(';').map(str::trim).filter(|p| !p.is_empty());
    let parts: Vec<_> = parts
        .map(|part| match part.split_once('=') {
            Some((name, value)) if !value.is_empty() => {
                format!("{}={}", literal(name), secrets.template(&format!("cookie-{name}"), value))
            }
            _ => literal(part),
        })
        .collect();
    parts.join("; ")
}

/// A value that may name a file; of a text file curl drops the line ends.
fn read(word: &Word, is_text: bool) -> Result<String, ImportError> {
    let Some(path) = word.text.strip_prefix('@') else { return Ok(word.text.clone()) };
    let text = std::fs::read_to_string(path).map_err(|e| word.error(&format!("{path}: {e}")))?;
    Ok(if is_text { text.replace(['\r', '\n'], "") } else { text })
}

/// `name=content` or `content`, encoded.
fn encoded(text: &str) -> String {
    let encode = |t: &str| url::form_urlencoded::byte_serialize(t.as_bytes()).collect::<String>();
    match text.split_once('=') {
        Some(("", content)) => encode(content),
        Some((name, content)) => format!("{name}={}", encode(content)),
        None => encode(text),
    }
}
