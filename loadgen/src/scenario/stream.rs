//! What the events of a stream mean: content, token counts, an error, the end.
//!
//! Invariant: an event is content exactly if it carries a non-empty piece of the answer, reasoning and tool calls among
//! it; the terminator, keep-alives and bare metadata are not.

mod content;
mod known;
mod message;

use serde_json::Value;

pub(crate) use content::content;
pub(crate) use known::{Tokens, read as read_document};
pub(crate) use message::Message;

use super::jsonpath::JsonPath;

/// How to read a stream's events.
#[derive(Clone, Debug)]
pub(crate) struct StreamSpec {
    /// Where content is, any of these; the usual places if none is given.
    pub(crate) content: Vec<JsonPath>,
    /// Where the number of output tokens is; the usual places if none is given.
    pub(crate) output_tokens: Option<JsonPath>,
    /// Where the number of input tokens is; the usual places if none is given.
    pub(crate) input_tokens: Option<JsonPath>,
    /// The names of the events that may be content; all but keep-alives and the like if none is given.
    pub(crate) events: Vec<String>,
    /// The data that ends the stream.
    pub(crate) done: String,
    /// Whether a stream without its end is a failure.
    pub(crate) require_done: bool,
}

/// What one event says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StreamEvent {
    pub(crate) is_content: bool,
    /// Whether the content is all of it reasoning.
    pub(crate) is_reasoning: bool,
    pub(crate) tokens: Tokens,
    pub(crate) is_error: bool,
    pub(crate) is_end: bool,
    /// The data as JSON, if it is and was asked for.
    pub(crate) json: Option<Value>,
}

/// Names of events that are not pieces of an answer, whatever they carry.
const NO_CONTENT: [&str; 14] = [
    "ping",
    "keepalive",
    "keep-alive",
    "keep_alive",
    "heartbeat",
    "sources",
    "citations",
    "metadata",
    "usage",
    "status",
    "progress",
    "error",
    "done",
    "end",
];
/// The name that an event without one has (WHATWG HTML, 9.2).
const UNNAMED: &str = "message";

impl Default for StreamSpec {
    fn default() -> Self {
        Self {
            content: Vec::new(),
            output_tokens: None,
            input_tokens: None,
            events: Vec::new(),
            done: "[DONE]".to_owned(),
            require_done: false,
        }
    }
}

impl StreamSpec {
    /// Reads an event; a tree of its data is built only if `needs_json`, or a place was given.
    pub(crate) fn read(&self, name: &str, data: &str, needs_json: bool) -> StreamEvent {
        if data == self.done {
            return StreamEvent { is_end: true, ..StreamEvent::default() };
        }
        let mut event = StreamEvent { is_error: name == "error", ..StreamEvent::default() };
        if data.is_empty() {
            return event;
        }
        let is_named_content = match name {
            "" => self.events.is_empty() || self.events.iter().any(|e| e == UNNAMED),
            name if self.events.is_empty() => !NO_CONTENT.contains(&name),
            name => self.events.iter().any(|e| e == name),
        };
        let known = known::read(data);
        if let Some(known) = known {
            (event.is_content, event.is_reasoning) = (known.is_content, known.is_reasoning);
            event.tokens = known.tokens;
            event.is_error |= known.is_error;
            event.is_end = known.is_end;
        }
        let has_places =
            !self.content.is_empty() || self.output_tokens.is_some() || self.input_tokens.is_some();
        if known.is_none() || needs_json || has_places {
            let json = serde_json::from_str::<Value>(data).ok();
            if known.is_none() {
                event.is_content = is_bare_token(json.as_ref());
            }
            self.read_places(json.as_ref(), &mut event);
            event.json = json;
        }
        event.is_content &= is_named_content && !event.is_error;
        event
    }

    /// The text of an event that is content.
    pub(crate) fn text(&self, data: &str, json: Option<&Value>) -> String {
        let parsed = if json.is_none() { serde_json::from_str(data).ok() } else { None };
        let Some(json) = json.or(parsed.as_ref()) else { return data.to_owned() };
        match self.content.as_slice() {
            [] => content(json),
            places => places
                .iter()
                .filter_map(|p| p.find(json)?.as_str())
                .find(|t| !t.is_empty())
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// Looks where the scenario says.
    fn read_places(&self, json: Option<&Value>, event: &mut StreamEvent) {
        let find = |path: &JsonPath| json.and_then(|j| path.find(j));
        if !self.content.is_empty() {
            event.is_content =
                self.content.iter().any(|p| find(p).and_then(Value::as_str).is_some_and(|t| !t.is_empty()));
        }
        if let Some(path) = &self.output_tokens {
            event.tokens.output = find(path).and_then(Value::as_u64);
        }
        if let Some(path) = &self.input_tokens {
            event.tokens.input = find(path).and_then(Value::as_u64);
        }
    }
}

/// A stream of plain texts, or of bare JSON texts or numbers, is a stream of tokens.
fn is_bare_token(json: Option<&Value>) -> bool {
    match json {
        None => true,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(_)) => true,
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_content(spec: &StreamSpec, name: &str, data: &str) -> bool {
        let with_tree = spec.read(name, data, true);
        let without = StreamEvent { json: None, ..spec.read(name, data, false) };
        assert_eq!(StreamEvent { json: None, ..with_tree }, without, "{data}");
        without.is_content
    }

    #[test]
    fn bare_tokens_are_content_and_keep_alives_are_not() {
        let spec = StreamSpec::default();
        for data in ["plain text", "42", "\"a\""] {
            assert!(is_content(&spec, "", data), "{data}");
        }
        for data in ["[DONE]", "", "\"\"", "null", "true", "[1, 2]", "[{\"id\": 1}]"] {
            assert!(!is_content(&spec, "", data), "{data}");
        }
        for name in ["ping", "sources", "heartbeat", "error"] {
            assert!(!is_content(&spec, name, r#"{"text":"x"}"#), "{name}");
        }
        assert!(is_content(&spec, "token", r#"{"text":"x"}"#));
        assert!(spec.read("error", "no", false).is_error && spec.read("", "[DONE]", false).is_end);
    }

    #[test]
    fn places_and_events_can_be_named() {
        let path = |t: &str| JsonPath::parse(t).expect("a path");
        let own = StreamSpec { content: vec![path("$.x.y"), path("$.z")], ..StreamSpec::default() };
        assert!(is_content(&own, "", r#"{"x":{"y":"a"}}"#) && is_content(&own, "", r#"{"z":"a"}"#));
        assert!(!is_content(&own, "", r#"{"token":"a"}"#) && !is_content(&own, "", "plain"));
        let named = StreamSpec { events: vec!["answer".to_owned()], ..StreamSpec::default() };
        assert!(is_content(&named, "answer", r#"{"text":"x"}"#));
        assert!(!is_content(&named, "", r#"{"text":"x"}"#) && !is_content(&named, "note", "x"));
        let tokens = StreamSpec { output_tokens: Some(path("$.n")), ..StreamSpec::default() };
        assert_eq!(tokens.read("", r#"{"n":7,"usage":{"output_tokens":9}}"#, false).tokens.output, Some(7));
    }
}
