//! The text of an answer: of an event of a stream, or of a whole answer.
//!
//! Invariant: reasoning, tool calls and refusals are no part of it, and of several answers (`n: 2`) it is the first one's.

use serde_json::Value;

/// The text that an event or an answer of the usual services carries; empty if it carries none.
pub(crate) fn content(json: &Value) -> String {
    match json {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Object(_) => of_object(json).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
    }
}

fn of_object(json: &Value) -> Option<String> {
    let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind.starts_with("response.") {
        return (kind == "response.output_text.delta").then(|| text(json.get("delta")))?;
    }
    if let Some(choices) = json.get("choices") {
        let is_first = |c: &&Value| c.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        let first = choices.as_array()?.iter().find(is_first)?;
        let message = first.get("delta").or_else(|| first.get("message"));
        return message.and_then(|m| text(m.get("content"))).or_else(|| text(first.get("text")));
    }
    if let Some(candidates) = json.get("candidates") {
        return text(candidates.get(0)?.get("content")?.get("parts"));
    }
    if let Some(output) = json.get("output").and_then(Value::as_array) {
        let messages = output.iter().filter(|o| o.get("type").and_then(Value::as_str) == Some("message"));
        return Some(messages.filter_map(|o| text(o.get("content"))).collect());
    }
    // Anthropic's, TGI's and Ollama's have it inside; the others on top.
    let delta = json.get("delta");
    let token = json.get("token").filter(|t| t.get("special").and_then(Value::as_bool) != Some(true));
    text(delta.and_then(|d| d.get("text")))
        .or_else(|| text(token.and_then(|t| t.get("text"))))
        .or_else(|| text(json.get("message").and_then(|m| m.get("content"))))
        .or_else(|| {
            [delta, token, json.get("text"), json.get("content"), json.get("response")]
                .into_iter()
                .find_map(text)
        })
        .or_else(|| text(json.get("generated_text")))
}

/// A text, or the texts of a list of parts.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let spoken = parts.iter().filter(|p| p.get("thought").and_then(Value::as_bool) != Some(true));
            Some(spoken.filter_map(|p| p.get("text")?.as_str()).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_every_dialect() {
        let check = |data: &str, want: &str| {
            let json: Value = serde_json::from_str(data).expect(data);
            assert_eq!(content(&json), want, "{data}");
        };
        check(r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#, "Hi");
        check(r#"{"choices":[{"index":1,"delta":{"content":"No"}}]}"#, "");
        check(r#"{"choices":[{"delta":{"reasoning_content":"So","content":null}}]}"#, "");
        check(r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hi"}]}}]}"#, "Hi");
        check(r#"{"choices":[{"text":"Hi"}]}"#, "Hi");
        check(r#"{"choices":[],"usage":{}}"#, "");
        check(r#"{"type":"response.output_text.delta","delta":"Hi"}"#, "Hi");
        check(r#"{"type":"response.reasoning_text.delta","delta":"So"}"#, "");
        check(r#"{"type":"response.output_text.done","text":"Hi"}"#, "");
        check(r#"{"output":[{"type":"reasoning"},{"type":"message","content":[{"text":"Hi"}]}]}"#, "Hi");
        check(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#, "Hi");
        check(r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"So"}}"#, "");
        check(r#"{"type":"message","content":[{"type":"text","text":"Hi"}]}"#, "Hi");
        check(r#"{"candidates":[{"content":{"parts":[{"text":"So","thought":true},{"text":"Hi"}]}}]}"#, "Hi");
        check(r#"{"message":{"content":"Hi"},"done":false}"#, "Hi");
        check(r#"{"response":"Hi","done":false}"#, "Hi");
        check(r#"{"token":{"text":"Hi","special":false}}"#, "Hi");
        check(r#"{"token":{"text":"</s>","special":true},"generated_text":null}"#, "");
        check(r#"{"content":"Hi","stop":false}"#, "Hi");
        check(r#"{"token":"Hi"}"#, "Hi");
        check("\"Hi\"", "Hi");
        check("[1]", "");
    }
}
