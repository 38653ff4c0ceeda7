//! The message that an answer is, as the next request has it in its history: put together from the events of a stream, or
//! taken from a whole answer.
//!
//! Known are OpenAI's chat, Anthropic's messages and Ollama's chat. Invariant: of several answers (`n: 2`) it is the first one's,
//! and reasoning is no part of it, but in Anthropic's API, which wants it back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::client::reply::MAX_KEPT_BYTES;

/// What was said so far.
#[derive(Debug, Default)]
pub(crate) struct Message {
    text: String,
    has_text: bool,
    /// Calls of tools, by their number.
    calls: BTreeMap<u64, Value>,
    /// Anthropic's blocks, by their number.
    blocks: BTreeMap<u64, Value>,
    /// A message that came as a whole.
    whole: Option<Value>,
    bytes: usize,
}

impl Message {
    /// Takes an event of a stream, or a whole answer.
    pub(crate) fn take(&mut self, json: &Value) {
        match json.get("type").and_then(Value::as_str).unwrap_or_default() {
            "content_block_start" => self.block(json),
            "content_block_delta" => self.block_delta(json),
            "message" => self.whole = role_and(json, &["content"]),
            _ => self.chat(json),
        }
    }

    /// The message; `None` if nothing was said.
    pub(crate) fn finish(&self) -> Option<Value> {
        if let Some(whole) = &self.whole {
            return Some(whole.clone());
        }
        if !self.blocks.is_empty() {
            let blocks: Vec<Value> = self.blocks.values().map(with_input).collect();
            return Some(json!({"role": "assistant", "content": blocks}));
        }
        let mut message = Map::from_iter([("role".to_owned(), json!("assistant"))]);
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), self.calls.values().cloned().collect());
        } else if !self.has_text {
            return None;
        }
        message.insert("content".to_owned(), json!(self.text));
        Some(Value::Object(message))
    }

    /// OpenAI's and Ollama's.
    fn chat(&mut self, json: &Value) {
        let choice = json.get("choices").and_then(Value::as_array).and_then(|choices| {
            choices.iter().find(|c| c.get("index").and_then(Value::as_u64).unwrap_or(0) == 0)
        });
        if let Some(message) = choice.and_then(|c| c.get("message")) {
            self.whole = role_and(message, &["content", "tool_calls"]);
            return;
        }
        let Some(delta) = choice.and_then(|c| c.get("delta")).or_else(|| json.get("message")) else { return };
        if let Some(text) = delta.get("content").and_then(Value::as_str) {
            self.has_text = true;
            let own = &mut self.text;
            grow(&mut self.bytes, own, text);
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            // Ollama's come whole and without a number.
            let number = call.get("index").and_then(Value::as_u64).unwrap_or(self.calls.len() as u64);
            self.call(number, call);
        }
    }

    /// A call, or what is new of one: its id and name come once, its arguments in pieces.
    fn call(&mut self, number: u64, new: &Value) {
        let Some(known) = self.calls.get_mut(&number) else {
            let mut call = new.clone();
            if let Some(call) = call.as_object_mut() {
                call.remove("index");
            }
            self.insert(|own| &mut own.calls, number, call);
            return;
        };
        let piece = new.pointer("/function/arguments").and_then(Value::as_str);
        if let (Some(piece), Some(arguments)) = (piece, arguments_of(known)) {
            grow(&mut self.bytes, arguments, piece);
        }
    }

    fn block(&mut self, json: &Value) {
        if let (Some(number), Some(block)) = (number(json), json.get("content_block")) {
            self.insert(|own| &mut own.blocks, number, block.clone());
        }
    }

    /// Adds a call or a block, unless the whole would be longer than a body may be.
    fn insert(&mut self, list: fn(&mut Self) -> &mut BTreeMap<u64, Value>, number: u64, value: Value) {
        self.bytes = self.bytes.saturating_add(LEAST_BYTES + value.to_string().len());
        if self.bytes <= MAX_KEPT_BYTES {
            list(self).insert(number, value);
        }
    }

    fn block_delta(&mut self, json: &Value) {
        let Some((block, delta)) = number(json)
            .and_then(|n| self.blocks.get_mut(&n))
            .and_then(Value::as_object_mut)
            .zip(json.get("delta"))
        else {
            return;
        };
        for (from, to) in [
            ("text", "text"),
            ("thinking", "thinking"),
            ("signature", "signature"),
            ("partial_json", PARTIAL),
        ] {
            let Some(piece) = delta.get(from).and_then(Value::as_str) else { continue };
            let field = block.entry(to).or_insert_with(|| json!(""));
            if let Value::String(text) = field {
                grow(&mut self.bytes, text, piece);
            }
        }
    }
}

/// Where the input of a tool is gathered until it is whole.
const PARTIAL: &str = "partial_json";
/// What a call or a block takes besides its text, about.
const LEAST_BYTES: usize = 256;

