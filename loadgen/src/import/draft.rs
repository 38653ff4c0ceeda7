//! A scenario in the making. Invariant: every text in a draft is a template: what stood in the input went
//! through [`literal`], or became a variable.

use std::str::FromStr as _;

use http::{HeaderName, HeaderValue};

use super::{json::Json, secrets::Secrets};

/// A scenario in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    /// Where it came from, for the comment at its top.
    pub(super) origin: String,
    pub(super) target: Option<String>,
    /// `ca`, `cert` and `key`, with their files.
    pub(super) tls: Vec<(&'static str, String)>,
    /// Where names are, as `HOST:PORT:ADDRESS`.
    pub(super) routes: Vec<String>,
    pub(super) http2: bool,
    pub(super) steps: Vec<DraftStep>,
    /// Whether an iteration does one of the steps, and not all in order.
    pub(super) is_choice: bool,
    pub(super) secrets: Secrets,
    pub(super) notes: Vec<String>,
}

/// A request in the making.
#[derive(Debug, Default)]
pub(super) struct DraftStep {
    pub(super) name: String,
    /// In capitals.
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: DraftBody,
    /// A status, or a class of them: `200`, `2xx`.
    pub(super) status: Option<String>,
    pub(super) is_stream: bool,
    /// The pause before it.
    pub(super) think_ms: u64,
    pub(super) timeout_ms: Option<u64>,
    pub(super) redirects: Option<u32>,
}

/// A body in the making.
#[derive(Debug, Default)]
pub(super) enum DraftBody {
    #[default]
    None,
    /// Texts in it are templates.
    Json(Json),
    Form(Vec<(String, String)>),
    Text(String),
    Parts(Vec<(String, Part)>),
}

/// A part of a form in the making.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) content: Content,
    /// Its type.
    pub(super) kind: Option<String>,
    /// The name of the file that the server sees, where it is not the file's own.
    pub(super) file_name: Option<String>,
}

/// What a part holds.
#[derive(Debug)]
pub(super) enum Content {
    /// A template.
    Text(String),
    /// The path of a file.
    File(String),
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, kind: None, file_name: None }
    }
}

impl DraftStep {
    /// Sets a header, whatever was there.
    pub(super) fn set_header(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }
}

impl Draft {
    /// Leaves out headers that nobody can send and statuses that nobody answers with, each with a note.
    pub(super) fn leave_out_what_cannot_be(&mut self) {
        let notes = &mut self.notes;
        for step in &mut self.steps {
            step.headers.retain(|(name, value)| {
                let is_template = value.contains("{{");
                let can_be = HeaderName::from_str(name).is_ok()
                    && (is_template || HeaderValue::from_str(value).is_ok());
                if !can_be {
                    notes
                        .push(format!("the header {name:?} of {} is left out: it cannot be sent", step.name));
                }
                can_be
            });
            let parts = match &mut step.body {
                DraftBody::Parts(parts) => parts.as_mut_slice(),
                _ => &mut [],
            };
            for (name, part) in parts {
                let kind = part.kind.take_if(|kind| HeaderValue::from_str(kind).is_err());
                notes.extend(
                    kind.map(|k| {
                        format!("the type {k:?} of the part {name:?} is left out: it cannot be sent")
                    }),
                );
            }
            let status = step.status.take_if(|status| !is_status(status));
            notes.extend(
                status.map(|s| {
                    format!("the status {s:?} of {} is left out: there is no such status", step.name)
                }),
            );
        }
    }

    /// The files that the scenario will read.
    pub(super) fn files(&self) -> Vec<&str> {
        let parts = self.steps.iter().filter_map(|s| match &s.body {
            DraftBody::Parts(parts) => Some(parts),
            _ => None,
        });
        let files = parts.flatten().filter_map(|(_, part)| match &part.content {
            Content::File(path) => Some(path.as_str()),
            Content::Text(_) => None,
        });
        files.collect()
    }
}

/// The methods that a step can have.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Whether a step can have this method, in capitals.
pub(super) fn is_known(method: &str) -> bool {
    METHODS.contains(&method)
}

/// A text that stands for itself in a template.
pub(super) fn literal(text: &str) -> String {
    text.replace("{{", "{{ '{{' }}")
}

