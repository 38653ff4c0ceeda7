//! The span of one iteration: the root of its trace. Invariant: it begins at the instant that the schedule
//! intended, and one that is cut short is recorded as such.

use std::{rc::Rc, time::Instant};

use super::{
    WorkerTracer,
    context::Context,
    span::{Span, Value},
};
use crate::client::ErrorClass;

/// An iteration that is on; dropped before its end, it records itself as interrupted.
pub(crate) struct IterationSpan {
    tracer: Rc<WorkerTracer>,
    pub(crate) context: Context,
    user: u32,
    due: Instant,
    is_recorded: bool,
}

impl IterationSpan {
    /// Begins the trace of an iteration of user `user` (from 0) that was due at `due`.
    pub(crate) fn begin(tracer: &Rc<WorkerTracer>, user: u32, due: Instant) -> Self {
        let trace_id = u128::from(tracer.id()) << 64 | u128::from(tracer.id());
        let context = Context::new(trace_id, tracer.id(), tracer.shared.bound);
        Self { tracer: Rc::clone(tracer), context, user, due, is_recorded: false }
    }

    /// Ends it at `at`; `error` is that of the step that failed.
    pub(crate) fn end(mut self, at: Instant, error: Option<ErrorClass>) {
        self.record(at, error);
    }

    fn record(&mut self, at: Instant, error: Option<ErrorClass>) {
        self.is_recorded = true;
        if !self.context.is_sampled {
            return;
        }
        let tracer = &self.tracer;
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("load.scenario", (&*tracer.scenario).into()),
            ("load.phase", (&**tracer.phase.borrow()).into()),
            ("load.user", i64::from(self.user + 1).into()),
        ];
        if let Some(error) = error {
            attributes.push(("error.type", error.to_string().into()));
        }
        tracer.push(Span {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            parent: None,
            name: "iteration".to_owned(),
            is_client: false,
            start_ns: tracer.nanos(self.due),
            end_ns: tracer.nanos(at),
            attributes,
            events: Vec::new(),
            is_error: error.is_some(),
        });
    }
}

impl Drop for IterationSpan {
    fn drop(&mut self) {
        if !self.is_recorded {
            let class = self.tracer.cut_short_by.get();
            self.record(Instant::now(), Some(class));
        }
    }
}
