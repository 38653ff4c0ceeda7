//! The span of an attempt. Invariant: without a tracer nothing here is reached.

use std::{rc::Rc, time::Instant};

use serde::Deserialize;

use super::{Attempt, Rendered, WorkerCx};
use crate::{
    client::{ErrorClass, protocol::Version},
    engine::user::User,
    measure::tally::Generation,
    scenario::Step,
    trace::{
        IterationSpan, RequestSpan,
        request::{Begun, Outcome},
    },
};

impl WorkerCx {
    /// Begins the trace of a user's iteration, where there are traces.
    pub(crate) fn trace_iteration(&self, user: &mut User, due: Instant) -> Option<IterationSpan> {
        let tracer = self.tracer.as_ref()?;
        let span = IterationSpan::begin(tracer, user.index, due);
        user.trace = Some(span.context);
        Some(span)
    }

    /// Begins the span of an attempt, where there are traces.
    pub(super) fn trace_attempt(
        &self,
        user: &User,
        step: &Step,
        resent: u32,
        at: Instant,
    ) -> Option<RequestSpan> {
        let tracer = self.tracer.as_ref()?;
        let name = self.scenario.steps.get(step.id)?;
        let begun =
            Begun { step: &name.name, method: &step.method, template: step.url.literal(), resent, at };
        Some(RequestSpan::begin(tracer, user.trace?, &begun))
    }
}

/// The part of a generation's request that a span reports.
#[derive(Deserialize)]
struct Asked {
    model: Option<String>,
}

impl Attempt<'_> {
    /// Notes what is to be sent.
    pub(super) fn trace_sends(&mut self, rendered: &Rc<Rendered>) {
        let Some(span) = self.span.as_mut().filter(|s| s.is_sampled()) else { return };
        let origin = &rendered.origin;
        span.goes_to(&origin.to_string(), &rendered.path.to_string(), &origin.host, origin.port);
        let version = match self.cx.settings.version {
            Version::Http1 => "1.1",
            Version::Http2 => "2",
        };
        span.put("network.protocol.version", version);
        let name = self.cx.scenario.steps.get(self.step.id).filter(|n| n.is_stream);
        if let Some(name) = name {
            span.put("gen_ai.operation.name", name.operation);
            let asked = serde_json::from_slice::<Asked>(&rendered.body);
            if let Some(model) = asked.ok().and_then(|a| a.model) {
                span.put("gen_ai.request.model", model);
            }
        }
    }

    /// Ends the span with what was measured.
    pub(super) fn trace_end(
        &mut self,
        end: Instant,
        error: Option<ErrorClass>,
        generation: Option<&Generation>,
    ) {
        let Some(span) = self.span.take() else { return };
        span.end(&Outcome {
            end,
            status: self.status,
            error,
            first_chunk: self.stream.as_ref().and_then(|s| s.first),
            input_tokens: generation.and_then(|g| g.tokens.input),
            output_tokens: generation.filter(|g| g.is_counted).and_then(|g| g.tokens.output),
        });
    }
}