impl Draft {
    /// Adds a step under a name of its own.
    pub(super) fn push(&mut self, mut step: DraftStep) {
        let base = step.name.clone();
        let mut n = 1;
        while self.steps.iter().any(|s| s.name == step.name) {
            n += 1;
            step.name = format!("{base} {n}");
        }
        self.steps.push(step);
    }

    /// The body of a request by its type, sent as it was written: what a map of JSON or of a form would change is a
    /// text. The header of the type goes where the body implies it.
    pub(super) fn body(&mut self, headers: &mut Vec<(String, String)>, text: &str) -> DraftBody {
        let kind = headers.iter().find(|(n, _)| n == "content-type").map(|(_, v)| v.clone());
        let kind = kind.unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let implied = |headers: &mut Vec<(String, String)>, implied: &str| {
            headers.retain(|(n, v)| n != "content-type" || v != implied);
        };
        if (essence == "application/json" || essence.ends_with("+json"))
            && let Some(value) = Json::parse(text)
            && value.is_sent_as(text)
        {
            implied(headers, "application/json");
            return DraftBody::Json(self.secrets.json("", value));
        }
        if text.trim_start().starts_with(['{', '['])
            && let Some(written) = self.secrets.json_text("", text)
        {
            return DraftBody::Text(written);
        }
        if essence == "application/x-www-form-urlencoded" && !text.contains(['\n', '\r']) {
            let form = self.secrets.encoded("", text);
            if form.can_be_map && !text.is_empty() {
                implied(headers, "application/x-www-form-urlencoded");
                return DraftBody::Form(form.pairs);
            }
            return DraftBody::Text(form.written);
        }
        // What separates parts looks random, and is no secret.
        let boundary = kind.split_once("boundary=").filter(|_| essence.starts_with("multipart/"));
        let boundary = boundary.map(|(_, rest)| rest.split(';').next().unwrap_or_default().trim_matches('"'));
        match boundary.filter(|boundary| !boundary.is_empty()) {
            Some(boundary) => {
                let parts: Vec<String> = text.split(boundary).map(|part| self.secrets.free(part)).collect();
                DraftBody::Text(parts.join(&literal(boundary)))
            }
            None => DraftBody::Text(self.secrets.free(text)),
        }
    }

    /// Sets path and query of a step as they were written.
    pub(super) fn locate(&mut self, step: &mut DraftStep, path: &str, query: Option<&str>) {
        self.secrets.begin(path, std::iter::empty());
        step.path = self.secrets.path(path);
        let Some(query) = query else { return };
        let encoded = self.secrets.encoded(path, query);
        if encoded.can_be_map && encoded.written != literal(query) {
            step.query = encoded.pairs;
        } else {
            step.path = format!("{}?{}", step.path, encoded.written);
        }
    }

    /// Adds an encoded text to the query of a step, its secrets as variables: as a map where it is sent the same.
    pub(super) fn query(&mut self, step: &mut DraftStep, text: &str) {
        if text.is_empty() {
            return;
        }
        let encoded = self.secrets.encoded(&step.path, text);
        let is_new = |(name, _): &(String, String)| step.query.iter().all(|(known, _)| known != name);
        if encoded.can_be_map && encoded.pairs.iter().all(is_new) {
            step.query.extend(encoded.pairs);
            return;
        }
        let mark = if step.path.contains('?') { '&' } else { '?' };
        step.path = format!("{}{mark}{}", step.path, encoded.written);
    }
}

/// Adds a header; several of one name are one (RFC 9110, 5.3), cookies apart.
pub(super) fn add_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    match headers.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => {
            *known = format!("{known}{} {value}", if name == "cookie" { ';' } else { ',' });
        }
        None => headers.push((name.to_owned(), value.to_owned())),
    }
}

/// Whether a text is a status, or a class of them.
fn is_status(text: &str) -> bool {
    match text.strip_suffix("xx") {
        Some(class) => matches!(class, "1" | "2" | "3" | "4" | "5"),
        None => text.len() == 3 && text.parse::<u16>().is_ok_and(|code| (100..=599).contains(&code)),
    }
}

/// A text as a name: lower case, with dashes.
pub(super) fn slug(text: &str) -> String {
    let tame: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<_> = tame.split('-').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "imported".to_owned() } else { parts.join("-") }
}
