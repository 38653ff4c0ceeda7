//! Captures: values taken from a response for later templates. Invariant: a capture that finds nothing fails
//! its request, for what follows would send nonsense.

use http::{HeaderMap, HeaderName};
use minijinja::value::{Serde, Value};
use regex::Regex;

use super::jsonpath::JsonPath;

/// A name and where its value comes from.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// Where a captured value comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A place in a JSON body, or in an event of a stream.
    Json(JsonPath),
    /// A response header.
    Header(HeaderName),
    /// The first group of a match in the body, or the match where there is no group.
    Regex(Regex),
    /// The pieces of content of a stream, joined.
    Content,
    /// The answer as a message.
    Message,
}

impl Capture {
    /// Where it is looked for, in words.
    pub(crate) fn place(&self) -> String {
        match &self.source {
            Source::Json(path) => format!("at {path}"),
            Source::Header(header) => format!("in the header {header}"),
            Source::Regex(regex) => format!("that matches {regex}"),
            Source::Content => "in the stream".to_owned(),
            Source::Message => "that is a message".to_owned(),
        }
    }

    /// The value in JSON, where this capture is of that kind and finds one.
    pub(crate) fn in_json(&self, json: &serde_json::Value) -> Option<Value> {
        match &self.source {
            Source::Json(path) => path.find(json).map(|v| Value::from(Serde(v))),
            _ => None,
        }
    }

    /// The value in a header or in the body's text.
    pub(crate) fn in_reply(&self, headers: &HeaderMap, body: &str) -> Option<Value> {
        match &self.source {
            Source::Json(_) | Source::Content | Source::Message => None,
            Source::Header(name) => headers.get(name).and_then(|v| v.to_str().ok()).map(Value::from),
            Source::Regex(regex) => {
                let found = regex.captures(body)?;
                found.get(1).or_else(|| found.get(0)).map(|m| Value::from(m.as_str()))
            }
        }
    }
}
