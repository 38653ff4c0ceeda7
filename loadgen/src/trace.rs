//! Traces: a span for each iteration and each attempt at a request, and the `traceparent` that services see.
//!
//! Invariant: whether a trace is sampled is decided once, by its id, and holds for all of its spans and for
//! the services it reaches. Spans wait in a buffer of bounded size; what does not fit is counted. A run
//! without a [`Tracer`] does nothing of this.

mod context;
mod iteration;
mod kept;
pub(crate) mod request;
pub(crate) mod span;

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

pub(crate) use self::{context::Context, iteration::IterationSpan, request::RequestSpan};
use self::{context::sampling_bound, kept::Kept, span::Span};
use crate::client::ErrorClass;

/// How many spans of one worker wait at most, between two pushes.
const MAX_WAITING: usize = 16_384;

/// Collects the spans of a run; cloning shares it.
#[derive(Clone, Debug)]
pub struct Tracer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A trace is sampled where the number from its id is below this.
    bound: u64,
    began: Instant,
    began_ns: u64,
    buffers: Mutex<Vec<Arc<Buffer>>>,
    /// Where spans are kept in addition to where they are pushed.
    kept: Mutex<Option<Kept>>,
}

/// The spans of one worker that were not taken yet.
#[derive(Debug, Default)]
struct Buffer {
    spans: Mutex<Vec<Span>>,
    made: AtomicU64,
    dropped: AtomicU64,
}

impl Tracer {
    /// A tracer that samples this share of all traces, from 0 to 1.
    #[must_use]
    pub fn new(ratio: f64) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            shared: Arc::new(Shared {
                bound: sampling_bound(ratio),
                began: Instant::now(),
                began_ns: u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX),
                buffers: Mutex::default(),
                kept: Mutex::default(),
            }),
        }
    }

    /// Keeps the spans of generator `instance` in a run's directory, too.
    pub(crate) fn keep(&self, run: &Path, instance: &str) {
        *self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Kept::new(run, instance));
    }

    /// Writes spans into the run's directory, if they are kept.
    pub(crate) fn write(&self, spans: &[Span]) {
        if let Some(kept) = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            kept.write(spans);
        }
    }

    /// What is to be said of the file in the run's directory.
    pub(crate) fn note(&self) -> Option<String> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.note.clone()
    }

    /// A worker's own end of it.
    pub(crate) fn worker(&self, scenario: &str) -> Rc<WorkerTracer> {
        let buffer = Arc::new(Buffer::default());
        self.shared.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&buffer));
        Rc::new(WorkerTracer {
            shared: Arc::clone(&self.shared),
            buffer,
            // Ids are unique among runs, so they do not come from the run's seed.
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            scenario: scenario.into(),
            phase: RefCell::new("".into()),
            cut_short_by: Cell::new(ErrorClass::Unfinished),
        })
    }

    /// The spans that have ended since the last time.
    pub(crate) fn take(&self) -> Vec<Span> {
        let buffers = self.shared.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        for buffer in buffers.iter() {
            spans.append(&mut buffer.spans.lock().unwrap_or_else(PoisonError::into_inner));
        }
        spans
    }

    /// Spans that were sampled, and those of them that were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let buffers = self.shared.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.iter().fold((0, 0), |(made, dropped), b| {
            (made + b.made.load(Ordering::Relaxed), dropped + b.dropped.load(Ordering::Relaxed))
        })
    }
}

/// A worker's end of a tracer.
#[derive(Debug)]
pub(crate) struct WorkerTracer {
    shared: Arc<Shared>,
    buffer: Arc<Buffer>,
    random: RefCell<SmallRng>,
    scenario: Arc<str>,
    phase: RefCell<Arc<str>>,
    /// What cuts iterations short: the end of a phase, or a stop of the run.
    cut_short_by: Cell<ErrorClass>,
}

impl WorkerTracer {
    /// Says which phase the spans from now on belong to.
    pub(crate) fn enter_phase(&self, name: &str) {
        *self.phase.borrow_mut() = name.into();
    }

    /// Says that the run is being stopped.
    pub(crate) fn stop(&self) {
        self.cut_short_by.set(ErrorClass::Interrupted);
    }

    fn id(&self) -> u64 {
        // Zero is no id.
        self.random.borrow_mut().random_range(1..=u64::MAX)
    }

    fn nanos(&self, at: Instant) -> u64 {
        let shared = &self.shared;
        match at.checked_duration_since(shared.began) {
            Some(after) => shared.began_ns + u64::try_from(after.as_nanos()).unwrap_or(0),
            None => {
                let before = shared.began.saturating_duration_since(at);
                shared.began_ns.saturating_sub(u64::try_from(before.as_nanos()).unwrap_or(0))
            }
        }
    }

    fn push(&self, span: Span) {
        self.buffer.made.fetch_add(1, Ordering::Relaxed);
        let mut spans = self.buffer.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() < MAX_WAITING {
            spans.push(span);
        } else {
            self.buffer.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_drops_are_counted() {
        let tracer = Tracer::new(1.0);
        let worker = tracer.worker("s");
        let more = MAX_WAITING as u64 + 5;
        for _ in 0..more {
            drop(IterationSpan::begin(&worker, 0, Instant::now()));
        }
        assert_eq!(tracer.counts(), (more, 5));
        assert_eq!(tracer.take().len(), MAX_WAITING);
        assert!(tracer.take().is_empty());
        drop(IterationSpan::begin(&worker, 0, Instant::now()));
        assert_eq!((tracer.take().len(), tracer.counts()), (1, (more + 1, 5)));
    }
}
