//! A request and its response as a person looks at them. Invariant: nothing is gathered unless somebody watches, and no
//! secret is shown: not by its name, by its form, or by being the value of a secret variable or capture.

use std::{
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use assay_text::secret::{REDACTED, is_secret_name, redact_text, redact_url};
use http::HeaderMap;

use super::user::Context;

/// The most of a body that is shown, in bytes.
const MOST_SHOWN: usize = 4096;
/// The most events that are shown.
const MOST_EVENTS: usize = 200;

/// A request and its response.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The step's name.
    pub step: String,
    /// The method and the URL.
    pub request: String,
    /// The request's headers.
    pub request_headers: Vec<(String, String)>,
    /// The request's body.
    pub request_body: String,
    /// The status, if there was a response.
    pub status: Option<u16>,
    /// The response's headers.
    pub headers: Vec<(String, String)>,
    /// The response's body; empty where it came in events.
    pub body: String,
    /// The events of a stream: when, since the first byte sent, and what.
    pub events: Vec<(Duration, String)>,
    /// Events that came after the most that are kept.
    pub events_left_out: usize,
    /// From the first byte sent to the end.
    pub duration: Duration,
    /// The checks: the name, whether it passed, and what was found.
    pub checks: Vec<(String, bool, String)>,
    /// The captures, with their values.
    pub captures: Vec<(String, Option<String>)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Somebody who looks at each exchange.
pub(crate) type Watcher = Rc<dyn Fn(&Exchange)>;

/// The values that must not be shown; none are noted where nobody looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Option<Arc<Mutex<Vec<String>>>>);

impl Secrets {
    /// Secrets of which note is taken.
    pub(crate) fn noted() -> Self {
        Self(Some(Arc::default()))
    }

    /// Remembers a value if what it goes by is a secret's name.
    pub(crate) fn note(&self, name: &str, value: &str) {
        // What is short would blot out ordinary text.
        const LEAST: usize = 4;
        let Some(all) = &self.0 else { return };
        if value.len() >= LEAST && is_secret_name(name) {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            if all.iter().all(|known| known != value) {
                all.push(value.to_owned());
            }
        }
    }

    /// A text without secrets.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = redact_text(text);
        let Some(all) = &self.0 else { return text };
        for secret in all.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text = text.replace(secret.as_str(), REDACTED);
        }
        text
    }

    /// A value without secrets, which is all one where its name is a secret's.
    pub(crate) fn hide_named(&self, name: &str, value: &str) -> String {
        if is_secret_name(name) { REDACTED.to_owned() } else { self.hide(value) }
    }

    /// The same of headers.
    pub(crate) fn headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let shown = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), self.hide_named(name.as_str(), &shown(value))))
            .collect()
    }

    /// The same of a body, of which the beginning is shown.
    pub(crate) fn body(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        // All of it is looked at, so that no secret is cut and missed.
        let hidden = self.hide(&text);
        let mut end = hidden.len().min(MOST_SHOWN);
        while !hidden.is_char_boundary(end) {
            end -= 1;
        }
        match hidden.len() - end {
            0 => hidden,
            more => format!("{}… ({more} bytes more)", &hidden[..end]),
        }
    }

    /// The same of a URL.
    pub(crate) fn url(&self, url: &str) -> String {
        self.hide(&redact_url(url, REDACTED))
    }
}

impl Exchange {
    /// Adds an event.
    pub(crate) fn event(&mut self, at: Duration, name: &str, data: &str) {
        if self.events.len() >= MOST_EVENTS {
            self.events_left_out += 1;
            return;
        }
        let shown = if name.is_empty() { data.to_owned() } else { format!("{name}: {data}") };
        self.events.push((at, shown));
    }

    /// Notes the values of the captures of a step, as the user has them now.
    pub(crate) fn note_captures<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
        context: &Context,
        secrets: &Secrets,
    ) {
        let all = context.names();
        for name in names {
            let value = all.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_string());
            if let Some(value) = &value {
                secrets.note(name, value);
            }
            self.captures.push((name.to_owned(), value));
        }
    }
}
