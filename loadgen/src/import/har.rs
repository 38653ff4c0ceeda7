//! HAR files (HTTP Archive 1.2). Invariant: requests keep their order, and the pauses between them become think
//! times; what goes to another origin than the first request is left out and counted.

use assay_text::{
    counted,
    secret::{REDACTED, redact_url},
};
use base64::Engine as _;
use serde::{Deserialize, Deserializer};

use super::{
    ImportError,
    curl::cookies,
    draft::{Content, Draft, DraftBody, DraftStep, Part, add_header, is_known, literal, slug},
    written::target_of,
};

/// Shorter pauses are the browser's own, not the user's.
const LEAST_PAUSE_MS: i64 = 200;
/// Headers that the client makes itself, that belong to one connection, that tell of a browser's cache, or that tell
/// who the browser is.
const LEFT_OUT: [&str; 14] = [
    "host",
    "content-length",
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "if-none-match",
    "if-modified-since",
    "expect",
    "trailer",
    "cookie",
    "x-client-data",
];

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    time: Option<f64>,
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default, deserialize_with = "or_default")]
    status: i64,
    #[serde(default, deserialize_with = "or_default")]
    headers: Vec<Pair>,
    content: Option<Answer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default, deserialize_with = "or_default")]
    mime_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default, deserialize_with = "or_default")]
    mime_type: String,
    #[serde(default, deserialize_with = "or_default")]
    text: String,
    /// `base64` for what is no text.
    #[serde(default, deserialize_with = "or_default", alias = "_encoding")]
    encoding: String,
    #[serde(default, deserialize_with = "or_default")]
    params: Vec<Pair>,
}

/// A value, or what is there without it where a browser writes null.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pair {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    value: String,
    /// The name of a file, of a part that was one.
    #[serde(default, deserialize_with = "or_default")]
    file_name: String,
    /// The type of a part.
    #[serde(default, deserialize_with = "or_default")]
    content_type: String,
}

/// The scenario of a file.
pub(super) fn draft(file: &str, text: &str, all_origins: bool) -> Result<Draft, ImportError> {
    let text = text.trim_start_matches('\u{feff}');
    let har: Har = serde_json::from_str(text).map_err(|e| {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        ImportError(format!("{file}:{}:{}: not a HAR file: {message}", e.line(), e.column()))
    })?;
    let mut draft = Draft { origin: format!("the HAR file {file}"), ..Draft::default() };
    let mut state = State { all_origins, ..State::default() };
    let mut entries = Vec::new();
    for (i, entry) in har.log.entries.into_iter().enumerate() {
        let place = |what: &str| ImportError(format!("{file}: entry {}: {what}", i + 1));
        let start = assay_run::time::parse(&entry.started_date_time).ok_or_else(|| {
            place(&format!(
                "startedDateTime is {:?}, expected a time such as 2026-11-25T14:00:00Z",
                entry.started_date_time
            ))
        })?;
        let url = url::Url::parse(&entry.request.url)
            .map_err(|e| place(&format!("the URL {:?}: {e}", entry.request.url)))?;
        entries.push((start, url, entry));
    }
    // Browsers write entries as they end; a user makes them as they begin.
    entries.sort_by_key(|(start, ..)| *start);
    for (start_ms, url, entry) in entries {
        state.take(&mut draft, start_ms, &url, entry);
    }
    for (n, what, more) in [
        (state.elsewhere, "to other origins", " (add --all-origins to keep them)"),
        (state.unanswered, "without a response", ""),
        (state.unknown, "with a method that a step cannot have", ""),
    ] {
        if n > 0 {
            draft.notes.push(format!("left out: {} {what}{more}", counted(n, "request")));
        }
    }
    if draft.steps.is_empty() {
        return Err(ImportError(format!("{file}: there is no request that can be repeated")));
    }
    Ok(draft)
}

#[derive(Default)]
struct State {
    /// Whether requests to other origins than the first are taken, too.
    all_origins: bool,
    /// When the last of the requests so far ended.
    end_ms: Option<i64>,
    /// Cookies that the server set, which users keep themselves.
    set: Vec<String>,
    elsewhere: u64,
    unanswered: u64,
    unknown: u64,
}

