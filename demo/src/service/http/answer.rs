//! An answer on its way to the client, whole or as server-sent events.
//!
//! Invariant: every query that was let in is counted once, with its outcome, however it ends.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use serde_json::{Value, json};

use super::{MODEL, Outcome, Shared, Stage};
use crate::service::{options::Role, pipeline::Answer};

/// A query under way.
pub(super) struct Run {
    shared: Arc<Shared>,
    role: Role,
    id: String,
    outcome: Option<Outcome>,
    first_token: Option<Duration>,
    output_tokens: u32,
}

/// What a stream sends next.
enum Next {
    Token,
    Usage,
    Done,
    Nothing,
}

impl Run {
    pub(super) fn new(shared: Arc<Shared>, role: Role, id: String) -> Self {
        Self { shared, role, id, outcome: None, first_token: None, output_tokens: 0 }
    }

    /// The query has ended; only the first end counts.
    pub(super) fn end(&mut self, outcome: Outcome) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            self.shared.metrics.query(self.role, outcome);
        }
    }

    /// The next token, or `None` after the last.
    async fn next(&mut self, answer: &mut Answer) -> Option<String> {
        let token = answer.tokens.recv().await;
        let elapsed = answer.asked.elapsed();
        if token.is_some() {
            self.output_tokens += 1;
            if self.first_token.is_none() {
                self.first_token = Some(elapsed);
                self.shared.metrics.first_token(elapsed);
            }
        } else {
            let metrics = &self.shared.metrics;
            metrics.stage(Stage::Generate, elapsed);
            let first = self.first_token.unwrap_or(elapsed);
            metrics.generation(elapsed, first, answer.prompt_tokens, self.output_tokens);
            self.end(Outcome::Ok);
        }
        token
    }

    /// The whole answer in one JSON document.
    pub(super) async fn whole(mut self, mut answer: Answer) -> Response {
        let start = Instant::now();
        let mut text = String::new();
        while let Some(token) = self.next(&mut answer).await {
            text.push_str(&token);
        }
        Json(json!({
            "id": self.id,
            "model": MODEL,
            "answer": text,
            "sources": answer.sources,
            "usage": self.usage(&answer),
            "generation_ms": start.elapsed().as_secs_f64() * 1000.0,
        }))
        .into_response()
    }

    /// The answer token by token, in the chunks of OpenAI's chat completions; the last but one carries `usage` and
    /// `sources`, the last is `[DONE]`.
    pub(super) fn stream(self, answer: Answer) -> Response {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let events =
            stream::unfold((self, answer, Next::Token), move |(mut run, mut answer, next)| async move {
                let (data, next) = match next {
                    Next::Token => match run.next(&mut answer).await {
                        Some(token) => {
                            let choices =
                                json!([{"index": 0, "delta": {"content": token}, "finish_reason": null}]);
                            (run.chunk(created, &choices).to_string(), Next::Token)
                        }
                        None => {
                            let choices = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
                            (run.chunk(created, &choices).to_string(), Next::Usage)
                        }
                    },
                    Next::Usage => {
                        let mut chunk = run.chunk(created, &json!([]));
                        chunk["usage"] = run.usage(&answer);
                        chunk["sources"] = json!(answer.sources);
                        (chunk.to_string(), Next::Done)
                    }
                    Next::Done => ("[DONE]".to_owned(), Next::Nothing),
                    Next::Nothing => return None,
                };
                Some((Ok::<_, Infallible>(Event::default().data(data)), (run, answer, next)))
            });
        Sse::new(events).into_response()
    }

    fn chunk(&self, created: u64, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": MODEL,
            "choices": choices,
        })
    }

    fn usage(&self, answer: &Answer) -> Value {
        json!({
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": answer.prompt_tokens + self.output_tokens,
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}
