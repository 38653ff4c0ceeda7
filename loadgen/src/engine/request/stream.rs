//! The measures of one stream while it runs. Invariant: a gap is between the stamps of two consecutive
//! pieces of content, whatever else the stream says between them.

use std::time::{Duration, Instant};

use super::WorkerCx;
use crate::{
    client::{ErrorClass, reply::MAX_KEPT_BYTES, sse::Event},
    scenario::{StreamEvent, StreamSpec, Tokens},
};

pub(super) struct Stream<'s> {
    spec: &'s StreamSpec,
    step: usize,
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
    pub(super) chunks: u64,
    /// The longest gap between two pieces of content.
    pub(super) longest_gap: Duration,
    /// As the server counts them.
    pub(super) tokens: Tokens,
    /// Whether there was reasoning among the content.
    has_reasoning: bool,
    /// The pieces of content, joined, where they are wanted.
    pub(super) text: Option<String>,
    has_events: bool,
    /// Whether an event reported an error.
    has_error: bool,
    has_ended: bool,
}

impl<'s> Stream<'s> {
    pub(super) fn new(spec: &'s StreamSpec, step: usize, wants_text: bool) -> Self {
        Self {
            spec,
            step,
            first: None,
            last: None,
            chunks: 0,
            longest_gap: Duration::ZERO,
            tokens: Tokens::default(),
            has_reasoning: false,
            text: wants_text.then(String::new),
            has_events: false,
            has_error: false,
            has_ended: false,
        }
    }

    /// Whether there was any event: a response may be a plain answer instead.
    pub(super) fn has_events(&self) -> bool {
        self.has_events
    }

    /// Why the stream is a failure though its status is that of a success.
    pub(super) fn failure(&self) -> Option<ErrorClass> {
        if self.has_error {
            Some(ErrorClass::ReportedError)
        } else if self.has_events && self.spec.require_done && !self.has_ended {
            Some(ErrorClass::CutStream)
        } else {
            None
        }
    }

    /// The output tokens that the server counted, else the pieces of content.
    pub(super) fn output_tokens(&self) -> Option<u64> {
        self.tokens.output.or((self.chunks > 0).then_some(self.chunks))
    }

    /// How many tokens there were up to now: as the server counts along, else the pieces of content.
    pub(super) fn so_far(&self) -> u64 {
        self.chunks.max(self.tokens.output.unwrap_or(0))
    }

    /// The time from the first content to the last, for each output token after the first.
    pub(super) fn per_token(&self) -> Option<Duration> {
        // Reasoning that is counted and not sent took its time before the first content.
        let hidden = if self.has_reasoning { 0 } else { self.tokens.reasoning.unwrap_or(0) };
        let visible = self.output_tokens()?.checked_sub(hidden)?;
        let gaps = u32::try_from(visible.checked_sub(1)?).ok().filter(|gaps| *gaps > 0)?;
        Some(self.last?.saturating_duration_since(self.first?) / gaps)
    }

    /// Takes an event whose last byte was read `at`; gives its data where that is JSON
    /// and needed.
    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        at: Instant,
        cx: &WorkerCx,
        needs_json: bool,
    ) -> Option<serde_json::Value> {
        let StreamEvent { is_content, is_reasoning, tokens, is_error, is_end, json } =
            self.spec.read(event.name, event.data, needs_json);
        self.has_events = true;
        self.has_error |= is_error;
        self.has_ended |= is_end;
        self.tokens = tokens.or(self.tokens);
        if is_content {
            self.has_reasoning |= is_reasoning;
            if let Some(text) = self.text.as_mut().filter(|t| t.len() < MAX_KEPT_BYTES) {
                text.push_str(&self.spec.text(event.data, json.as_ref()));
            }
            self.chunks += 1;
            self.first = self.first.or(Some(at));
            if let Some(last) = self.last.replace(at) {
                let gap = at.saturating_duration_since(last);
                self.longest_gap = self.longest_gap.max(gap);
                cx.tally(|t| t.chunk_gap(self.step, gap));
            }
        }
        json
    }
}
