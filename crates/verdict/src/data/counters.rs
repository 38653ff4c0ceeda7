//! What is known of a counter beyond its samples.
//!
//! `increase` sees nothing of what a series began with, and nothing after the last sample before a window's end. Known
//! is, all the same:
//!
//! - a series that appears after its target had answered without it began at zero at that answer, and so does one whose
//!   process started inside the window; if that answer lies before the window, the part of the first value that falls
//!   into the window is taken in proportion to the time. A series that appears within two intervals, and ten seconds, of
//!   its target's first answer may have any past: nothing is added to it;
//! - a counter of the generator with a phase changes only between the phase's start and end: it is zero before, and its
//!   first sample after the end is its value at the end.
//!
//! Invariant: the samples of the run stay as they are; what is added lies between them.

use std::sync::Arc;

use assay_model::{FloatHistogram, is_stale};

use super::Target;
use crate::verdict::{AddedWhy, Window};

/// After this long all that a target has to show is there, however seldom it is scraped.
const SETTLED_MS: i64 = 10_000;

/// A value of a counter.
pub(super) trait Counted: Clone {
    /// Whether it marks the end of a series.
    fn is_stale(&self) -> bool;
    /// The value of the same shape in which a part of the counts has been made.
    fn part(&self, ratio: f64) -> Self;
    /// How much has been counted.
    fn count(&self) -> f64;
}

impl Counted for f64 {
    fn is_stale(&self) -> bool {
        is_stale(*self)
    }

    fn part(&self, ratio: f64) -> Self {
        self * ratio
    }

    fn count(&self) -> f64 {
        *self
    }
}

impl Counted for Arc<FloatHistogram> {
    fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    fn part(&self, ratio: f64) -> Self {
        let mut part = FloatHistogram::clone(self);
        part.mul(ratio);
        // A sum of nothing times anything is nothing, also for a sum that is no number.
        if ratio == 0.0 {
            part.sum = 0.0;
        }
        Arc::new(part)
    }

    fn count(&self) -> f64 {
        self.count
    }
}

/// What is known of a series.
pub(super) struct Facts<'a> {
    pub(super) target: &'a Target,
    /// When the phase began and ended that it counts.
    pub(super) phase: Option<(i64, i64)>,
}

/// A sample to be added.
pub(super) struct Addition<T> {
    pub(super) t_ms: i64,
    pub(super) value: T,
    pub(super) why: AddedWhy,
    /// Whether it changes what is counted, and does not only say where.
    pub(super) counts: bool,
}

/// The samples to add to a series within a window; `samples` reach beyond the window on both sides, ascending.
pub(super) fn additions<T: Counted>(
    samples: &[(i64, T)],
    window: &Window,
    facts: &Facts<'_>,
) -> Vec<Addition<T>> {
    let (start_ms, end_ms) = (window.start_ms, window.end_ms);
    let inside_from = samples.partition_point(|(t, _)| *t <= start_ms);
    let inside_to = samples.partition_point(|(t, _)| *t <= end_ms);
    let (before, inside, after) =
        (&samples[..inside_from], &samples[inside_from..inside_to], &samples[inside_to..]);
    let alive = |list: &[(i64, T)]| list.iter().find(|(_, v)| !v.is_stale()).cloned();
    let (first, next) = (alive(inside), alive(after));
    let mut out = Vec::new();
    match facts.phase {
        Some((phase_start_ms, phase_end_ms)) if start_ms <= phase_start_ms && phase_end_ms <= end_ms => {
            let Some((_, shape)) = first.clone().or_else(|| next.clone()) else { return out };
            let was = before.iter().rev().find(|(_, v)| !v.is_stale()).map(|(_, v)| v.clone());
            let was = was.unwrap_or_else(|| shape.part(0.0));
            if inside.first().is_none_or(|(t, _)| *t > start_ms + 1) {
                let counts = shape.count() != was.count();
                out.push(Addition { t_ms: start_ms + 1, value: was, why: AddedWhy::PhaseStart, counts });
            }
            let last = inside.iter().rev().find(|(_, v)| !v.is_stale());
            if let Some((_, value)) = next
                && inside.last().is_none_or(|(t, _)| *t < end_ms)
            {
                let counts = last.is_none_or(|(_, v)| v.count() != value.count());
                out.push(Addition { t_ms: end_ms, value, why: AddedWhy::PhaseEnd, counts });
            }
        }
        _ if before.is_empty() => out.extend(first.and_then(|first| birth(&first, start_ms, facts.target))),
        _ => {}
    }
    out
}

/// The beginning of a series that has no sample before the window.
fn birth<T: Counted>((t_ms, value): &(i64, T), start_ms: i64, target: &Target) -> Option<Addition<T>> {
    if value.count() == 0.0 {
        return None;
    }
    let began = |t_ms, value, why| Some(Addition { t_ms, value, why, counts: true });
    let censored_ms = target.times_ms.first()? + (2 * target.interval_ms).min(SETTLED_MS);
    let without = target.before(*t_ms).filter(|_| *t_ms > censored_ms);
    match without {
        Some(at_ms) if at_ms > start_ms => began(at_ms, value.part(0.0), AddedWhy::Born),
        Some(at_ms) => {
            let ratio = (start_ms - at_ms) as f64 / (t_ms - at_ms) as f64;
            began(start_ms + 1, value.part(ratio), AddedWhy::BornAcross).filter(|a| a.t_ms < *t_ms)
        }
        None => {
            let started = target.process_starts_ms.iter().rev().find(|p| **p > start_ms && **p < *t_ms)?;
            began(*started, value.part(0.0), AddedWhy::ProcessStart)
        }
    }
}
