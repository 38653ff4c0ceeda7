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
    /// Whether the content is all of it reasoning.
    pub(crate) is_reasoning: bool,
    pub(crate) tokens: Tokens,
    /// Whether it reports an error, whatever the response's status is.
    pub(crate) is_error: bool,
    /// Whether it ends the stream.
    pub(crate) is_end: bool,
}

/// Tokens as a service counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: Option<u64>,
    /// Among the input, those that were in a cache.
    pub(crate) cached: Option<u64>,
    pub(crate) output: Option<u64>,
    /// Among the output, those of reasoning.
    pub(crate) reasoning: Option<u64>,
}

impl Tokens {
    /// What a later event says, and what earlier ones said of the rest.
    pub(crate) fn or(self, before: Self) -> Self {
        Self {
            input: self.input.or(before.input),
            cached: self.cached.or(before.cached),
            output: self.output.or(before.output),
            reasoning: self.reasoning.or(before.reasoning),
        }
    }
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
    thought: Raw<'d>,
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
    prompt_tokens_details: Raw<'d>,
    input_tokens_details: Raw<'d>,
    completion_tokens_details: Raw<'d>,
    output_tokens_details: Raw<'d>,
    // Gemini's.
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Raw<'d>,
    #[serde(rename = "candidatesTokenCount")]
    candidates_token_count: Raw<'d>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_token_count: Raw<'d>,
    #[serde(rename = "cachedContentTokenCount")]
    cached_content_token_count: Raw<'d>,
    // TGI's.
    input_length: Raw<'d>,
    generated_tokens: Raw<'d>,
}

/// What tokens are made of.
#[derive(Deserialize)]
struct Details<'d> {
    #[serde(borrow)]
    cached_tokens: Raw<'d>,
    reasoning_tokens: Raw<'d>,
    thinking_tokens: Raw<'d>,
}

/// Reads a JSON object; `None` if it is none.
pub(crate) fn read(data: &str) -> Option<Known> {
    let Some(top) = object::<Top<'_>>(data) else {
        // A place that is there twice is the last one's.
        let tree: serde_json::Value = serde_json::from_str(data).ok()?;
        let whole = serde_json::to_string(tree.as_object()?).ok()?;
        return object::<Top<'_>>(&whole).map(|top| known(&top, &whole));
    };
    Some(known(&top, data))
}

fn known(top: &Top<'_>, data: &str) -> Known {
    let kind = top.kind.and_then(text).unwrap_or_default();
    let is_content = is_content(top, kind);
    Known {
        is_content,
        // Most events need not be read a second time.
        is_reasoning: is_content && may_be_reasoning(data) && is_reasoning(top, kind),
        tokens: tokens(top),
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

fn may_be_reasoning(data: &str) -> bool {
    [&b"reason"[..], b"think", b"thought"]
        .iter()
        .any(|word| memchr::memmem::find(data.as_bytes(), word).is_some())
}

/// Whether content has reasoning, and nothing else.
fn is_reasoning(top: &Top<'_>, kind: &str) -> bool {
    if kind.starts_with("response.") {
        return kind.starts_with("response.reasoning");
    }
    let is_thought = |value: Raw<'_>| {
        let Some(m) = value.and_then(|v| object::<Message<'_>>(v.get())) else { return false };
        [m.reasoning_content, m.reasoning, m.thinking].into_iter().any(is_text)
            && !(is_text_or_parts(m.content)
                || is_text(m.text)
                || is_text(m.refusal)
                || m.tool_calls.is_some())
    };
    let of_choices = items(top.choices);
    let mut choices = of_choices.iter().filter_map(|c| object::<Choice<'_>>(c.get())).peekable();
    if choices.peek().is_some() {
        return choices.all(|c| !is_text(c.text) && is_thought(c.delta));
    }
    let parts = items(top.candidates);
    let mut parts = parts
        .iter()
        .filter_map(|c| object::<Candidate<'_>>(c.get())?.content)
        .filter_map(|c| object::<Parts<'_>>(c.get())?.parts)
        .flat_map(|p| items(Some(p)))
        .filter_map(|p| object::<Part<'_>>(p.get()))
        .peekable();
    if parts.peek().is_some() {
        return parts.all(|p| p.thought.is_some_and(|t| t.get() == "true"));
    }
    is_thought(top.delta) || is_thought(top.message) || (is_text(top.thinking) && !is_text(top.response))
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

fn tokens<'d>(top: &Top<'d>) -> Tokens {
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
    let (mut cached_tokens, mut reasoning) = (None, None);
    if let Some(u) = usage {
        let cached = [u.cache_creation_input_tokens, u.cache_read_input_tokens];
        let cached: u64 = cached.into_iter().filter_map(count).sum();
        let own = count(u.prompt_tokens).or_else(|| count(u.input_tokens).map(|n| n + cached));
        input = own.or_else(|| count(u.prompt_token_count)).or_else(|| count(u.input_length)).or(input);
        let thoughts = count(u.thoughts_token_count).unwrap_or(0);
        let own = count(u.completion_tokens).or_else(|| count(u.output_tokens));
        let gemini = count(u.candidates_token_count).map(|n| n + thoughts);
        output = own.or(gemini).or_else(|| count(u.generated_tokens)).or(output);
        let details =
            |value: [Raw<'d>; 2]| value.into_iter().flatten().find_map(|v| object::<Details<'_>>(v.get()));
        let cached_of = details([u.prompt_tokens_details, u.input_tokens_details]);
        cached_tokens = cached_of
            .and_then(|d| count(d.cached_tokens))
            .or_else(|| count(u.cache_read_input_tokens))
            .or_else(|| count(u.cached_content_token_count));
        reasoning = details([u.completion_tokens_details, u.output_tokens_details])
            .and_then(|d| count(d.reasoning_tokens).or_else(|| count(d.thinking_tokens)))
            .or_else(|| count(u.thoughts_token_count));
    }
    Tokens { input, cached: cached_tokens, output, reasoning }
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
mod tests;