/// Where the arguments of a call are gathered; the first piece may come without any. `None` where they came as a whole.
fn arguments_of(call: &mut Value) -> Option<&mut String> {
    let function = call.as_object_mut()?.entry("function").or_insert_with(|| json!({}));
    let arguments = function.as_object_mut()?.entry("arguments").or_insert(Value::Null);
    if arguments.is_null() {
        *arguments = json!("");
    }
    match arguments {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn number(json: &Value) -> Option<u64> {
    json.get("index").and_then(Value::as_u64)
}

/// A block with the input of a tool as a value.
fn with_input(block: &Value) -> Value {
    let mut block = block.clone();
    if let Some(fields) = block.as_object_mut()
        && let Some(partial) = fields.remove(PARTIAL)
        && let Some(input) = partial.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok())
    {
        fields.insert("input".to_owned(), input);
    }
    block
}

/// The role and some other fields of a message, those that are null left out.
fn role_and(message: &Value, fields: &[&str]) -> Option<Value> {
    let mut out = Map::from_iter([("role".to_owned(), json!("assistant"))]);
    for field in fields {
        if let Some(value) = message.get(field).filter(|v| !v.is_null()) {
            out.insert((*field).to_owned(), value.clone());
        }
    }
    (out.len() > 1).then_some(Value::Object(out))
}

/// Adds a piece, unless the whole would be longer than a body may be.
fn grow(bytes: &mut usize, text: &mut String, piece: &str) {
    *bytes = bytes.saturating_add(piece.len());
    if *bytes <= MAX_KEPT_BYTES {
        text.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[&str], want: &str) {
        let mut message = Message::default();
        for event in events {
            message.take(&serde_json::from_str(event).expect(event));
        }
        let want: Value = serde_json::from_str(want).expect(want);
        assert_eq!(message.finish().unwrap_or_default(), want);
    }

    #[test]
    fn messages_are_what_the_next_request_has_to_repeat() {
        check(
            &[
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"Hel"}},{"index":1,"delta":{"content":"No"}}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"lo"}}]}"#,
                r#"{"choices":[],"usage":{"completion_tokens":2}}"#,
            ],
            r#"{"role":"assistant","content":"Hello"}"#,
        );
        check(
            &[
                r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\":"}}]}}]}"#,
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}},{"index":1,"id":"c2","type":"function","function":{"name":"b","arguments":"{}"}}]}}]}"#,
            ],
            r#"{"role":"assistant","content":"","tool_calls":[{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"q\":1}"}},{"id":"c2","type":"function","function":{"name":"b","arguments":"{}"}}]}"#,
        );
        check(
            &[
                r#"{"choices":[{"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c"}]}}]}"#,
            ],
            r#"{"role":"assistant","tool_calls":[{"id":"c"}]}"#,
        );
        check(
            &[
                r#"{"type":"message_start","message":{"role":"assistant","content":[]}}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"look","input":{}}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"q\""}}"#,
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
                r#"{"type":"message_stop"}"#,
            ],
            r#"{"role":"assistant","content":[{"type":"text","text":"Hi"},{"type":"tool_use","id":"t","name":"look","input":{"q":1}}]}"#,
        );
        check(
            &[r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}]}"#],
            r#"{"role":"assistant","content":[{"type":"text","text":"Hi"}]}"#,
        );
        check(
            &[
                r#"{"message":{"role":"assistant","content":"Hi","tool_calls":[{"function":{"name":"a","arguments":{"q":1}}}]},"done":false}"#,
                r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"b","arguments":{}}}]},"done":true}"#,
            ],
            r#"{"role":"assistant","content":"Hi","tool_calls":[{"function":{"name":"a","arguments":{"q":1}}},{"function":{"name":"b","arguments":{}}}]}"#,
        );
        check(&[r#"{"error":"no"}"#], "null");
    }

    #[test]
    fn arguments_may_begin_after_their_call() {
        let call = |function: &str| {
            format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,{function}}}]}}}}]}}"#)
        };
        let want = r#"{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}"#;
        for first in [
            r#""id":"c","function":{"name":"f"}"#,
            r#""id":"c","function":{"name":"f","arguments":null}"#,
            r#""id":"c","function":{"name":"f","arguments":""}"#,
        ] {
            check(
                &[
                    &call(first),
                    &call(r#""function":{"arguments":"{"}"#),
                    &call(r#""function":{"arguments":"}"}"#),
                ],
                want,
            );
        }
    }

    #[test]
    fn what_is_kept_of_a_stream_without_an_end_is_bounded() {
        let text = "x".repeat(1 << 20);
        let (mut chat, mut blocks) = (Message::default(), Message::default());
        for n in 0..100 {
            chat.take(&json!({"choices": [{"delta": {"tool_calls": [{"index": n, "id": text}]}}]}));
            blocks.take(&json!({"type": "content_block_start", "index": n, "content_block": {"text": text}}));
        }
        for message in [&chat, &blocks] {
            let kept = message.finish().unwrap_or_default().to_string().len();
            assert!((MAX_KEPT_BYTES / 2..=MAX_KEPT_BYTES + 1024).contains(&kept), "{kept}");
        }
        // Small ones take memory too.
        let mut small = Message::default();
        for n in 0..100_000u64 {
            small.insert(|own| &mut own.calls, n, Value::Null);
        }
        assert!(small.calls.len() < MAX_KEPT_BYTES / LEAST_BYTES, "{}", small.calls.len());
    }
}
