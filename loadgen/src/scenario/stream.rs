//! What the events of a stream mean: content, token counts, the end.
//!
//! Invariant: an event is content exactly where it carries a non-empty piece of the answer, reasoning among
//! it; the terminator and bare metadata are not.

use std::sync::LazyLock;

use serde_json::Value;

use super::jsonpath::JsonPath;

/// How to read a stream's events.
#[derive(Clone, Debug)]
pub(crate) struct StreamSpec {
    /// Where content is; the usual places where none is given.
    pub(crate) content: Option<JsonPath>,
    /// Where the number of output tokens is; the usual places where none is given.
    pub(crate) output_tokens: Option<JsonPath>,
    /// Where the number of input tokens is; the usual places where none is given.
    pub(crate) input_tokens: Option<JsonPath>,
    /// The data that ends the stream.
    pub(crate) done: String,
}

/// What one event says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StreamEvent {
    pub(crate) is_content: bool,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    /// The data as JSON, where it is.
    pub(crate) json: Option<Value>,
}

fn paths<const N: usize>(texts: [&str; N]) -> Vec<JsonPath> {
    texts.iter().filter_map(|t| JsonPath::parse(t).ok()).collect()
}

/// OpenAI's chat and completions chunks, then what smaller services send.
static CONTENT: LazyLock<Vec<JsonPath>> = LazyLock::new(|| {
    paths([
        "$.choices[0].delta.content",
        "$.choices[0].delta.reasoning_content",
        "$.choices[0].delta.reasoning",
        "$.choices[0].text",
        "$.delta",
        "$.token",
        "$.text",
        "$.content",
    ])
});
static OUTPUT: LazyLock<Vec<JsonPath>> =
    LazyLock::new(|| paths(["$.usage.completion_tokens", "$.usage.output_tokens"]));
static INPUT: LazyLock<Vec<JsonPath>> =
    LazyLock::new(|| paths(["$.usage.prompt_tokens", "$.usage.input_tokens"]));

impl Default for StreamSpec {
    fn default() -> Self {
        Self { content: None, output_tokens: None, input_tokens: None, done: "[DONE]".to_owned() }
    }
}

impl StreamSpec {
    /// Reads an event's data.
    pub(crate) fn read(&self, data: &str) -> StreamEvent {
        if data == self.done || data.is_empty() {
            return StreamEvent::default();
        }
        let Ok(json) = serde_json::from_str::<Value>(data) else {
            return StreamEvent { is_content: self.content.is_none(), ..StreamEvent::default() };
        };
        let is_text = |p: &JsonPath| p.find(&json).and_then(Value::as_str).is_some_and(|t| !t.is_empty());
        let is_content = match (&self.content, &json) {
            (Some(path), _) => is_text(path),
            (None, Value::Object(_)) => CONTENT.iter().any(is_text),
            // A stream of bare JSON texts or numbers is a stream of tokens.
            (None, other) => !other.is_null() && other.as_str() != Some(""),
        };
        let number = |own: &Option<JsonPath>, usual: &[JsonPath]| match own {
            Some(path) => path.find(&json).and_then(Value::as_u64),
            None => usual.iter().find_map(|p| p.find(&json).and_then(Value::as_u64)),
        };
        StreamEvent {
            is_content,
            input_tokens: number(&self.input_tokens, &INPUT),
            output_tokens: number(&self.output_tokens, &OUTPUT),
            json: Some(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_what_carries_a_piece_of_the_answer() {
        let check = |data: &str, want: bool| {
            assert_eq!(StreamSpec::default().read(data).is_content, want, "{data}");
        };
        check(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false);
        check(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, true);
        check(r#"{"choices":[{"delta":{"reasoning_content":"So"}}]}"#, true);
        check(r#"{"choices":[],"usage":{"completion_tokens":5}}"#, false);
        check(r#"{"token":"a"}"#, true);
        check("[DONE]", false);
        check("plain text", true);
        check("42", true);
        check("", false);
        let own = StreamSpec { content: JsonPath::parse("$.x.y").ok(), ..StreamSpec::default() };
        assert!(own.read(r#"{"x":{"y":"z"}}"#).is_content);
        assert!(!own.read(r#"{"token":"z"}"#).is_content && !own.read("plain").is_content);
    }

    #[test]
    fn usage_is_found_in_both_spellings() {
        let read = |d: &str| {
            let e = StreamSpec::default().read(d);
            (e.input_tokens, e.output_tokens)
        };
        assert_eq!(read(r#"{"usage":{"prompt_tokens":7,"completion_tokens":9}}"#), (Some(7), Some(9)));
        assert_eq!(read(r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#), (Some(7), Some(9)));
        assert_eq!(read(r#"{"usage":null}"#), (None, None));
    }
}
