//! An answer on its way to the client, whole or as server-sent events in the chunks of OpenAI's chat completions.
//!
//! Invariant: every answer is counted and timed once, with its outcome, however it ends; only a whole one is cached.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, Sse},
    },
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Shared, UnderWay, error::ApiError};
use crate::service::{
    cache::{Cached, Key},
    failure::Failure,
    llm::{Event, Usage},
    metrics::{Outcome, Stage, Trace},
    pipeline::{Answer, Source},
    role::Role,
};

/// What the answer is an answer to.
pub(super) enum RunKind {
    /// A question about a patient; the answer names its passages.
    Query { cache_as: Option<Key> },
    /// A chat completion; whether a stream ends with a chunk for usage.
    Chat { include_usage: bool },
}

/// An answer under way.
pub(super) struct Run {
    shared: Arc<Shared>,
    role: Option<Role>,
    kind: RunKind,
    id: String,
    created: u64,
    trace: Trace,
    outcome: Option<Outcome>,
    /// When the model was asked, until the generation is recorded.
    asked: Option<Instant>,
    first_token: Option<Duration>,
    tokens: u32,
    text: String,
    usage: Usage,
    span: tracing::Span,
    _under_way: Option<UnderWay>,
}

/// What a stream sends next.
enum Next {
    Token,
    Usage,
    Done,
    Nothing,
}

static IDS: AtomicU64 = AtomicU64::new(0);

impl Run {
    pub(super) fn new(
        shared: &Arc<Shared>,
        role: Option<Role>,
        kind: RunKind,
        trace: Trace,
        under_way: Option<UnderWay>,
    ) -> Self {
        let prefix = if matches!(kind, RunKind::Chat { .. }) { "chatcmpl" } else { "query" };
        Self {
            shared: Arc::clone(shared),
            role,
            kind,
            id: format!("{prefix}-{}", IDS.fetch_add(1, Ordering::Relaxed)),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            trace,
            outcome: None,
            asked: None,
            first_token: None,
            tokens: 0,
            text: String::new(),
            usage: Usage { prompt_tokens: 0, output_tokens: 0, cut: false },
            span: tracing::Span::none(),
            _under_way: under_way,
        }
    }

