//! What a query may take, and what it holds. Invariant: what is held is given back when the value that holds it is
//! dropped, whatever way the evaluation ends.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::FloatHistogram;

use super::{EvalError, grid::Grid, points::Points};

/// What a query may take. By default nothing but the memory of the process is limited.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most samples that a query may hold at a time, counted as Prometheus counts them: one for a float, more for
    /// a histogram; 0 for no limit.
    pub max_samples: usize,
    /// The most series that one selector may yield; 0 for no limit.
    pub max_series: usize,
    /// The memory that the query shares with others.
    pub memory: Memory,
    /// How long the query may take.
    pub timeout: Option<Duration>,
    /// Ends the query soon after it becomes true.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_samples: 0, max_series: 0, memory: Memory::of_process(), timeout: None, cancel: None }
    }
}

impl Limits {
    /// When a query that starts now has run out of time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|t| Instant::now().checked_add(t))
    }
}

/// Memory for queries, shared by all that have a clone of it.
///
/// What samples hold is counted. It is a bound on what intermediate values and results hold, not on the process: labels,
/// files and the allocator's slack come on top, unless the memory is [measured](Self::measured).
#[derive(Clone, Debug)]
pub struct Memory(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    max_bytes: AtomicUsize,
    used_bytes: AtomicUsize,
    refused: AtomicUsize,
    measured: Option<Measured>,
}

/// What the process has allocated, and how much that was before the first query.
#[derive(Debug)]
struct Measured {
    live_bytes: fn() -> usize,
    before_bytes: usize,
}

