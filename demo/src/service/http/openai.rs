//! `/v1/models`, `/v1/embeddings` and `/v1/chat/completions`, as OpenAI's clients and the field's LLM benchmarks call them.
//!
//! Invariant: keys that are not known are accepted and ignored, as those clients expect; what is known and impossible is
//! refused.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    answer::{Run, RunKind},
    body,
    error::ApiError,
};
use crate::service::{embed::Vector, llm::Request, metrics::Trace, prompt, role::Right};

pub(super) async fn models(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared.authorize(&headers, Right::UseModels, &trace)?;
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "assay"});
    let mut data = vec![model(shared.pipeline.llm.name())];
    data.extend(shared.pipeline.parts.opened().map(|opened| model(opened.embedder.model.name())));
    Ok(Json(json!({"object": "list", "data": data})).into_response())
}

#[derive(Deserialize)]
struct Embeddings {
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

const EMBEDDINGS_EXAMPLE: &str = r#"{"input": ["…"], "encoding_format": "float"}"#;

/// Texts of one request at most, as OpenAI has it.
const MOST_TEXTS: usize = 2048;

pub(super) async fn embeddings(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let caller = shared.authorize(&headers, Right::UseModels, &trace)?;
    let request: Embeddings = body::json(&shared, body, EMBEDDINGS_EXAMPLE).await?;
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS || texts.iter().any(String::is_empty) {
        let message = format!("input: expected 1 to {MOST_TEXTS} texts, none of them empty");
        return Err(ApiError::bad_request("invalid_input", message));
    }
    let _under_way = shared.begin(&caller)?;
    let pipeline = &shared.pipeline;
    let model = Arc::clone(&pipeline.opened()?.embedder.model);
    let tokens: usize = texts.iter().map(|text| model.tokens(text)).sum();
    let vectors = pipeline.embed(texts, pipeline.draw().embed, &trace).await?;
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = match request.encoding_format {
                Encoding::Float => json!(&vector[..]),
                Encoding::Base64 => json!(base64(vector)),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    Ok(Json(json!({
        "object": "list",
        "data": data,
        "model": model.name(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
    .into_response())
}

/// Little-endian floats in base64, which OpenAI's client asks for unless told otherwise.
fn base64(vector: &Vector) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[derive(Deserialize)]
struct Chat {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    min_tokens: Option<u32>,
    #[serde(default)]
    ignore_eos: bool,
    #[serde(default)]
    n: Option<u32>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

const CHAT_EXAMPLE: &str = r#"{"messages": [{"role": "user", "content": "…"}], "stream": true}"#;

/// The longest answer, in tokens.
const LONGEST_ANSWER: u32 = 8192;

impl Message {
    fn text(self) -> String {
        match self.content {
            None => String::new(),
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => parts.into_iter().map(|part| part.text).collect(),
        }
    }
}

impl Chat {
    fn check(&self) -> Result<(), ApiError> {
        let bad = |code, message: String| Err(ApiError::bad_request(code, message));
        if self.messages.is_empty() {
            return bad("invalid_messages", format!("messages is empty; send JSON such as {CHAT_EXAMPLE}"));
        }
        if self.n.is_some_and(|n| n != 1) {
            return bad("invalid_n", "n: only 1 is possible".to_owned());
        }
        match self.longest() {
            Some(n) if n == 0 || n > LONGEST_ANSWER => {
                bad("invalid_max_tokens", format!("max_tokens is {n}: expected 1 to {LONGEST_ANSWER}"))
            }
            _ => Ok(()),
        }
    }

    fn longest(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// How long the simulated model's answer would be by itself; `None` for a length that it chooses.
    fn own_length(&self) -> Option<usize> {
        match (self.ignore_eos, self.longest(), self.min_tokens) {
            // One more than allowed, so that it is cut, as it is where a model may not end.
            (true, Some(longest), _) => Some(longest as usize + 1),
            (_, _, Some(least)) => Some(least.min(LONGEST_ANSWER) as usize),
            _ => None,
        }
    }
}

pub(super) async fn chat(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let caller = shared.authorize(&headers, Right::UseModels, &trace)?;
    let chat: Chat = body::json(&shared, body, CHAT_EXAMPLE).await?;
    chat.check()?;
    let under_way = shared.begin(&caller)?;
    let (own_length, max_tokens) = (chat.own_length(), chat.longest());
    let include_usage = chat.stream_options.as_ref().is_some_and(|o| o.include_usage);
    let wants_stream = chat.stream;
    let messages: Vec<_> = chat.messages.into_iter().map(|m| (m.role.clone(), m.text())).collect();
    let pipeline = &shared.pipeline;
    let request = Request {
        prompt_tokens: messages.iter().map(|(_, text)| prompt::tokenize(text).len() as u32).sum(),
        answer: pipeline.chat_answer(own_length),
        messages,
        max_tokens,
        time: pipeline.draw().generate,
    };
    let mut run = Run::new(&shared, None, RunKind::Chat { include_usage }, trace.clone(), Some(under_way));
    match pipeline.generate(request, &trace).await {
        Ok(answer) if wants_stream => Ok(run.stream(answer)),
        Ok(answer) => run.whole(answer).await,
        Err(failure) => {
            run.fail(&failure);
            Err(failure.into())
        }
    }
}
