//! A model elsewhere: any server of OpenAI's chat completions, its stream passed through.
//!
//! Invariant: whatever the server sends, the answer ends with its usage or a failure that names the stage; a stream
//! that breaks off, or that is no stream of chat completions, is a failure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Event, Events, Request, Usage};
use crate::service::{failure::Failure, metrics::Stage};

/// Where the model is.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// The base URL; `/v1/chat/completions` is below it, and a `/v1` at its end is not doubled.
    pub url: String,
    /// The key, sent as a bearer token.
    pub api_key: Option<String>,
    /// The model's name; the first of `/v1/models` when absent.
    pub model: Option<String>,
    /// Until the server begins to answer.
    pub connect: Duration,
}

/// A client of one server.
pub(crate) struct Remote {
    client: Client,
    url: String,
    api_key: Option<String>,
    model: String,
    connect: Duration,
    active: AtomicUsize,
}

/// Events on the way to a client that reads slowly.
const BUFFERED: usize = 256;

/// A line of a stream longer than this is no chat completion.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<ServerUsage>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct ServerUsage {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
}

fn unavailable(cause: impl Into<String>) -> Failure {
    Failure::Unavailable { stage: Stage::Generate, cause: cause.into() }
}

impl Remote {
    pub(super) fn new(options: &RemoteOptions) -> Result<Self, String> {
        let url = options.url.trim_end_matches('/');
        Ok(Self {
            client: crate::client_builder()
                .connect_timeout(options.connect)
                .build()
                .map_err(|cause| cause.to_string())?,
            url: url.strip_suffix("/v1").unwrap_or(url).to_owned(),
            api_key: options.api_key.clone(),
            model: options.model.clone().unwrap_or_else(|| "default".to_owned()),
            connect: options.connect,
            active: AtomicUsize::new(0),
        })
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.api_key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(super) async fn probe(&self) -> Result<(), String> {
        let request = self.client.get(format!("{}/v1/models", self.url)).timeout(self.connect);
        match self.authorized(request).send().await {
            Ok(reply) if reply.status().is_success() => Ok(()),
            Ok(reply) => Err(format!("the server returned {}", reply.status())),
            Err(cause) => Err(away(&cause)),
        }
    }

    pub(super) async fn generate(self: Arc<Self>, request: Request) -> Result<Events, Failure> {
        let messages: Vec<_> =
            request.messages.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        if let Some(most) = request.max_tokens {
            body["max_tokens"] = json!(most);
        }
        let mut headers = reqwest::header::HeaderMap::new();
        TraceContextPropagator::new().inject_context(
            &tracing::Span::current().context(),
            &mut opentelemetry_http::HeaderInjector(&mut headers),
        );
        let post = self.client.post(format!("{}/v1/chat/completions", self.url)).headers(headers).json(&body);
        let sent = tokio::time::timeout(self.connect, self.authorized(post).send());
        let reply = match sent.await {
            Err(_) => return Err(Failure::Timeout { stage: Stage::Generate, after: self.connect }),
            Ok(Err(cause)) => return Err(unavailable(away(&cause))),
            Ok(Ok(reply)) => reply,
        };
        let status = reply.status();
        if !status.is_success() {
            return Err(unavailable(format!("the server returned {status}")));
        }
        let (sender, events) = mpsc::channel(BUFFERED);
        let fallback_tokens = request.prompt_tokens;
        let server = Arc::clone(&self);
        server.active.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let last = pass_on(reply, &sender, fallback_tokens).await;
            // A reader that has left needs no end.
            let _ = sender.send(last.map(Event::End)).await;
            server.active.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(events)
    }
}

/// Sends every piece of text on; yields how the answer ended. Ends early when the reader leaves.
async fn pass_on(
    mut reply: Response,
    sender: &mpsc::Sender<Result<Event, Failure>>,
    prompt_tokens: u32,
) -> Result<Usage, Failure> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut usage = Usage { prompt_tokens, output_tokens: 0, cut: false };
    let mut finished = false;
    loop {
        let bytes = tokio::select! {
            bytes = reply.chunk() => bytes.map_err(|_| unavailable("the stream broke off"))?,
            () = sender.closed() => return Ok(usage),
        };
        let Some(bytes) = bytes else {
            return if finished { Ok(usage) } else { Err(unavailable("the stream ended without a finish")) };
        };
        buffer.extend_from_slice(&bytes);
        while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { continue };
            if data == b"[DONE]" {
                return if finished {
                    Ok(usage)
                } else {
                    Err(unavailable("the stream ended without a finish"))
                };
            }
            let chunk: Chunk = serde_json::from_slice(data)
                .map_err(|_| unavailable("the server sent something other than a chat completion"))?;
            if chunk.error.is_some() {
                return Err(unavailable("the server reported an error in the stream"));
            }
            for choice in chunk.choices {
                if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                    usage.output_tokens += 1;
                    if sender.send(Ok(Event::Token(text))).await.is_err() {
                        return Ok(usage);
                    }
                }
                if let Some(reason) = choice.finish_reason {
                    finished = true;
                    usage.cut = reason == "length";
                }
            }
            if let Some(server) = chunk.usage {
                usage.prompt_tokens = server.prompt_tokens;
                usage.output_tokens = server.completion_tokens;
            }
        }
        if buffer.len() > LONGEST_LINE {
            return Err(unavailable("the server sent a line that does not end"));
        }
    }
}

/// What is wrong with the connection, without the URL, which may hold credentials.
fn away(cause: &reqwest::Error) -> String {
    if cause.is_timeout() { "the server did not answer in time" } else { "the server cannot be reached" }
        .to_owned()
}
