//! A scenario in the making. Invariant: every text in a draft is a template: what stood in the input went
//! through [`literal`], or became a variable.

use std::str::FromStr as _;

use http::{HeaderName, HeaderValue};

use super::secrets::Secrets;

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
    Json(serde_json::Value),
    Form(Vec<(String, String)>),
    Text(String),
    /// Parts: name, and a template or a file with its type.
    Parts(Vec<(String, Part)>),
}

/// A part of a form in the making.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    File { path: String, kind: Option<String> },
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
                let Part::File { kind, .. } = part else { continue };
                let kind = kind.take_if(|kind| HeaderValue::from_str(kind).is_err());
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
        let files = parts.flatten().filter_map(|(_, part)| match part {
            Part::File { path, .. } => Some(path.as_str()),
            Part::Text(_) => None,
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

    /// The body of a request by its type; one that is not what its type says is a text. The header of the type
    /// goes where the body implies it.
    pub(super) fn body(&mut self, headers: &mut Vec<(String, String)>, text: &str) -> DraftBody {
        let kind = headers.iter().find(|(n, _)| n == "content-type").map(|(_, v)| v.clone());
        let essence = kind.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence == "application/json" || essence.ends_with("+json") {
            if let Ok(value) = serde_json::from_str(text) {
                if essence == "application/json" {
                    headers.retain(|(n, _)| n != "content-type");
                }
                return DraftBody::Json(self.secrets.json("", value));
            }
        } else if essence == "application/x-www-form-urlencoded" {
            let pairs: Vec<(String, String)> =
                url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            if is_unique(&pairs) && pairs.iter().all(|(n, _)| !n.is_empty()) {
                let names = pairs.iter().map(|(n, _)| n.as_str());
                self.secrets.begin("", names);
                headers.retain(|(n, _)| n != "content-type");
                return DraftBody::Form(self.secrets.pairs(pairs));
            }
        }
        DraftBody::Text(self.secrets.free(text))
    }

    /// Sets path and query of a step from a URL; a query without secrets stays in the path as it is.
    pub(super) fn locate(&mut self, step: &mut DraftStep, url: &url::Url) {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        self.secrets.begin(url.path(), pairs.iter().map(|(n, _)| n.as_str()));
        step.path = self.secrets.path(url.path());
        let masked = self.secrets.pairs(pairs.clone());
        if masked.iter().zip(&pairs).any(|((_, masked), (_, v))| *masked != literal(v)) {
            self.query(step, pairs);
        } else if let Some(query) = url.query() {
            step.path = format!("{}?{}", step.path, literal(query));
        }
    }

    /// Adds names and values to the query of a step, secrets as variables. A scenario's `query` has each name once:
    /// where one comes again, all of them go into the path.
    pub(super) fn query(&mut self, step: &mut DraftStep, pairs: Vec<(String, String)>) {
        let masked = self.secrets.pairs(pairs);
        let is_new = masked.iter().all(|(name, _)| step.query.iter().all(|(known, _)| known != name));
        if is_new && is_unique(&masked) {
            step.query.extend(masked);
            return;
        }
        let encoded: Vec<String> =
            masked.iter().map(|(n, v)| format!("{}={}", encoded(n), around(v))).collect();
        let mark = if step.path.contains('?') { '&' } else { '?' };
        step.path = format!("{}{mark}{}", step.path, encoded.join("&"));
    }

    /// A form of parts. A scenario's form has each name once: of several parts the first is kept.
    pub(super) fn parts(&mut self, step: &str, parts: Vec<(String, Part)>) -> DraftBody {
        let mut kept: Vec<(String, Part)> = Vec::new();
        for (name, part) in parts {
            if kept.iter().any(|(n, _)| *n == name) {
                let what = match part {
                    Part::Text(_) => "part".to_owned(),
                    Part::File { path, .. } => format!("part (the file {path})"),
                };
                self.notes.push(format!(
                    "{step}: a second {what} named {name:?} is left out; a scenario's form has one of each name"
                ));
            } else {
                kept.push((name, part));
            }
        }
        DraftBody::Parts(self.secrets.parts(kept))
    }
}

/// Whether a text is a status, or a class of them.
fn is_status(text: &str) -> bool {
    match text.strip_suffix("xx") {
        Some(class) => matches!(class, "1" | "2" | "3" | "4" | "5"),
        None => text.len() == 3 && text.parse::<u16>().is_ok_and(|code| (100..=599).contains(&code)),
    }
}

/// A template with what stands around its expressions encoded for a query.
fn around(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, (inside, after))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        out += &encoded(before);
        // What stands for braces is no expression.
        match inside.trim() {
            "'{{'" => out += &encoded("{{"),
            "'{'" => out += &encoded("{"),
            _ => out += &format!("{{{{{inside}}}}}"),
        }
        rest = after;
    }
    out + &encoded(rest)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether each name stands once, so that the pairs can be a map.
fn is_unique(pairs: &[(String, String)]) -> bool {
    pairs.iter().enumerate().all(|(i, (name, _))| pairs[..i].iter().all(|(n, _)| n != name))
}

/// A text as a name: lower case, with dashes.
pub(super) fn slug(text: &str) -> String {
    let tame: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<_> = tame.split('-').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "imported".to_owned() } else { parts.join("-") }
}
