//! What every part of a running query shares: options, limits, and the way to work on many series at once.
//!
//! Invariant: results and notes come in the order of the series, whatever thread worked on them.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use assay_model::{Column, Queryable};
use rayon::prelude::*;

use super::{
    EngineOptions, EvalError,
    notes::{Note, Notes, Site},
};

/// A query in progress.
pub(crate) struct Context<'e> {
    pub(crate) queryable: &'e dyn Queryable,
    pub(crate) options: &'e EngineOptions,
    spans: &'e [Range<usize>],
    /// Samples held for the expression at hand.
    transient: AtomicUsize,
    /// Samples held for several expressions.
    retained: AtomicUsize,
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
}

/// What one thread works with.
#[derive(Default)]
pub(crate) struct Worker {
    /// What is to be said of the result.
    pub(crate) notes: Notes,
    /// A buffer for raw samples, lent to whoever reads a series.
    pub(crate) column: Column,
}

impl<'e> Context<'e> {
    pub(crate) fn new(
        queryable: &'e dyn Queryable,
        options: &'e EngineOptions,
        spans: &'e [Range<usize>],
    ) -> Self {
        Self {
            queryable,
            options,
            spans,
            transient: AtomicUsize::new(0),
            retained: AtomicUsize::new(0),
            deadline: options.timeout.map(|t| Instant::now() + t),
            cancelled: options.cancel.clone(),
        }
    }

    /// The bytes of a node.
    pub(crate) fn span(&self, site: Site) -> Range<usize> {
        self.spans.get(site).cloned().unwrap_or_default()
    }

    /// An error at a node.
    pub(crate) fn fail(&self, site: Site, message: impl Into<String>) -> EvalError {
        EvalError::Expression { message: message.into(), span: self.span(site) }
    }

    /// The error that a node yields a label set twice at one time.
    pub(crate) fn duplicate(&self, site: Site) -> EvalError {
        self.fail(site, "vector cannot contain metrics with the same labelset")
    }

    /// Counts samples that are held for the expression at hand.
    pub(crate) fn hold(&self, samples: usize) -> Result<(), EvalError> {
        self.transient.fetch_add(samples, Ordering::Relaxed);
        self.check_samples()
    }

    /// Gives back what [`Self::hold`] counted.
    pub(crate) fn release(&self, samples: usize) {
        self.transient.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Counts samples that are held for other expressions too.
    pub(crate) fn retain(&self, samples: usize) -> Result<(), EvalError> {
        self.retained.fetch_add(samples, Ordering::Relaxed);
        self.check_samples()
    }

    /// Gives back what [`Self::retain`] counted.
    pub(crate) fn forget(&self, samples: usize) {
        self.retained.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Everything that was held for one expression is gone.
    pub(crate) fn end_expression(&self) {
        self.transient.store(0, Ordering::Relaxed);
    }

    fn check_samples(&self) -> Result<(), EvalError> {
        let held = self.transient.load(Ordering::Relaxed) + self.retained.load(Ordering::Relaxed);
        match self.options.max_samples {
            0 => Ok(()),
            max if held > max => Err(EvalError::TooManySamples { max }),
            _ => Ok(()),
        }
    }

    /// Fails where the query was cancelled or has run out of time.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        if self.cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed)) {
            return Err(EvalError::Cancelled);
        }
        match (self.deadline, self.options.timeout) {
            (Some(deadline), Some(timeout)) if Instant::now() >= deadline => {
                Err(EvalError::Timeout { seconds: timeout.as_secs_f64() })
            }
            _ => Ok(()),
        }
    }

    /// Runs `work` for `0..n` on all cores. Results and notes keep the order; of several errors the first in that
    /// order is told.
    ///
    /// Threads take a few series at a time from one counter, so that none is left with a long rest, and each keeps
    /// its buffers throughout.
    pub(crate) fn parallel<T: Send>(
        &self,
        n: usize,
        notes: &mut Notes,
        work: impl Fn(usize, &mut Worker) -> Result<T, EvalError> + Send + Sync,
    ) -> Result<Vec<T>, EvalError> {
        let next = AtomicUsize::new(0);
        let threads = rayon::current_num_threads();
        let batch = (n / (threads * 16)).clamp(1, 64);
        let share = || {
            let (mut worker, mut done) = (Worker::default(), Vec::new());
            loop {
                let from = next.fetch_add(batch, Ordering::Relaxed);
                if from >= n {
                    return done;
                }
                for i in from..n.min(from + batch) {
                    let result = self.check().and_then(|()| work(i, &mut worker));
                    if result.is_err() {
                        // Nobody starts on what lies further on.
                        next.fetch_max(n, Ordering::Relaxed);
                    }
                    done.push((i, result, worker.notes.take()));
                }
            }
        };
        let mut done = Vec::new();
        if n <= 1 || threads == 1 {
            done = share();
        } else {
            let shares = (0..threads.min(n)).into_par_iter().with_max_len(1).map(|_| share());
            for part in shares.collect::<Vec<_>>() {
                done.extend(part);
            }
            done.sort_unstable_by_key(|(i, ..)| *i);
        }
        done.into_iter()
            .map(|(_, result, said): (usize, Result<T, EvalError>, Vec<Note>)| {
                notes.extend(said);
                result
            })
            .collect()
    }
}
