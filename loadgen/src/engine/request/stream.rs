//! The measures of one stream while it runs. Invariant: a gap is between the stamps of two consecutive
//! pieces of content, whatever else the stream says between them.

use std::time::{Duration, Instant};

use super::WorkerCx;
use crate::{
    client::{ErrorClass, reply::MAX_KEPT_BYTES, sse::Event},
    scenario::{StreamEvent, StreamSpec},
};

pub(super) struct Stream<'s> {
    spec: &'s StreamSpec,
    step: usize,
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
    pub(super) chunks: u64,
    pub(super) input_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
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
            input_tokens: None,
            output_tokens: None,
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
    pub(super) fn tokens(&self) -> Option<u64> {
        self.output_tokens.or((self.chunks > 0).then_some(self.chunks))
    }

    /// The time from the first content to the last, for each output token after the first.
    pub(super) fn per_token(&self) -> Option<Duration> {
        let gaps = u32::try_from(self.tokens()?.checked_sub(1)?).ok().filter(|gaps| *gaps > 0)?;
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
        let StreamEvent { is_content, input_tokens, output_tokens, is_error, is_end, json } =
            self.spec.read(event.name, event.data, needs_json);
        self.has_events = true;
        self.has_error |= is_error;
        self.has_ended |= is_end;
        self.input_tokens = input_tokens.or(self.input_tokens);
        self.output_tokens = output_tokens.or(self.output_tokens);
        if is_content {
            if let Some(text) = self.text.as_mut().filter(|t| t.len() < MAX_KEPT_BYTES) {
                text.push_str(&self.spec.text(event.data, json.as_ref()));
            }
            self.chunks += 1;
            self.first = self.first.or(Some(at));
            if let Some(last) = self.last.replace(at) {
                cx.tally(|t| t.chunk_gap(self.step, at.saturating_duration_since(last)));
            }
        }
        json
    }
}
