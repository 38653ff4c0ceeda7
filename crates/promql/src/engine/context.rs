//! What every part of a running query shares: options, limits, and the way to work on many series at once.
//!
//! Invariant: results and notes come in the order of the series, whatever thread worked on them.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::{Column, Queryable};
use rayon::prelude::*;

use super::{
    EngineOptions, EvalError,
    limits::{Budget, Held, Size},
    notes::{Note, Notes, Site},
};

/// How many elements [`Context::parts`] has in a part.
const PART: usize = 1 << 15;

/// A query in progress.
pub(crate) struct Context<'e> {
    pub(crate) queryable: &'e dyn Queryable,
    pub(crate) options: &'e EngineOptions,
    spans: &'e [Range<usize>],
    /// What the query holds.
    pub(crate) budget: Arc<Budget>,
    pub(crate) deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    /// Whether the query has other steps that are evaluated elsewhere.
    pub(crate) is_chunk: bool,
}

/// What one thread works with.
#[derive(Default)]
pub(crate) struct Worker {
    /// What is to be said of the result.
    pub(crate) notes: Notes,
    /// A buffer for raw samples, lent to the reader of a series.
    pub(crate) column: Column,
}

/// How many queries want the threads of the pool.
static WANTING: AtomicUsize = AtomicUsize::new(0);

/// Turns of queries at the threads that all of them share: while several want them, each has them for [`TURN`] and then
/// waits behind the others, so that none waits for the whole work of another.
struct Turns;

/// How long a turn is.
const TURN: Duration = Duration::from_millis(2);

impl Turns {
    fn begin() -> Self {
        WANTING.fetch_add(1, Ordering::Relaxed);
        Self
    }

    fn is_over(&self, begun: Instant) -> bool {
        WANTING.load(Ordering::Relaxed) > 1 && begun.elapsed() > TURN
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        WANTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an operation on a histogram costs at least, in operations on floats.
pub(crate) const HISTOGRAM_COST: usize = 8;
/// The same of an operation on a label set.
pub(crate) const LABELS_COST: usize = 64;

/// Counts work, so that the query is looked at every millisecond or so, whatever the work is on.
pub(crate) struct Pace<'c> {
    ctx: &'c Context<'c>,
    spent: usize,
}

impl Pace<'_> {
    /// This much was done, in operations on floats; fails where [`Context::check`] does.
    #[inline]
    pub(crate) fn spend(&mut self, work: usize) -> Result<(), EvalError> {
        self.spent = self.spent.saturating_add(work);
        if self.spent < PART { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&mut self) -> Result<(), EvalError> {
        self.spent = 0;
        self.ctx.check()
    }
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
            budget: Budget::new(&options.limits),
            deadline: options.limits.deadline(),
            cancelled: options.limits.cancel.clone(),
            is_chunk: false,
        }
    }

    /// The same for some of a range query's steps.
    pub(crate) fn of_chunk(
        queryable: &'e dyn Queryable,
        options: &'e EngineOptions,
        spans: &'e [Range<usize>],
        deadline: Option<Instant>,
    ) -> Self {
        Self { is_chunk: true, deadline, ..Self::new(queryable, options, spans) }
    }

    /// The bytes of all nodes.
    pub(crate) fn spans(&self) -> &'e [Range<usize>] {
        self.spans
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

    /// Holds this much until the result is dropped.
    pub(crate) fn hold(&self, size: Size) -> Result<Held, EvalError> {
        self.budget.hold(size)
    }

    /// Fails where the query was cancelled or has run out of time or memory.
    pub(crate) fn check(&self) -> Result<(), EvalError> {
        self.budget.check_measured()?;
        if self.cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed)) {
            return Err(EvalError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EvalError::Timeout),
            _ => Ok(()),
        }
    }

    /// `0..n` in parts so small that work on each takes about a millisecond where an element takes some nanoseconds; fails
    /// between two of them where [`Self::check`] does.
    pub(crate) fn parts(&self, n: usize) -> impl Iterator<Item = Result<Range<usize>, EvalError>> + '_ {
        (0..n).step_by(PART).map(move |from| {
            if from > 0 {
                self.check()?;
            }
            Ok(from..n.min(from + PART))
        })
    }

    /// A value for each of `0..n`, by parts.
    pub(crate) fn collect<T>(&self, n: usize, mut f: impl FnMut(usize) -> T) -> Result<Vec<T>, EvalError> {
        let mut out = Vec::with_capacity(n);
        for part in self.parts(n) {
            out.extend(part?.map(&mut f));
        }
        Ok(out)
    }

    /// Looks at whether the query is over as work is spent.
    pub(crate) fn pace(&self) -> Pace<'_> {
        Pace { ctx: self, spent: 0 }
    }

    /// Runs `work` for `0..n` on all cores. Results and notes keep the order; of several errors the first in that
    /// order is reported.
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
        let turns = Turns::begin();
        let share = || {
            let (mut worker, mut done) = (Worker::default(), Vec::new());
            let begun = Instant::now();
            loop {
                if turns.is_over(begun) {
                    return done;
                }
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
            while next.load(Ordering::Relaxed) < n {
                done.extend(share());
            }
        } else {
            while next.load(Ordering::Relaxed) < n {
                let shares = (0..threads.min(n)).into_par_iter().with_max_len(1).map(|_| share());
                for part in shares.collect::<Vec<_>>() {
                    done.extend(part);
                }
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
