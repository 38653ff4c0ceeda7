//! A curl command. Invariant: an option that changes what is sent is followed or refused, never passed over.

mod data;
mod form;
mod step;
pub(super) mod words;

pub(super) use self::step::cookies;
use self::{
    data::{encoded, read},
    words::Word,
};
use super::{
    ImportError,
    draft::{Draft, Part, add_header, is_known},
    shell,
};

/// Options that change nothing that a scenario sends: alone, and with a value.
const IDLE: [&str; 32] = [
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
    "-q",
    "--disable",
    "-O",
    "--remote-name",
    "--basic",
    "-4",
    "--ipv4",
    "-6",
    "--ipv6",
    "--location-trusted",
];
const IDLE_WITH_VALUE: [&str; 13] = [
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-c",
    "--cookie-jar",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "--connect-timeout",
    "-D",
    "--dump-header",
    "--max-redirs",
];
/// Short options with a value, which may follow without a space.
const SHORT_WITH_VALUE: &str = "XHdubAemowcDxETFr";

/// What the options come to.
#[derive(Default)]
struct Command {
    method: Option<String>,
    url: Option<Word>,
    headers: Vec<(String, String)>,
    /// Headers of curl's own that the command takes out.
    removed: Vec<String>,
    cookies: Vec<String>,
    data: Vec<String>,
    is_compressed: bool,
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
    /// Variables of the shell.
    shell: Vec<String>,
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
    command.shell = queue.iter().flat_map(|word| shell::names(&word.text)).map(str::to_owned).collect();
    command.shell.reverse();
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
    const LONG: [&str; 24] = [
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
        "--form-string",
        "--oauth2-bearer",
        "--range",
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
            "--compressed" => self.is_compressed = true,
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
            "-H" | "--header" => self.header(value)?,
            "-A" | "--user-agent" => self.set("user-agent", text),
            // What follows is of the redirects.
            "-e" | "--referer" => self.set("referer", text.trim_end_matches(";auto")),
            "-r" | "--range" => self.set("range", &format!("bytes={text}")),
            "--oauth2-bearer" => self.set("authorization", &format!("Bearer {text}")),
            "-b" | "--cookie" if text.contains('=') => self.cookies.push(text.to_owned()),
            "-b" | "--cookie" => return Err(value.error("a file of cookies; give them as name=value")),
            "-d" | "--data" | "--data-ascii" => self.data.push(read(value, true)?),
            "--data-raw" => self.data.push(text.to_owned()),
            "--data-binary" => self.data.push(read(value, false)?),
            "--data-urlencode" => self.data.push(encoded(value)?),
            "--json" => {
                let more = read(value, false)?;
                match self.data.last_mut().filter(|_| self.has_json) {
                    Some(data) => data.push_str(&more),
                    None => self.data.push(more),
                }
                self.has_json = true;
            }
            "-u" | "--user" => self.user = Some(text.to_owned()),
            "-F" | "--form" => self.parts.push(form::part(value)?),
            "--form-string" => self.parts.push(form::text(value)?),
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

    /// `Name: value`; `Name:` takes a header of curl's own out, and `Name;` has no value.
    fn header(&mut self, word: &Word) -> Result<(), ImportError> {
        if word.text.starts_with('@') {
            return Err(word.error("a file of headers; give them as 'Name: value'"));
        }
        let Some((name, value)) = word.text.split_once(':') else {
            if let Some(name) = word.text.strip_suffix(';') {
                self.add(&name.trim().to_ascii_lowercase(), "");
            }
            return Ok(());
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        match name.as_str() {
            _ if value.is_empty() => self.removed.push(name),
            "host" => {
                self.notes.push(format!("the header host: {value} is left out; the target says where to"));
            }
            "content-length" | "connection" => {}
            _ => self.add(&name, value),
        }
        Ok(())
    }

    /// Adds a header; of some, the last counts.
    fn add(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(n, _)| n == name) {
            Some((_, known))
                if matches!(name, "content-type" | "authorization" | "user-agent" | "referer") =>
            {
                value.clone_into(known);
            }
            _ => add_header(&mut self.headers, name, value),
        }
    }

    /// Sets a header that an option stands for; a header of its name comes before it.
    fn set(&mut self, name: &str, value: &str) {
        if !value.is_empty() && !self.headers.iter().any(|(n, _)| n == name) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }
}