impl Memory {
    /// Memory of its own; 0 for no limit.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self::with(max_bytes, None)
    }

    /// Memory of which all counts that the process allocates from now on, whatever for, as `live_bytes` has it: also
    /// labels, remarks, plans, and results for as long as they are kept.
    #[must_use]
    pub fn measured(max_bytes: usize, live_bytes: fn() -> usize) -> Self {
        Self::with(max_bytes, Some(Measured { live_bytes, before_bytes: live_bytes() }))
    }

    fn with(max_bytes: usize, measured: Option<Measured>) -> Self {
        let (max_bytes, used_bytes) = (AtomicUsize::new(max_bytes), AtomicUsize::new(0));
        Self(Arc::new(Pool { max_bytes, used_bytes, refused: AtomicUsize::new(0), measured }))
    }

    /// The memory that all queries of the process share unless they are given another; without a limit until
    /// [`Self::set_max`].
    #[must_use]
    pub fn of_process() -> Self {
        static PROCESS: OnceLock<Memory> = OnceLock::new();
        PROCESS.get_or_init(|| Self::new(0)).clone()
    }

    /// Sets the most bytes that may be held at a time; 0 for no limit.
    pub fn set_max(&self, bytes: usize) {
        self.0.max_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The limit, where there is one.
    #[must_use]
    pub fn max(&self) -> Option<usize> {
        Some(self.0.max_bytes.load(Ordering::Relaxed)).filter(|m| *m > 0)
    }

    /// The bytes that are held. Where they are measured, what is announced and not allocated yet counts too.
    #[must_use]
    pub fn used(&self) -> usize {
        let held = self.0.used_bytes.load(Ordering::Relaxed);
        let measured = self.0.measured.as_ref();
        measured.map_or(held, |m| held.max((m.live_bytes)().saturating_sub(m.before_bytes)))
    }

    /// How often more was asked for than allowed.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn check(&self) -> Result<(), EvalError> {
        match self.max() {
            Some(max_bytes) if self.used() > max_bytes => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                Err(EvalError::OutOfMemory { max_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of a [`Memory`] that something other than a query holds, such as what rules wrote; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    memory: Memory,
    bytes: usize,
}

impl Reserved {
    /// Nothing yet.
    #[must_use]
    pub fn nothing(memory: &Memory) -> Self {
        Self { memory: memory.clone(), bytes: 0 }
    }

    /// Holds this many bytes, in place of those that it held.
    ///
    /// # Errors
    /// Where more is held in all than allowed; they are held even so.
    pub fn set(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.replace(bytes);
        self.memory.check()
    }

    /// Holds this many bytes more.
    ///
    /// # Errors
    /// Where more would be held in all than allowed; nothing changes then.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), EvalError> {
        let before = self.bytes;
        self.set(before.saturating_add(more)).inspect_err(|_| self.replace(before))
    }

    fn replace(&mut self, bytes: usize) {
        let used = &self.memory.0.used_bytes;
        // By the difference: no other query may see both.
        match bytes.checked_sub(self.bytes) {
            Some(more) => used.fetch_add(more, Ordering::Relaxed),
            None => used.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }
}

impl Clone for Reserved {
    fn clone(&self) -> Self {
        let mut copy = Self::nothing(&self.memory);
        // A copy exists whether it fits or not.
        copy.replace(self.bytes);
        copy
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.0.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one query holds.
#[derive(Debug)]
pub(crate) struct Budget {
    max_samples: usize,
    samples: AtomicUsize,
    memory: Memory,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let (max_samples, memory) = (limits.max_samples, limits.memory.clone());
        Arc::new(Self { max_samples, samples: AtomicUsize::new(0), memory })
    }

    /// Holds this much until the result is dropped.
    pub(crate) fn hold(self: &Arc<Self>, size: Size) -> Result<Held, EvalError> {
        let held = Held::nothing(self);
        held.grow(size)?;
        Ok(held)
    }

    /// The same for what is kept for speed alone: nothing where more than half of what is allowed would be held.
    pub(crate) fn spare(self: &Arc<Self>, size: Size) -> Option<Held> {
        let held = Held::nothing(self);
        held.add(size);
        let samples = self.samples.load(Ordering::Relaxed);
        let fits = self.max_samples == 0 || samples <= self.max_samples / 2;
        (fits && self.memory.max().is_none_or(|max| self.memory.used() <= max / 2)).then_some(held)
    }

    fn check(&self) -> Result<(), EvalError> {
        if self.max_samples > 0 && self.samples.load(Ordering::Relaxed) > self.max_samples {
            return Err(EvalError::TooManySamples { max: self.max_samples });
        }
        self.memory.check()
    }

    /// Fails where more is allocated than allowed, by whatever the query or another has made.
    pub(crate) fn check_measured(&self) -> Result<(), EvalError> {
        if self.memory.0.measured.is_some() { self.memory.check() } else { Ok(()) }
    }
}

/// How much a value takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) samples: usize,
    pub(crate) bytes: usize,
}

impl Size {
    /// Memory that is no samples yet.
    pub(crate) fn bytes(bytes: usize) -> Self {
        Self { samples: 0, bytes }
    }

    /// `columns` columns of floats over a grid.
    pub(crate) fn columns(columns: usize, steps: usize) -> Self {
        Self::bytes(columns.saturating_mul(steps).saturating_mul(8))
    }

    /// Samples with their times.
    pub(crate) fn samples(floats: usize, histograms: &[Arc<FloatHistogram>]) -> Self {
        let of_histograms: usize = histograms.iter().map(|h| of_histogram(h)).sum();
        let samples = floats + of_histograms;
        Self { samples, bytes: samples * 16 }
    }

    /// A column over a grid.
    pub(crate) fn points(points: &Points) -> Self {
        let of_histograms: usize = points.histograms.iter().map(|(_, h)| of_histogram(h)).sum();
        let floats = points.values.iter().filter(|v| !super::points::is_absent(**v)).count();
        Self { samples: floats + of_histograms, bytes: points.values.len() * 8 + of_histograms * 16 }
    }
}

/// How many floats a histogram counts for: its bytes, in samples of 16.
fn of_histogram(h: &FloatHistogram) -> usize {
    h.bytes() / 16
}

/// Holds a part of a query's budget until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    samples: AtomicUsize,
    bytes: AtomicUsize,
}

impl Held {
    /// Holds nothing yet.
    pub(crate) fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: budget.clone(), samples: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Holds this much more; an error where it is too much.
    pub(crate) fn grow(&self, size: Size) -> Result<(), EvalError> {
        self.add(size);
        self.budget.check()
    }

    fn add(&self, size: Size) {
        self.samples.fetch_add(size.samples, Ordering::Relaxed);
        self.bytes.fetch_add(size.bytes, Ordering::Relaxed);
        self.budget.samples.fetch_add(size.samples, Ordering::Relaxed);
        self.budget.memory.0.used_bytes.fetch_add(size.bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.samples.fetch_sub(*self.samples.get_mut(), Ordering::Relaxed);
        self.budget.memory.0.used_bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// How many bytes a step of a subquery takes at least while a function reads it: its value, and the sample that it becomes.
const STEP_BYTES: usize = 24;

/// Refuses a grid whose columns alone are more than a query may hold, before any is made.
pub(crate) fn check_grid(grid: Grid, limits: &Limits) -> Result<(), EvalError> {
    let max = limits.max_samples;
    if max > 0 && grid.steps > max {
        return Err(EvalError::TooManySamples { max });
    }
    if let Some(max_bytes) = limits.memory.max()
        && grid.steps > max_bytes / STEP_BYTES
    {
        return Err(EvalError::OutOfMemory { max_bytes });
    }
    // Columns number their steps with 32 bits.
    if u32::try_from(grid.steps).is_err() {
        return Err(EvalError::TooManySamples { max: u32::MAX as usize });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let memory = Memory::new(1_000);
        let limits = Limits { max_samples: 100, memory: memory.clone(), ..Limits::default() };
        let budget = Budget::new(&limits);
        let held = budget.hold(Size { samples: 60, bytes: 500 }).expect("fits");
        assert!(matches!(
            budget.hold(Size { samples: 60, bytes: 1 }),
            Err(EvalError::TooManySamples { max: 100 })
        ));
        assert!(matches!(budget.hold(Size::bytes(501)), Err(EvalError::OutOfMemory { max_bytes: 1_000 })));
        assert!(budget.spare(Size::bytes(1)).is_none(), "more than half is held");
        // Another query has samples of its own, and the same memory.
        assert!(Budget::new(&limits).hold(Size { samples: 60, bytes: 1 }).is_ok());
        assert!(Budget::new(&limits).hold(Size::bytes(501)).is_err());
        let mut reserved = Reserved::nothing(&memory);
        assert!(reserved.set(500).is_ok() && reserved.clone().set(501).is_err(), "shared with the query");
        assert!(reserved.grow(1).is_err());
        assert_eq!((reserved.bytes, memory.used()), (500, 1_000), "nothing changed");
        assert!(reserved.set(100).is_ok());
        assert_eq!(memory.used(), 600);
        drop((held, reserved));
        assert_eq!(memory.used(), 0);
        assert!(budget.spare(Size::bytes(1)).is_some());
    }
}
