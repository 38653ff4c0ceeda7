//! The dialects: how each service says the same. Written from the services' own documentation, not from what the
//! generator knows; a frame says itself whether it is content, so that the generator's reader is held to it.

#![allow(clippy::needless_pass_by_value, reason = "values are made by json! where they are passed")]

use serde_json::{Value, json};

use super::answers::Answer;

/// Tokens that services count where they do.
const INPUT: u64 = 11;
const OUTPUT: u64 = 23;
const REASONED: u64 = 5;

/// An event, or a line.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) event: Option<&'static str>,
    pub(super) data: String,
    /// Whether it carries a piece of an answer: content, reasoning, a tool call.
    pub(super) is_content: bool,
    /// What it adds to the first answer's text.
    pub(super) text: String,
    /// Input and output tokens that it reports.
    pub(super) usage: Option<(u64, u64)>,
    /// Whether it is the end's marker and nothing else.
    pub(super) is_end: bool,
}

/// A dialect.
pub(super) struct Dialect {
    pub(super) name: &'static str,
    pub(super) is_ndjson: bool,
    frames: fn(&Answer, bool) -> Vec<Frame>,
    error: fn() -> Frame,
}

impl Dialect {
    pub(super) fn frames(&self, answer: &Answer, has_usage: bool) -> Vec<Frame> {
        (self.frames)(answer, has_usage)
    }

    pub(super) fn error(&self) -> Frame {
        (self.error)()
    }
}

const fn sse(name: &'static str, frames: fn(&Answer, bool) -> Vec<Frame>, error: fn() -> Frame) -> Dialect {
    Dialect { name, is_ndjson: false, frames, error }
}

const fn ndjson(
    name: &'static str,
    frames: fn(&Answer, bool) -> Vec<Frame>,
    error: fn() -> Frame,
) -> Dialect {
    Dialect { name, is_ndjson: true, frames, error }
}

pub(super) static ALL: [Dialect; 12] = [
    sse("openai-chat", openai_chat, openai_error),
    sse("openai-completions", openai_completions, openai_error),
    sse("openai-responses", openai_responses, responses_error),
    sse("azure", azure, openai_error),
    sse("vllm", vllm, openai_error),
    sse("llama-cpp", llama_cpp, openai_error),
    sse("llama-cpp-chat", llama_cpp_chat, openai_error),
    sse("tgi", tgi, tgi_error),
    sse("anthropic", anthropic, anthropic_error),
    sse("gemini", gemini, gemini_error),
    ndjson("ollama-chat", ollama_chat, ollama_error),
    ndjson("ollama-generate", ollama_generate, ollama_error),
];

fn frame(data: Value) -> Frame {
    Frame {
        event: None,
        data: data.to_string(),
        is_content: false,
        text: String::new(),
        usage: None,
        is_end: false,
    }
}

fn done() -> Frame {
    Frame { data: "[DONE]".to_owned(), is_end: true, ..frame(Value::Null) }
}

impl Frame {
    fn content(self) -> Self {
        Self { is_content: true, ..self }
    }

    /// Content of the first answer.
    fn says(self, text: &str) -> Self {
        Self { text: text.to_owned(), ..self.content() }
    }

    fn counts(self, usage: Option<(u64, u64)>) -> Self {
        Self { usage, ..self }
    }

    fn named(self, event: &'static str) -> Self {
        Self { event: Some(event), ..self }
    }
}

fn usage_of(has_usage: bool) -> Option<(u64, u64)> {
    has_usage.then_some((INPUT, OUTPUT))
}

fn chat_chunk(index: u64, delta: Value, finish: Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})
}

fn chat_usage() -> Value {
    json!({"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
        "completion_tokens_details": {"reasoning_tokens": REASONED}})
}

