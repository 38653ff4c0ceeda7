//! `rate`, `increase` and `delta`: the difference over a window, extrapolated to its ends. Invariant: a
//! counter is never extrapolated below zero.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`extrapolatedRate`).

use std::sync::Arc;

use super::{Job, WindowAt, extended, histogram_rate};
use crate::{
    ast::RangeMode,
    engine::{
        notes::{Detail, Note, Notes, Site, mixed_types},
        points::Points,
    },
    value::Severity,
};

/// Which of the three.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) counter: bool,
    pub(super) per_second: bool,
}

pub(super) fn extrapolated(job: &Job<'_>, kind: Kind, notes: &mut Notes) -> Points {
    if job.frame.mode != RangeMode::Plain {
        return extended::rate(job, kind, notes);
    }
    let mut out = job.absent();
    let mut resets = Resets::of(job, kind);
    let mut histograms = histogram_rate::HistogramRate::new(job, kind);
    for w in job.windows() {
        if w.histograms.is_empty() {
            if let Some(v) = float(job, kind, &w, &mut resets, notes) {
                out.values[w.step] = v;
            }
        } else if w.floats.is_empty() {
            if let Some(h) = histograms.window(&w, notes) {
                out.push_histogram(w.step, Arc::new(h));
            }
        } else {
            notes.warn(job.site, mixed_types(job.metric));
        }
    }
    out
}

/// The samples at which a counter started anew, and those whose start overlaps the sample before.
struct Resets {
    at: Vec<usize>,
    overlaps: Vec<usize>,
    first: usize,
}

impl Resets {
    fn of(job: &Job<'_>, kind: Kind) -> Self {
        let s = &job.samples;
        let (mut at, mut overlaps) = (Vec::new(), Vec::new());
        if kind.counter {
            if s.starts.is_empty() {
                at.extend((1..s.values.len()).filter(|i| s.values[*i] < s.values[i - 1]));
            } else {
                for i in 1..s.values.len() {
                    if s.values[i] < s.values[i - 1]
                        || is_start_reset(s.starts[i - 1], s.times[i - 1], s.starts[i], s.times[i])
                    {
                        at.push(i);
                    }
                    if starts_overlap(s.starts[i - 1], s.times[i - 1], s.starts[i]) {
                        overlaps.push(i);
                    }
                }
            }
        }
        Self { at, overlaps, first: 0 }
    }

    /// The resets after the first sample of a window; windows only move forward.
    fn within(&mut self, floats: &std::ops::Range<usize>) -> &[usize] {
        while self.at.get(self.first).is_some_and(|i| *i <= floats.start) {
            self.first += 1;
        }
        let rest = &self.at[self.first..];
        &rest[..rest.iter().take_while(|i| **i < floats.end).count()]
    }
}

fn float(job: &Job<'_>, kind: Kind, w: &WindowAt, resets: &mut Resets, notes: &mut Notes) -> Option<f64> {
    let s = &job.samples;
    let (first, last) = (w.floats.start, w.floats.end - 1);
    let mut result = s.values[last] - s.values[first];
    for i in resets.within(&w.floats) {
        result += s.values[i - 1];
    }
    if resets.overlaps.iter().any(|i| *i > first && *i <= last) {
        note_overlap(job.metric, job.site, notes);
    }
    let extent = Extent { first_ms: s.times[first], last_ms: s.times[last], gaps: last - first };
    let factor = extent.stretch(w, kind, result, s.values[first])?;
    let per = if kind.per_second { job.frame.range_ms as f64 / 1000.0 } else { 1.0 };
    Some(result * (factor / per))
}

/// Tells that a sample's start time lies before the sample before it.
pub(super) fn note_overlap(metric: &str, site: Site, notes: &mut Notes) {
    notes.add(Note {
        severity: Severity::Warning,
        site,
        text: format!(
            "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {metric:?}"
        ),
        detail: Some(Detail::Overlap { count: 1 }),
    });
}

/// What part of its window a series covers.
pub(super) struct Extent {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Samples less one.
    pub(super) gaps: usize,
}

impl Extent {
    /// By how much a difference is to be stretched over the window; `None` for a single sample. `result` is
    /// the difference and `first` the first value (or the counts, for histograms).
    pub(super) fn stretch(&self, w: &WindowAt, kind: Kind, result: f64, first: f64) -> Option<f64> {
        if self.gaps == 0 {
            return None;
        }
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let mut to_start = seconds(w.start_ms, self.first_ms);
        let mut to_end = seconds(self.last_ms, w.end_ms);
        let sampled = seconds(self.first_ms, self.last_ms);
        let average = sampled / self.gaps as f64;
        // A gap at an end that is hardly longer than the others means that the series went on.
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if kind.counter && result > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / result));
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        Some(if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled })
    }
}

/// Whether start timestamps tell that the counter was reset between two samples. A start equal to the time
/// before is how deltas are written, unless the first start is unknown or makes no sense.
pub(super) fn is_start_reset(start_before: i64, before: i64, start: i64, now: i64) -> bool {
    if start == 0 || start > now || start < before {
        return false;
    }
    start > before || (start_before <= before && start_before != 0 && start_before != before)
}

/// Whether a sample's start lies before the sample before it without being its start too.
pub(super) fn starts_overlap(start_before: i64, before: i64, start: i64) -> bool {
    start != 0 && start < before && start != start_before
}