    /// The answer has ended; only the first end counts.
    fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(outcome);
        let metrics = &self.shared.pipeline.metrics;
        if let Some(role) = self.role {
            metrics.query(role, outcome);
        }
        if let Some(asked) = self.asked.take() {
            let took = asked.elapsed();
            metrics.stage(Stage::Generate, took, &self.trace);
            self.span.record("gen_ai.usage.input_tokens", i64::from(self.usage.prompt_tokens));
            self.span.record("gen_ai.usage.output_tokens", i64::from(self.usage.output_tokens));
            if let Some(first) = self.first_token {
                self.span.record("gen_ai.response.time_to_first_chunk", first.as_secs_f64());
                let tokens = (self.usage.prompt_tokens, self.usage.output_tokens);
                metrics.generation(took, first, tokens, &self.trace);
            }
        }
        // A span ends, for OpenTelemetry, where it was last left.
        std::mem::replace(&mut self.span, tracing::Span::none()).in_scope(|| ());
    }

    /// The answer failed before or in its stream.
    pub(super) fn fail(&mut self, failure: &Failure) {
        if self.asked.is_some() {
            self.shared.pipeline.failed(Stage::Generate, failure, &self.span);
        }
        self.end(if failure.is_overload() { Outcome::Rejected } else { Outcome::Error });
    }

    /// Takes over what is measured of an answer.
    fn begin(&mut self, answer: &Answer) {
        self.asked = answer.asked;
        self.usage.prompt_tokens = answer.prompt_tokens;
        self.span = answer.span.clone();
    }

    /// The next token, or `None` after the last.
    async fn next(&mut self, answer: &mut Answer) -> Result<Option<String>, Failure> {
        let next = self.receive(answer).await;
        match &next {
            Ok(Some(token)) => {
                self.tokens += 1;
                self.usage.output_tokens = self.tokens;
                if matches!(self.kind, RunKind::Query { cache_as: Some(_) }) {
                    self.text.push_str(token);
                }
                if let (None, Some(asked)) = (self.first_token, answer.asked) {
                    let first = asked.elapsed();
                    self.first_token = Some(first);
                    self.shared.pipeline.metrics.first_token(first, &self.trace);
                }
            }
            Ok(None) => {
                if answer.asked.is_some() {
                    self.shared.pipeline.parts.report(Stage::Generate, true);
                }
                self.keep(&answer.sources);
                self.end(Outcome::Ok);
            }
            Err(failure) => self.fail(failure),
        }
        next
    }

    async fn receive(&mut self, answer: &mut Answer) -> Result<Option<String>, Failure> {
        if answer.breaks_after.is_some_and(|after| self.tokens >= after) {
            return Err(Failure::Planted { stage: Stage::Generate });
        }
        let timeouts = &self.shared.options.timeouts;
        let received = match answer.asked {
            None => Ok(answer.events.recv().await),
            Some(asked) => {
                let whole = timeout_at(asked + timeouts.generate, answer.events.recv());
                timeout(timeouts.token, whole).await.and_then(|inner| inner)
            }
        };
        match received {
            Ok(Some(Ok(Event::Token(token)))) => Ok(Some(token)),
            Ok(Some(Ok(Event::End(usage)))) => {
                self.usage = usage;
                Ok(None)
            }
            Ok(Some(Err(failure))) => Err(failure),
            Ok(None) => {
                let cause = "the answer broke off".to_owned();
                Err(Failure::Unavailable { stage: Stage::Generate, cause })
            }
            Err(_) => Err(Failure::Timeout { stage: Stage::Generate, after: timeouts.token }),
        }
    }

    fn keep(&mut self, sources: &Arc<[Source]>) {
        let RunKind::Query { cache_as } = &mut self.kind else { return };
        if let Some(key) = cache_as.take() {
            let text = std::mem::take(&mut self.text);
            self.shared.cache.put(key, Cached { text, sources: Arc::clone(sources), usage: self.usage });
        }
    }

    /// The whole answer in one JSON document.
    ///
    /// # Errors
    /// When the model fails on the way.
    pub(super) async fn whole(mut self, mut answer: Answer) -> Result<Response, ApiError> {
        self.begin(&answer);
        let mut text = String::new();
        while let Some(token) = self.next(&mut answer).await? {
            text.push_str(&token);
        }
        Ok(self.document(&text, &answer.sources))
    }

    /// An answer that was given before.
    pub(super) fn cached(mut self, cached: &Cached, as_stream: bool) -> Response {
        self.usage = cached.usage;
        self.end(Outcome::Ok);
        if !as_stream {
            return self.document(&cached.text, &cached.sources);
        }
        let events = [
            self.token_chunk(&cached.text, true).to_string(),
            self.finish_chunk().to_string(),
            self.usage_chunk(&cached.sources).to_string(),
            "[DONE]".to_owned(),
        ];
        let events = events.map(|data| Ok::<_, Infallible>(SseEvent::default().data(data)));
        Sse::new(stream::iter(events)).into_response()
    }

    fn document(&self, text: &str, sources: &[Source]) -> Response {
        let model = self.shared.pipeline.llm.name();
        let document = match self.kind {
            RunKind::Query { .. } => json!({
                "id": self.id,
                "model": model,
                "answer": text,
                "grounded": !sources.is_empty(),
                "sources": sources,
                "usage": self.usage_json(),
            }),
            RunKind::Chat { .. } => json!({
                "id": self.id,
                "object": "chat.completion",
                "created": self.created,
                "model": model,
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": self.finish_reason(),
                }],
                "usage": self.usage_json(),
            }),
        };
        Json(document).into_response()
    }

    /// The answer token by token. The last chunk but one of a query carries `usage` and `sources`, the last is `[DONE]`.
    /// A failure on the way is an event of its own, after which the stream ends without `[DONE]`.
    pub(super) fn stream(mut self, answer: Answer) -> Response {
        self.begin(&answer);
        let events = stream::unfold((self, answer, Next::Token), |(mut run, mut answer, next)| async move {
            let (data, next) = match next {
                Next::Token => {
                    let is_first = run.tokens == 0;
                    match run.next(&mut answer).await {
                        Ok(Some(token)) => (run.token_chunk(&token, is_first).to_string(), Next::Token),
                        Ok(None) => (run.finish_chunk().to_string(), run.after_finish()),
                        Err(failure) => (ApiError::from(failure).json().to_string(), Next::Nothing),
                    }
                }
                Next::Usage => (run.usage_chunk(&answer.sources).to_string(), Next::Done),
                Next::Done => ("[DONE]".to_owned(), Next::Nothing),
                Next::Nothing => return None,
            };
            Some((Ok::<_, Infallible>(SseEvent::default().data(data)), (run, answer, next)))
        });
        Sse::new(events).into_response()
    }

    fn after_finish(&self) -> Next {
        match self.kind {
            RunKind::Chat { include_usage: false } => Next::Done,
            _ => Next::Usage,
        }
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.shared.pipeline.llm.name(),
            "choices": choices,
        })
    }

    fn token_chunk(&self, token: &str, is_first: bool) -> Value {
        let mut delta = json!({"content": token});
        if is_first {
            delta["role"] = json!("assistant");
        }
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]))
    }

    fn finish_chunk(&self) -> Value {
        let choices = json!([{"index": 0, "delta": {}, "finish_reason": self.finish_reason()}]);
        let mut chunk = self.chunk(&choices);
        if matches!(self.after_finish(), Next::Done) {
            chunk["usage"] = self.usage_json();
        }
        chunk
    }

    fn usage_chunk(&self, sources: &[Source]) -> Value {
        let mut chunk = self.chunk(&json!([]));
        chunk["usage"] = self.usage_json();
        if matches!(self.kind, RunKind::Query { .. }) {
            chunk["sources"] = json!(sources);
        }
        chunk
    }

    fn finish_reason(&self) -> &'static str {
        if self.usage.cut { "length" } else { "stop" }
    }

    fn usage_json(&self) -> Value {
        let Usage { prompt_tokens, output_tokens, .. } = self.usage;
        json!({
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": prompt_tokens + output_tokens,
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}
