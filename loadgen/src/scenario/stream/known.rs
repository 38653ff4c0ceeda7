//! What an event, or a whole answer, of the usual services carries: content, token counts, an error, the end.
//!
//! Known are OpenAI's chat, completions and Responses, Anthropic's messages, Gemini, Ollama, TGI, llama.cpp, and smaller
//! services that put a text at `token`, `text`, `content` or `delta`. Invariant: nothing is built of what is not
//! looked at, and an event that has none of these is no content.

use serde::Deserialize;
use serde_json::value::RawValue;

/// What an event has in the usual places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) is_content: bool,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    /// Whether it reports an error, whatever the response's status is.
    pub(crate) is_error: bool,
    /// Whether it ends the stream.
    pub(crate) is_end: bool,
}

/// A value that was passed over, and is where it was.
type Raw<'d> = Option<&'d RawValue>;

#[derive(Deserialize)]
struct Top<'d> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'d>,
    choices: Raw<'d>,
    candidates: Raw<'d>,
    delta: Raw<'d>,
    token: Raw<'d>,
    text: Raw<'d>,
    content: Raw<'d>,
    message: Raw<'d>,
    response: Raw<'d>,
    thinking: Raw<'d>,
    usage: Raw<'d>,
    #[serde(rename = "usageMetadata")]
    usage_metadata: Raw<'d>,
    details: Raw<'d>,
    error: Raw<'d>,
    done: Raw<'d>,
    stop: Raw<'d>,
    generated_text: Raw<'d>,
    prompt_eval_count: Raw<'d>,
    eval_count: Raw<'d>,
    tokens_evaluated: Raw<'d>,
    tokens_predicted: Raw<'d>,
}

#[derive(Deserialize)]
struct Choice<'d> {
    #[serde(borrow)]
    delta: Raw<'d>,
    text: Raw<'d>,
}

/// A message, or what is new of one.
#[derive(Deserialize)]
struct Message<'d> {
    #[serde(borrow)]
    content: Raw<'d>,
    reasoning_content: Raw<'d>,
    reasoning: Raw<'d>,
    thinking: Raw<'d>,
    refusal: Raw<'d>,
    text: Raw<'d>,
    partial_json: Raw<'d>,
    tool_calls: Raw<'d>,
    function_call: Raw<'d>,
    usage: Raw<'d>,
}

#[derive(Deserialize)]
struct ToolCall<'d> {
    #[serde(borrow)]
    function: Raw<'d>,
}

#[derive(Deserialize)]
struct Function<'d> {
    #[serde(borrow)]
    name: Raw<'d>,
    arguments: Raw<'d>,
}

#[derive(Deserialize)]
struct Token<'d> {
    #[serde(borrow)]
    text: Raw<'d>,
    special: Raw<'d>,
}

#[derive(Deserialize)]
struct Candidate<'d> {
    #[serde(borrow)]
    content: Raw<'d>,
}

#[derive(Deserialize)]
struct Parts<'d> {
    #[serde(borrow)]
    parts: Raw<'d>,
}

#[derive(Deserialize)]
struct Part<'d> {
    #[serde(borrow)]
    text: Raw<'d>,
    #[serde(rename = "functionCall")]
    function_call: Raw<'d>,
}

#[derive(Deserialize)]
struct Usage<'d> {
    #[serde(borrow)]
    completion_tokens: Raw<'d>,
    output_tokens: Raw<'d>,
    prompt_tokens: Raw<'d>,
    input_tokens: Raw<'d>,
    cache_creation_input_tokens: Raw<'d>,
    cache_read_input_tokens: Raw<'d>,
    // Gemini's.
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Raw<'d>,
    #[serde(rename = "candidatesTokenCount")]
    candidates_token_count: Raw<'d>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_token_count: Raw<'d>,
    // TGI's.
    input_length: Raw<'d>,
    generated_tokens: Raw<'d>,
}

/// Reads a JSON object; `None` if it is none.
pub(crate) fn read(data: &str) -> Option<Known> {
    let Some(top) = object::<Top<'_>>(data) else {
        // A place that is there twice is the last one's.
        let tree: serde_json::Value = serde_json::from_str(data).ok()?;
        let whole = serde_json::to_string(tree.as_object()?).ok()?;
        return object::<Top<'_>>(&whole).map(|top| known(&top));
    };
    Some(known(&top))
}

fn known(top: &Top<'_>) -> Known {
    let kind = top.kind.and_then(text).unwrap_or_default();
    let (input_tokens, output_tokens) = tokens(top);
    Known {
        is_content: is_content(top, kind),
        input_tokens,
        output_tokens,
        is_error: is_error(top.error) || kind == "error" || kind == "response.failed",
        is_end: is_end(top, kind),
    }
}

