//! The measures of one stream while it runs. Invariant: a gap is between the stamps of two consecutive
//! pieces of content, whatever else the stream says between them.

use std::time::Instant;

use super::WorkerCx;
use crate::{
    client::{ErrorClass, sse::Event},
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
    has_events: bool,
    /// Whether an event reported an error.
    has_error: bool,
    has_ended: bool,
}

impl<'s> Stream<'s> {
    pub(super) fn new(spec: &'s StreamSpec, step: usize) -> Self {
        Self {
            spec,
            step,
            first: None,
            last: None,
            chunks: 0,
            input_tokens: None,
            output_tokens: None,
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
            self.chunks += 1;
            self.first = self.first.or(Some(at));
            if let Some(last) = self.last.replace(at) {
                cx.tally(|t| t.chunk_gap(self.step, at.saturating_duration_since(last)));
            }
        }
        json
    }
}
