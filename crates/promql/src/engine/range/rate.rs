//! `rate`, `increase` and `delta`: the difference over a window, extrapolated to its ends. Invariant: a
//! counter is never extrapolated below zero.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`extrapolatedRate`).

use std::{ops::Range, sync::Arc};

use super::{Job, WindowAt, advance, extended, histogram_rate};
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
    let mut resets = Resets::of(job, kind);
    if job.samples.histogram_times.is_empty() && resets.overlaps.is_empty() {
        return floats(job, kind, &mut resets);
    }
    let mut out = job.absent();
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
    fn within(&mut self, floats: &Range<usize>) -> &[usize] {
        while self.at.get(self.first).is_some_and(|i| *i <= floats.start) {
            self.first += 1;
        }
        if self.first == self.at.len() {
            return &[];
        }
        let rest = &self.at[self.first..];
        &rest[..rest.iter().take_while(|i| **i < floats.end).count()]
    }
}

/// A series of nothing but floats, the usual case.
fn floats(job: &Job<'_>, kind: Kind, resets: &mut Resets) -> Points {
    let (times, values, frame) = (job.samples.times, job.samples.values, job.frame);
    let mut out = job.absent();
    let mut window = 0..0;
    for (step, slot) in out.values.iter_mut().enumerate() {
        let end_ms = frame.shift.apply(frame.grid.time(step));
        let start_ms = end_ms.saturating_sub(frame.range_ms);
        advance(&mut window, times, start_ms, end_ms);
        if window.len() > 1 {
            *slot = difference(times, values, &window, (start_ms, end_ms), frame.range_ms, kind, resets);
        }
    }
    out
}

/// The extrapolated difference over a window of at least two floats.
#[inline]
fn difference(
    times: &[i64],
    values: &[f64],
    window: &Range<usize>,
    (start_ms, end_ms): (i64, i64),
    range_ms: i64,
    kind: Kind,
    resets: &mut Resets,
) -> f64 {
    let (first, last) = (window.start, window.end - 1);
    let mut result = values[last] - values[first];
    for i in resets.within(window) {
        result += values[i - 1];
    }
    let extent = Extent { first_ms: times[first], last_ms: times[last], gaps: last - first };
    result * extent.factor((start_ms, end_ms), range_ms, kind, result, values[first])
}

fn float(job: &Job<'_>, kind: Kind, w: &WindowAt, resets: &mut Resets, notes: &mut Notes) -> Option<f64> {
    let (times, values) = (job.samples.times, job.samples.values);
    if resets.overlaps.iter().any(|i| *i > w.floats.start && *i < w.floats.end) {
        note_overlap(job.metric, job.site, notes);
    }
    let ends = (w.start_ms, w.end_ms);
    (w.floats.len() > 1).then(|| difference(times, values, &w.floats, ends, job.frame.range_ms, kind, resets))
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
    /// What the difference between the last and the first sample is to be multiplied by. `result` is that
    /// difference and `first` the first value (or the counts, for histograms). There are at least two samples.
    ///
    /// A gap at an end is bridged where it is hardly longer than the gaps between samples, as then the series
    /// went on; else by half such a gap. Every operation is the reference's, in its order: a replay has to
    /// yield what the server wrote, to the last bit.
    #[inline]
    pub(super) fn factor(
        &self,
        (start_ms, end_ms): (i64, i64),
        range_ms: i64,
        kind: Kind,
        result: f64,
        first: f64,
    ) -> f64 {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let sampled = seconds(self.last_ms - self.first_ms);
        let average = sampled / self.gaps as f64;
        let threshold = average * 1.1;
        let bridge = |gap: f64| if gap >= threshold { average / 2.0 } else { gap };
        let mut to_start = bridge(seconds(self.first_ms - start_ms));
        if kind.counter && result > 0.0 && first >= 0.0 {
            to_start = to_start.min(sampled * (first / result));
        }
        let to_end = bridge(seconds(end_ms - self.last_ms));
        let factor = (sampled + to_start + to_end) / sampled;
        if kind.per_second { factor / range_seconds(range_ms) } else { factor }
    }
}

/// A range in seconds, rounded as Go's `time.Duration.Seconds` rounds: whole seconds and the rest apart.
fn range_seconds(range_ms: i64) -> f64 {
    (range_ms / 1000) as f64 + (range_ms % 1000 * 1_000_000) as f64 / 1e9
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