/// The deltas of a chat, reasoning under `reasoning`.
fn chat(answer: &Answer, reasoning: &str) -> Vec<Frame> {
    let mut frames = vec![frame(chat_chunk(0, json!({"role": "assistant", "content": ""}), Value::Null))];
    for piece in answer.reasoning {
        frames.push(frame(chat_chunk(0, json!({reasoning: piece}), Value::Null)).content());
    }
    for (i, piece) in answer.content.iter().enumerate() {
        frames.push(frame(chat_chunk(0, json!({"content": piece}), Value::Null)).says(piece));
        if let Some(second) = answer.second.get(i) {
            frames.push(frame(chat_chunk(1, json!({"content": second}), Value::Null)).content());
        }
    }
    if let Some((name, arguments)) = answer.tool {
        let call = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}], "content": null});
        frames.push(frame(chat_chunk(0, call, Value::Null)).content());
        for piece in arguments {
            let call = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
            frames.push(frame(chat_chunk(0, call, Value::Null)).content());
        }
    }
    let finish = if answer.tool.is_some() { "tool_calls" } else { "stop" };
    frames.push(frame(chat_chunk(0, json!({}), json!(finish))));
    if !answer.second.is_empty() {
        frames.push(frame(chat_chunk(1, json!({}), json!("stop"))));
    }
    frames
}