impl State {
    fn take(&mut self, draft: &mut Draft, start_ms: i64, url: &url::Url, entry: Entry) {
        let Ok(origin) = crate::client::origin::Origin::of(url) else {
            self.elsewhere += 1;
            return;
        };
        let method = entry.request.method.to_ascii_uppercase();
        let is_elsewhere = draft.target.as_ref().is_some_and(|t| *t != origin.to_string());
        if is_elsewhere && !self.all_origins {
            self.elsewhere += 1;
        } else if entry.response.status <= 0 {
            self.unanswered += 1;
        } else if !is_known(&method) {
            self.unknown += 1;
        } else {
            if draft.target.is_none() {
                draft.name = slug(&origin.host);
                draft.target = Some(origin.to_string());
            }
            let mut step = self.step(draft, url, method, entry.request, &entry.response);
            if is_elsewhere {
                step.path = format!("{}{}", literal(&origin.to_string()), step.path);
            }
            let pause = self.end_ms.map_or(0, |end| start_ms.saturating_sub(end));
            if pause >= LEAST_PAUSE_MS {
                step.think_ms = u64::try_from(pause).unwrap_or(0);
            }
            // Firefox has none of what it took from its cache.
            let time_ms = entry.time.filter(|time| time.is_finite()).unwrap_or(0.0);
            let end = start_ms.saturating_add(time_ms.max(0.0) as i64);
            self.end_ms = Some(self.end_ms.unwrap_or(end).max(end));
            self.note_cookies(&entry.response);
            draft.push(step);
        }
    }

    fn step(
        &self,
        draft: &mut Draft,
        url: &url::Url,
        method: String,
        request: Request,
        response: &Response,
    ) -> DraftStep {
        let mut step = DraftStep {
            name: format!("{method} {}", redact_url(url.path(), REDACTED)),
            method,
            ..DraftStep::default()
        };
        let (path, query) = target_of(&request.url);
        draft.locate(&mut step, &path, query.as_deref());
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut own_cookies = Vec::new();
        for Pair { name, value, .. } in request.headers {
            let name = name.to_ascii_lowercase();
            if name == "cookie" {
                own_cookies.extend(self.own(&value));
            }
            if name.starts_with(':') || LEFT_OUT.contains(&name.as_str()) {
                continue;
            }
            add_header(&mut headers, &name, &value);
        }
        step.body = match request.post_data {
            Some(data) => body(draft, &step.name, &mut headers, &data),
            None => DraftBody::None,
        };
        step.headers = headers
            .into_iter()
            .map(|(n, v)| {
                let text = draft.secrets.header(&n, &v);
                (n, text)
            })
            .collect();
        if !own_cookies.is_empty() {
            step.headers.push(("cookie".to_owned(), cookies(&mut draft.secrets, &own_cookies.join("; "))));
        }
        // A redirect is an entry of its own, and so is what it led to.
        match response.status {
            // What a browser had in its cache comes whole to a new user.
            304 => step.status = Some("200".to_owned()),
            status @ 300..400 => {
                step.redirects = Some(0);
                step.status = Some(status.to_string());
            }
            status => step.status = Some(status.to_string()),
        }
        step.is_stream =
            response.content.as_ref().is_some_and(|c| c.mime_type.starts_with("text/event-stream"));
        step
    }

    /// The cookies of a header that no response so far has set.
    fn own(&self, value: &str) -> Vec<String> {
        let parts = value.split(';').map(|p| p.trim().to_owned());
        parts.filter(|p| !self.set.iter().any(|s| p.split('=').next() == Some(s))).collect()
    }

    fn note_cookies(&mut self, response: &Response) {
        for header in response.headers.iter().filter(|h| h.name.eq_ignore_ascii_case("set-cookie")) {
            // Some browsers join several with line ends.
            self.set
                .extend(header.value.lines().filter_map(|l| Some(l.split_once('=')?.0.trim().to_owned())));
        }
    }
}

fn body(draft: &mut Draft, step: &str, headers: &mut Vec<(String, String)>, data: &PostData) -> DraftBody {
    if !data.mime_type.is_empty() && !headers.iter().any(|(n, _)| n == "content-type") {
        headers.push(("content-type".to_owned(), data.mime_type.clone()));
    }
    if data.text.is_empty() && !data.params.is_empty() && data.mime_type.starts_with("application/x-www-form")
    {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for p in &data.params {
            form.append_pair(&p.name, &p.value);
        }
        return draft.body(headers, &form.finish());
    }
    if data.text.is_empty() && !data.params.is_empty() && data.mime_type.starts_with("multipart/") {
        // The boundary is one of our own.
        headers.retain(|(n, _)| n != "content-type");
        let parts = data.params.iter().map(|p| {
            let content = match p.file_name.as_str() {
                "" => Content::Text(p.value.clone()),
                file => Content::File(file.to_owned()),
            };
            let kind = Some(p.content_type.clone()).filter(|kind| !kind.is_empty());
            (p.name.clone(), Part { content, kind, file_name: None })
        });
        return DraftBody::Parts(draft.secrets.parts(parts.collect()));
    }
    if data.text.is_empty() {
        return DraftBody::None;
    }
    if data.encoding != "base64" {
        return draft.body(headers, &data.text);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.text.trim());
    let why = match bytes.map(String::from_utf8) {
        Ok(Ok(text)) => return draft.body(headers, &text),
        Ok(Err(_)) => "it is not text; send it as a file of a multipart form",
        Err(_) => "it is not valid base64",
    };
    draft.notes.push(format!("{step}: the body is left out: {why}"));
    DraftBody::None
}
