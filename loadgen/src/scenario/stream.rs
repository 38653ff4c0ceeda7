//! What the events of a stream mean: content, token counts, the end.
//!
//! Invariant: an event is content exactly where it carries a non-empty piece of the answer, reasoning among
//! it; the terminator and bare metadata are not.

mod known;

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
    /// The data as JSON, where it is and was asked for.
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
    /// Reads an event's data; without `needs_json`, its tree is built only where nothing else will do.
    pub(crate) fn read(&self, data: &str, needs_json: bool) -> StreamEvent {
        if data == self.done || data.is_empty() {
            return StreamEvent::default();
        }
        let is_usual = self.content.is_none() && self.output_tokens.is_none() && self.input_tokens.is_none();
        if is_usual
            && !needs_json
            && let Some(known::Known { is_content, input_tokens, output_tokens }) = known::read(data)
        {
            return StreamEvent { is_content, input_tokens, output_tokens, json: None };
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
            for needs_json in [false, true] {
                let read = StreamSpec::default().read(data, needs_json);
                assert_eq!(read.is_content, want, "{data}");
            }
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
        assert!(own.read(r#"{"x":{"y":"z"}}"#, false).is_content);
        assert!(!own.read(r#"{"token":"z"}"#, false).is_content && !own.read("plain", false).is_content);
    }

    #[test]
    fn usage_is_found_in_both_spellings() {
        let read = |d: &str| {
            let e = StreamSpec::default().read(d, false);
            (e.input_tokens, e.output_tokens)
        };
        assert_eq!(read(r#"{"usage":{"prompt_tokens":7,"completion_tokens":9}}"#), (Some(7), Some(9)));
        assert_eq!(read(r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#), (Some(7), Some(9)));
        assert_eq!(read(r#"{"usage":null}"#), (None, None));
    }

    #[test]
    fn the_short_way_finds_what_the_tree_has() {
        // Every value at every place, alone and in pairs, and what is no object at all.
        let values = [
            "null",
            "true",
            "0",
            "7",
            "-1",
            "1.5",
            "18446744073709551616",
            "\"\"",
            "\"x\"",
            "\"\\u0000\"",
            "[]",
            "[\"x\"]",
            "[[\"x\"]]",
            "{}",
            r#"{"content":"x"}"#,
            r#"{"delta":"x"}"#,
            r#"{"text":"x"}"#,
            r#"[{"text":"x"}]"#,
            r#"[{"delta":{"reasoning":"x"}},{"text":"y"}]"#,
            r#"[{}, {"text":"y"}]"#,
            r#"[{"delta":[["x"]]}]"#,
            r#"{"completion_tokens":5,"input_tokens":6}"#,
            r#"{"output_tokens":"5","prompt_tokens":6.0}"#,
            r#"{"completion_tokens":null,"output_tokens":9}"#,
        ];
        let places = ["choices", "delta", "token", "text", "content", "usage", "other"];
        let mut events: Vec<String> = values.iter().map(|v| format!(" {v}")).collect();
        for (a, b) in places.iter().flat_map(|a| places.iter().map(move |b| (a, b))) {
            for (v, w) in values.iter().flat_map(|v| values.iter().map(move |w| (v, w))) {
                events.push(format!(r#"{{"{a}":{v}, "{b}" : {w}}}"#));
            }
        }
        let spec = StreamSpec::default();
        for event in &events {
            let tree = StreamEvent { json: None, ..spec.read(event, true) };
            assert_eq!(StreamEvent { json: None, ..spec.read(event, false) }, tree, "{event}");
        }
        let short = events.iter().filter(|e| spec.read(e, false).json.is_none()).count();
        assert!(short * 5 > events.len() * 4, "the short way was taken for {short} of {}", events.len());
    }
}