fn with_usage_chunk(mut frames: Vec<Frame>, has_usage: bool) -> Vec<Frame> {
    if has_usage {
        let data =
            json!({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": chat_usage()});
        frames.push(frame(data).counts(usage_of(true)));
    }
    frames.push(done());
    frames
}

fn openai_chat(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    // OpenAI hides reasoning.
    let hidden = Answer { reasoning: &[], ..answer.clone() };
    with_usage_chunk(chat(&hidden, "reasoning"), has_usage)
}

fn azure(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let first =
        json!({"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]});
    let filter =
        json!({"choices": [{"index": 0, "delta": {}, "content_filter_offsets": {"check_offset": 4}}]});
    let mut frames = vec![frame(first)];
    frames.extend(openai_chat(answer, has_usage));
    frames.insert(frames.len() - 1, frame(filter));
    frames
}

/// vLLM reports usage with each chunk where asked to, and reasoning as `reasoning_content`.
fn vllm(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut frames = chat(answer, "reasoning_content");
    if has_usage {
        for (i, f) in frames.iter_mut().enumerate() {
            let mut data: Value = serde_json::from_str(&f.data).expect("our own");
            let so_far = i as u64;
            data["usage"] =
                json!({"prompt_tokens": INPUT, "completion_tokens": so_far, "total_tokens": INPUT + so_far});
            f.data = data.to_string();
            f.usage = Some((INPUT, so_far));
        }
    }
    with_usage_chunk(frames, has_usage)
}

fn llama_cpp_chat(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut frames = with_usage_chunk(chat(answer, "reasoning_content"), has_usage);
    let progress =
        json!({"choices": [], "prompt_progress": {"total": 9, "cache": 0, "processed": 4, "time_ms": 3}});
    frames.insert(0, frame(progress));
    frames
}

fn openai_completions(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let chunk = |index: u64, text: &str, finish: Value| json!({"id": "c1", "object": "text_completion", "choices": [{"index": index, "text": text, "logprobs": null, "finish_reason": finish}]});
    let mut frames = Vec::new();
    for (i, piece) in answer.content.iter().enumerate() {
        frames.push(frame(chunk(0, piece, Value::Null)).says(piece));
        if let Some(second) = answer.second.get(i) {
            frames.push(frame(chunk(1, second, Value::Null)).content());
        }
    }
    frames.push(frame(chunk(0, "", json!("stop"))));
    with_usage_chunk(frames, has_usage)
}

fn openai_error() -> Frame {
    frame(json!({"error": {"message": "the engine died", "type": "server_error", "code": 500}}))
}

fn openai_responses(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut number = 0;
    let mut event = |kind: &'static str, mut data: Value| {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(number);
        number += 1;
        frame(data).named(kind)
    };
    let mut frames = vec![
        event("response.created", json!({"response": {"id": "r1", "status": "in_progress", "output": []}})),
        event(
            "response.output_item.added",
            json!({"output_index": 0, "item": {"type": "message", "content": []}}),
        ),
    ];
    for piece in answer.reasoning {
        frames.push(event("response.reasoning_summary_text.delta", json!({"delta": piece})).content());
    }
    for piece in answer.content {
        frames.push(
            event("response.output_text.delta", json!({"delta": piece, "output_index": 0})).says(piece),
        );
    }
    let whole = answer.content.concat();
    frames.push(event("response.output_text.done", json!({"text": whole})));
    if let Some((_, arguments)) = answer.tool {
        for piece in arguments {
            frames.push(event("response.function_call_arguments.delta", json!({"delta": piece})).content());
        }
    }
    let usage = has_usage.then(|| {
        json!({"input_tokens": INPUT, "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": REASONED}, "total_tokens": INPUT + OUTPUT})
    });
    let item = json!({"type": "message", "content": [{"type": "output_text", "text": whole}]});
    let response = json!({"response": {"id": "r1", "status": "completed", "output": [item], "usage": usage}});
    frames.push(event("response.completed", response).counts(usage_of(has_usage)));
    frames
}

fn responses_error() -> Frame {
    frame(json!({"type": "error", "code": "server_error", "message": "no", "param": null, "sequence_number": 3})).named("error")
}

fn anthropic(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let event = |kind: &'static str, mut data: Value| {
        data["type"] = json!(kind);
        frame(data).named(kind)
    };
    let mut message = json!({"message": {"id": "m1", "role": "assistant", "content": [], "model": "m", "stop_reason": null}});
    if has_usage {
        message["message"]["usage"] =
            json!({"input_tokens": INPUT - 4, "cache_read_input_tokens": 4, "output_tokens": 1});
    }
    let mut frames = vec![event("message_start", message).counts(has_usage.then_some((INPUT, 1)))];
    frames.push(event("ping", json!({})));
    for piece in answer.reasoning {
        frames.push(
            event(
                "content_block_delta",
                json!({"index": 0, "delta": {"type": "thinking_delta", "thinking": piece}}),
            )
            .content(),
        );
    }
    frames.push(event(
        "content_block_start",
        json!({"index": 1, "content_block": {"type": "text", "text": ""}}),
    ));
    for piece in answer.content {
        frames.push(
            event("content_block_delta", json!({"index": 1, "delta": {"type": "text_delta", "text": piece}}))
                .says(piece),
        );
    }
    if let Some((name, arguments)) = answer.tool {
        frames.push(event(
            "content_block_start",
            json!({"index": 2, "content_block": {"type": "tool_use", "id": "t1", "name": name, "input": {}}}),
        ));
        for piece in arguments {
            frames.push(
                event(
                    "content_block_delta",
                    json!({"index": 2, "delta": {"type": "input_json_delta", "partial_json": piece}}),
                )
                .content(),
            );
        }
    }
    frames.push(event("content_block_stop", json!({"index": 1})));
    let mut delta = json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}});
    if has_usage {
        delta["usage"] = json!({"output_tokens": OUTPUT});
    }
    frames.push(event("message_delta", delta).counts(usage_of(has_usage)));
    frames.push(Frame { is_end: true, ..event("message_stop", json!({})) });
    frames
}