fn is_content(top: &Top<'_>, kind: &str) -> bool {
    // The Responses API repeats at the end what its deltas have said.
    if let Some(event) = kind.strip_prefix("response.") {
        return event.ends_with(".delta") && is_text(top.delta);
    }
    [top.delta, top.token, top.text, top.response, top.thinking].into_iter().any(is_text)
        || is_text_or_parts(top.content)
        || top
            .token
            .and_then(|t| object(t.get()))
            .is_some_and(|t: Token<'_>| is_text(t.text) && t.special.is_none_or(|s| s.get() != "true"))
        || [top.delta, top.message].into_iter().any(is_message)
        || items(top.choices)
            .iter()
            .filter_map(|c| object(c.get()))
            .any(|c: Choice<'_>| is_text(c.text) || is_message(c.delta))
        || items(top.candidates).iter().filter_map(|c| object(c.get())).any(|c: Candidate<'_>| {
            let content = c.content.and_then(|c| object::<Parts<'_>>(c.get()));
            content.is_some_and(|c| is_text_or_parts(c.parts))
        })
}

fn is_message(value: Raw<'_>) -> bool {
    let Some(m) = value.and_then(|v| object::<Message<'_>>(v.get())) else { return false };
    let texts = [m.reasoning_content, m.reasoning, m.thinking, m.refusal, m.text, m.partial_json];
    is_text_or_parts(m.content)
        || texts.into_iter().any(is_text)
        || is_call(m.function_call)
        || items(m.tool_calls)
            .iter()
            .filter_map(|c| object(c.get()))
            .any(|c: ToolCall<'_>| is_call(c.function))
}

/// Whether a function is called: its name or a piece of its arguments.
fn is_call(value: Raw<'_>) -> bool {
    let Some(f) = value.and_then(|v| object::<Function<'_>>(v.get())) else { return false };
    let has_arguments = f.arguments.is_some_and(|a| is_object(a.get()));
    is_text(f.name) || is_text(f.arguments) || has_arguments
}

/// A text, or a list of parts of which one has a text or calls a function.
fn is_text_or_parts(value: Raw<'_>) -> bool {
    is_text(value)
        || items(value)
            .iter()
            .filter_map(|p| object(p.get()))
            .any(|p: Part<'_>| is_text(p.text) || p.function_call.is_some_and(|c| is_object(c.get())))
}

fn is_error(value: Raw<'_>) -> bool {
    value.is_some_and(|v| !matches!(v.get(), "null" | "false" | "\"\"" | "{}" | "[]"))
}

fn is_end(top: &Top<'_>, kind: &str) -> bool {
    let is_true = |value: Raw<'_>| value.is_some_and(|v| v.get() == "true");
    matches!(kind, "message_stop" | "response.completed" | "response.incomplete" | "response.failed")
        || is_true(top.done)
        || is_true(top.stop)
        || top.generated_text.is_some_and(|t| t.get() != "null")
}

/// Input and output tokens.
fn tokens(top: &Top<'_>) -> (Option<u64>, Option<u64>) {
    let inner = [top.response, top.message].into_iter().flatten();
    let inner = inner.filter_map(|m| object::<Message<'_>>(m.get())).find_map(|m| m.usage);
    let usage = [top.usage, inner, top.usage_metadata, top.details];
    let usage = usage.into_iter().flatten().find_map(|u| object::<Usage<'_>>(u.get()));
    let is_llama_end = top.stop.is_some_and(|s| s.get() == "true");
    let llama = |value| if is_llama_end { count(value) } else { None };
    let (mut input, mut output) = (
        count(top.prompt_eval_count).or_else(|| llama(top.tokens_evaluated)),
        count(top.eval_count).or_else(|| llama(top.tokens_predicted)),
    );
    if let Some(u) = usage {
        let cached = [u.cache_creation_input_tokens, u.cache_read_input_tokens];
        let cached: u64 = cached.into_iter().filter_map(count).sum();
        let own = count(u.prompt_tokens).or_else(|| count(u.input_tokens).map(|n| n + cached));
        input = own.or_else(|| count(u.prompt_token_count)).or_else(|| count(u.input_length)).or(input);
        let thoughts = count(u.thoughts_token_count).unwrap_or(0);
        let own = count(u.completion_tokens).or_else(|| count(u.output_tokens));
        let gemini = count(u.candidates_token_count).map(|n| n + thoughts);
        output = own.or(gemini).or_else(|| count(u.generated_tokens)).or(output);
    }
    (input, output)
}

/// A list would be read field by field, too.
fn object<'d, T: Deserialize<'d>>(text: &'d str) -> Option<T> {
    if is_object(text) { serde_json::from_str(text).ok() } else { None }
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

fn items(value: Raw<'_>) -> Vec<&RawValue> {
    let list = value.filter(|v| v.get().starts_with('['));
    list.and_then(|v| serde_json::from_str(v.get()).ok()).unwrap_or_default()
}

/// Whether a value is a text that is not empty.
fn is_text(value: Raw<'_>) -> bool {
    value.is_some_and(|v| v.get().starts_with('"') && v.get() != "\"\"")
}

/// A text that needs no unescaping.
fn text(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
}

fn count(value: Raw<'_>) -> Option<u64> {
    // A number without sign, point and exponent.
    value?.get().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(data: &str, want: bool) {
        assert_eq!(read(data).map(|k| k.is_content), Some(want), "{data}");
    }

    #[test]
    fn content_of_every_dialect() {
        content(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false);
        content(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#, true);
        content(r#"{"choices":[{"delta":{"content":[{"type":"text","text":"Hi"}]}}]}"#, true);
        content(r#"{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"Hi"}}]}"#, true);
        content(r#"{"choices":[{"delta":{"reasoning_content":"So"}}]}"#, true);
        content(
            r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"function":{"name":"look","arguments":""}}]}}]}"#,
            true,
        );
        content(
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"q\""}}]}}]}"#,
            true,
        );
        content(r#"{"choices":[{"delta":{"refusal":"No"}}]}"#, true);
        content(r#"{"choices":[{"text":"Hi"}]}"#, true);
        content(r#"{"choices":[],"usage":{"completion_tokens":5}}"#, false);
        // Azure's first frame.
        content(r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#, false);
        content(r#"{"type":"response.output_text.delta","delta":"Hi"}"#, true);
        content(r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, true);
        content(r#"{"type":"response.output_text.done","text":"Hi"}"#, false);
        content(
            r#"{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"output_tokens":1}}}"#,
            false,
        );
        content(r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#, false);
        content(r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hi"}}"#, true);
        content(
            r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}"#,
            true,
        );
        content(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
            false,
        );
        content(r#"{"type":"ping"}"#, false);
        content(r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#, true);
        content(r#"{"message":{"role":"assistant","content":"Hi"},"done":false}"#, true);
        content(r#"{"response":"Hi","done":false}"#, true);
        content(r#"{"response":"","done":true}"#, false);
        content(r#"{"index":1,"token":{"id":5,"text":" Hi","special":false},"generated_text":null}"#, true);
        content(r#"{"token":{"id":2,"text":"</s>","special":true},"generated_text":"Hi"}"#, false);
        content(r#"{"content":" Hi","stop":false}"#, true);
        content(r#"{"token":"a"}"#, true);
        content(r#"{"sources":[{"text":"a document"}]}"#, false);
        content(r#"{"prompt_progress":{"total":9}}"#, false);
        content(r#"{"token":"","token":"a"}"#, true);
        assert_eq!(read("42"), None);
        assert_eq!(read("[1]"), None);
    }

    #[test]
    fn tokens_of_every_dialect() {
        let check = |data: &str, want: (Option<u64>, Option<u64>)| {
            let known = read(data).expect(data);
            assert_eq!((known.input_tokens, known.output_tokens), want, "{data}");
        };
        check(r#"{"usage":{"prompt_tokens":7,"completion_tokens":9}}"#, (Some(7), Some(9)));
        check(r#"{"usage":{"input_tokens":7,"output_tokens":9}}"#, (Some(7), Some(9)));
        check(r#"{"usage":null}"#, (None, None));
        check(
            r#"{"type":"message_start","message":{"usage":{"input_tokens":2,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
            (Some(7), Some(1)),
        );
        check(
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":9}}}"#,
            (Some(7), Some(9)),
        );
        check(
            r#"{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":4,"thoughtsTokenCount":5}}"#,
            (Some(7), Some(9)),
        );
        check(r#"{"done":true,"prompt_eval_count":7,"eval_count":9}"#, (Some(7), Some(9)));
        check(
            r#"{"generated_text":"x","details":{"input_length":7,"generated_tokens":9}}"#,
            (Some(7), Some(9)),
        );
        check(r#"{"stop":true,"tokens_evaluated":7,"tokens_predicted":9}"#, (Some(7), Some(9)));
        check(r#"{"usage":{"completion_tokens":"5","prompt_tokens":6.0}}"#, (None, None));
    }

    #[test]
    fn errors_and_ends_of_every_dialect() {
        let flags = |data: &str| read(data).map(|k| (k.is_error, k.is_end)).expect(data);
        assert_eq!(flags(r#"{"error":{"message":"…","code":500}}"#), (true, false));
        assert_eq!(flags(r#"{"error":"overloaded","error_type":"overloaded"}"#), (true, false));
        assert_eq!(flags(r#"{"type":"error","code":"server_error"}"#), (true, false));
        assert_eq!(flags(r#"{"type":"response.failed","response":{"error":{"code":"x"}}}"#), (true, true));
        assert_eq!(flags(r#"{"error":null,"token":"a"}"#), (false, false));
        assert_eq!(flags(r#"{"type":"message_stop"}"#), (false, true));
        assert_eq!(flags(r#"{"done":true}"#), (false, true));
        assert_eq!(flags(r#"{"generated_text":"x"}"#), (false, true));
    }
}
