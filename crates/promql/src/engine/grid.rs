//! The times at which a node is evaluated. Invariant: times ascend by a fixed step.

/// Evenly spaced evaluation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    /// The first time, in milliseconds since the Unix epoch.
    pub(crate) start_ms: i64,
    /// The distance between times; at least 1.
    pub(crate) step_ms: i64,
    /// How many times there are; none where a subquery's range holds no multiple of its step.
    pub(crate) steps: usize,
}

impl Grid {
    /// The multiples of `step_ms` from `start_ms` that do not pass `end_ms`.
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let steps = if end_ms < start_ms { 0 } else { end_ms.saturating_sub(start_ms) / step_ms + 1 };
        Self { start_ms, step_ms, steps: usize::try_from(steps).unwrap_or(usize::MAX) }
    }

    /// One time.
    pub(crate) fn instant(t_ms: i64) -> Self {
        Self { start_ms: t_ms, step_ms: 1, steps: 1 }
    }

    /// The first time alone.
    pub(crate) fn first(self) -> Self {
        Self { steps: self.steps.min(1), ..self }
    }

    /// The times from step `from` on, at most `steps` of them.
    pub(crate) fn part(self, from: usize, steps: usize) -> Self {
        Self { start_ms: self.time(from), steps: steps.min(self.steps.saturating_sub(from)), ..self }
    }

    /// The time of a step.
    #[inline]
    pub(crate) fn time(self, step: usize) -> i64 {
        self.start_ms.saturating_add((step as i64).saturating_mul(self.step_ms))
    }

    /// The last time.
    pub(crate) fn last_ms(self) -> i64 {
        self.time(self.steps.saturating_sub(1))
    }
}