fn anthropic_error() -> Frame {
    frame(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
        .named("error")
}

/// Gemini has usage in every chunk, and no mark of the end.
fn gemini(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut said = 0;
    let mut chunk = |part: Option<Value>, finish: Option<&str>| {
        said += 1;
        let parts: Vec<Value> = part.into_iter().collect();
        let mut data = json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": finish}], "modelVersion": "m"});
        let output = if finish.is_some() { OUTPUT } else { said };
        if has_usage {
            data["usageMetadata"] = json!({"promptTokenCount": INPUT, "candidatesTokenCount": output - 1, "thoughtsTokenCount": 1});
        }
        frame(data).counts(has_usage.then_some((INPUT, output)))
    };
    let mut frames = Vec::new();
    for piece in answer.reasoning {
        frames.push(chunk(Some(json!({"text": piece, "thought": true})), None).content());
    }
    for piece in answer.content {
        frames.push(chunk(Some(json!({"text": piece})), None).says(piece));
    }
    if let Some((name, arguments)) = answer.tool {
        let arguments: Value = serde_json::from_str(&arguments.concat()).expect("our own");
        frames.push(chunk(Some(json!({"functionCall": {"name": name, "args": arguments}})), None).content());
    }
    frames.push(chunk(None, Some("STOP")));
    frames
}

fn gemini_error() -> Frame {
    frame(json!({"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}}))
}

/// One token an event; the last has the whole text again.
fn tgi(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let token =
        |text: &str, special: bool| json!({"id": 5, "text": text, "logprob": -0.1, "special": special});
    let mut frames: Vec<Frame> = answer
        .content
        .iter()
        .map(|piece| {
            frame(json!({"index": 1, "token": token(piece, false), "generated_text": null, "details": null}))
                .says(piece)
        })
        .collect();
    let details = has_usage.then(|| json!({"finish_reason": "eos_token", "generated_tokens": OUTPUT, "seed": null, "input_length": INPUT}));
    let last = json!({"index": 9, "token": token("</s>", true), "generated_text": answer.content.concat(), "details": details});
    frames.push(frame(last).counts(usage_of(has_usage)));
    frames
}

fn tgi_error() -> Frame {
    frame(json!({"error": "the queue is full", "error_type": "overloaded"}))
}

fn llama_cpp(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut frames: Vec<Frame> = answer
        .content
        .iter()
        .map(|piece| frame(json!({"index": 0, "content": piece, "tokens": [42], "stop": false})).says(piece))
        .collect();
    let mut last =
        json!({"index": 0, "content": "", "stop": true, "stop_type": "eos", "timings": {"prompt_n": 9}});
    if has_usage {
        last["tokens_evaluated"] = json!(INPUT);
        last["tokens_predicted"] = json!(OUTPUT);
    }
    frames.push(frame(last).counts(usage_of(has_usage)));
    frames
}

fn ollama_end(mut last: Value, has_usage: bool) -> Frame {
    last["model"] = json!("m");
    last["done"] = json!(true);
    last["done_reason"] = json!("stop");
    last["total_duration"] = json!(5000);
    if has_usage {
        last["prompt_eval_count"] = json!(INPUT);
        last["eval_count"] = json!(OUTPUT);
    }
    frame(last).counts(usage_of(has_usage))
}

fn ollama_chat(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let line = |message: Value| {
        frame(json!({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false}))
    };
    let mut frames = Vec::new();
    for piece in answer.reasoning {
        frames.push(line(json!({"role": "assistant", "content": "", "thinking": piece})).content());
    }
    for piece in answer.content {
        frames.push(line(json!({"role": "assistant", "content": piece})).says(piece));
    }
    if let Some((name, arguments)) = answer.tool {
        let arguments: Value = serde_json::from_str(&arguments.concat()).expect("our own");
        let call = json!({"function": {"name": name, "arguments": arguments}});
        frames.push(line(json!({"role": "assistant", "content": "", "tool_calls": [call]})).content());
    }
    frames.push(ollama_end(json!({"message": {"role": "assistant", "content": ""}}), has_usage));
    frames
}

fn ollama_generate(answer: &Answer, has_usage: bool) -> Vec<Frame> {
    let mut frames: Vec<Frame> = answer
        .reasoning
        .iter()
        .map(|piece| frame(json!({"model": "m", "response": "", "thinking": piece, "done": false})).content())
        .collect();
    frames.extend(
        answer
            .content
            .iter()
            .map(|piece| frame(json!({"model": "m", "response": piece, "done": false})).says(piece)),
    );
    frames.push(ollama_end(json!({"response": ""}), has_usage));
    frames
}

fn ollama_error() -> Frame {
    frame(json!({"error": "the runner has ended"}))
}
