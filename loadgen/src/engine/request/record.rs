//! What is recorded of an attempt. Invariant: one that was begun is recorded exactly once, unless its client cancelled it or a
//! person stopped it, which is counted apart.

use std::time::{Duration, Instant};

use super::{Attempt, stream::Stream};
use crate::{
    client::{ErrorClass, Failure},
    measure::tally::{Generation, Measured, Outcome},
    scenario::Tokens,
};

impl Attempt<'_> {
    pub(super) fn record(&mut self, end: Instant, error: Option<ErrorClass>) {
        self.is_recorded = true;
        let sent = self.sent.unwrap_or(self.started);
        let since_sent = |at: Instant| at.saturating_duration_since(sent);
        let (duration, latency) = (since_sent(end), end.saturating_duration_since(self.due));
        let generation = self.generation(duration, since_sent);
        self.trace_end(end, error, generation.as_ref());
        let objectives = &self.step.objectives;
        let within = |limit: Option<Duration>, took: Option<Duration>| {
            limit.is_none_or(|limit| took.is_some_and(|t| t <= limit))
        };
        let first_chunk = generation.as_ref().and_then(|g| g.first_chunk);
        let per_token = generation.as_ref().and_then(|g| g.per_token);
        let is_good = error.is_none()
            && within(objectives.duration, Some(duration))
            && within(objectives.latency, Some(latency))
            && within(objectives.first_chunk, first_chunk)
            // One token alone has no time per token.
            && within(objectives.per_token, first_chunk.map(|_| per_token.unwrap_or_default()))
            && within(objectives.chunk_gap, self.stream.as_ref().map(|s| s.longest_gap));
        let measured = Measured {
            step: self.step.id,
            user: self.user,
            sent_at: sent,
            outcome: Outcome { status: self.status, error },
            duration,
            latency,
            parts: self.parts,
            is_good,
            received: self.received,
            sent: self.written,
            generation,
        };
        self.cx.tally(|t| t.request(&measured));
    }

    /// Counts an attempt that its client cancelled.
    pub(super) fn cancelled(&mut self, end: Instant) {
        self.is_recorded = true;
        self.trace_end(end, Some(ErrorClass::Cancelled), None);
        let tokens = self.stream.as_ref().map_or(0, Stream::so_far);
        self.cx.tally(|t| t.cancelled(self.step.id, tokens));
    }

    fn generation(&self, duration: Duration, since_sent: impl Fn(Instant) -> Duration) -> Option<Generation> {
        let stream = self.stream.as_ref().filter(|s| s.has_events());
        match stream {
            Some(s) => Some(Generation {
                duration: s.last.map_or(duration, &since_sent),
                first_chunk: s.first.map(&since_sent),
                per_token: s.per_token(),
                tokens: Tokens { output: s.output_tokens(), ..s.tokens },
                is_counted: s.tokens.output.is_some(),
                is_stream: true,
            }),
            None if self.step.is_generation || self.step.stream.is_some() => Some(Generation {
                duration,
                first_chunk: None,
                per_token: None,
                tokens: self.tokens,
                is_counted: self.tokens.output.is_some(),
                is_stream: false,
            }),
            None => None,
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_recorded {
            return;
        }
        // Where an earlier response of a chain was received, its bytes are counted already.
        if let Some(stamps) = self.stamps.take().filter(|_| self.sent.is_none()) {
            self.note_times(&stamps);
        }
        if self.cx.is_stopping.get() {
            self.trace_end(Instant::now(), Some(ErrorClass::Interrupted), None);
            self.cx.tally(|t| t.interrupted(self.step.id));
            return;
        }
        let detail = "still open when its phase and the grace after it were over";
        self.exemplify(Instant::now(), Failure::new(ErrorClass::Unfinished, detail), None);
        self.record(Instant::now(), Some(ErrorClass::Unfinished));
    }
}
