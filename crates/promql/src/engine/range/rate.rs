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
        points::{Points, is_absent},
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
    let points = of_windows(job, kind, notes);
    if kind.counter {
        note_gauge(&points, job.metric, job.site, notes);
    }
    points
}

/// Remarks on a `rate` over something whose name is not a counter's.
fn note_gauge(points: &Points, metric: &str, site: Site, notes: &mut Notes) {
    let counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|s| metric.ends_with(s));
    if metric.is_empty() || counter || points.values.iter().all(|v| is_absent(*v)) {
        return;
    }
    notes.info(
        site,
        format_args!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
        ),
    );
}

fn of_windows(job: &Job<'_>, kind: Kind, notes: &mut Notes) -> Points {
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

/// The samples at which a counter started again, and those whose start overlaps the sample before.
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
                // Most counters never start anew; comparing several values at once finds that out.
                let falls = s.values.iter().zip(s.values.iter().skip(1)).fold(false, |f, (a, b)| f | (b < a));
                if falls {
                    at.extend((1..s.values.len()).filter(|i| s.values[*i] < s.values[i - 1]));
                }
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
    let mut last = Bridged::default();
    for (step, slot) in out.values.iter_mut().enumerate() {
        let end_ms = frame.shift.apply(frame.grid.time(step));
        let start_ms = end_ms.saturating_sub(frame.range_ms);
        advance(&mut window, times, start_ms, end_ms);
        if window.len() > 1 {
            let extent = Extent::of(times, &window, (start_ms, end_ms));
            // Series that are scraped regularly have the same extent at every step.
            if extent != last.extent {
                last = Bridged::of(extent, frame.range_ms, kind);
            }
            let (result, first) = difference(values, &window, resets);
            *slot = result * last.factor(kind, result, first);
        }
    }
    out
}

/// The difference over a window of at least two floats, and the first of them.
#[inline]
fn difference(values: &[f64], window: &Range<usize>, resets: &mut Resets) -> (f64, f64) {
    let (first, last) = (window.start, window.end - 1);
    let mut result = values[last] - values[first];
    for i in resets.within(window) {
        result += values[i - 1];
    }
    (result, values[first])
}

fn float(job: &Job<'_>, kind: Kind, w: &WindowAt, resets: &mut Resets, notes: &mut Notes) -> Option<f64> {
    let (times, values) = (job.samples.times, job.samples.values);
    if resets.overlaps.iter().any(|i| *i > w.floats.start && *i < w.floats.end) {
        note_overlap(job.metric, job.site, notes);
    }
    let ends = (w.start_ms, w.end_ms);
    (w.floats.len() > 1).then(|| {
        let extent = Extent::of(times, &w.floats, ends);
        let (result, first) = difference(values, &w.floats, resets);
        result * Bridged::of(extent, job.frame.range_ms, kind).factor(kind, result, first)
    })
}

/// Remarks that a sample's start time lies before the sample before it.
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
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// From the window's start to the first sample.
    pub(super) before_ms: i64,
    /// From the first sample to the last.
    pub(super) sampled_ms: i64,
    /// From the last sample to the window's end.
    pub(super) after_ms: i64,
    /// Samples less one.
    pub(super) gaps: usize,
}

impl Extent {
    /// That of the samples in `window`, of which there are at least two.
    #[inline]
    pub(super) fn of(times: &[i64], window: &Range<usize>, (start_ms, end_ms): (i64, i64)) -> Self {
        let (first_ms, last_ms) = (times[window.start], times[window.end - 1]);
        Self {
            before_ms: first_ms - start_ms,
            sampled_ms: last_ms - first_ms,
            after_ms: end_ms - last_ms,
            gaps: window.len() - 1,
        }
    }
}

/// How far a series is taken to reach beyond its samples.
///
/// A gap at an end is bridged where it is hardly longer than the gaps between samples, as then the series
/// went on; else by half such a gap. Every operation is the reference's, in its order: a replay has to
/// yield what the server wrote, to the last bit.
#[derive(Default)]
pub(super) struct Bridged {
    extent: Extent,
    sampled_s: f64,
    to_start_s: f64,
    to_end_s: f64,
    range_s: f64,
    /// The factor where the counter's zero point does not come into it.
    whole: f64,
}

impl Bridged {
    pub(super) fn of(extent: Extent, range_ms: i64, kind: Kind) -> Self {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let sampled_s = seconds(extent.sampled_ms);
        let average = sampled_s / extent.gaps as f64;
        let threshold = average * 1.1;
        let bridge = |gap: f64| if gap >= threshold { average / 2.0 } else { gap };
        let to_start_s = bridge(seconds(extent.before_ms));
        let to_end_s = bridge(seconds(extent.after_ms));
        let range_s = range_seconds(range_ms);
        let mut bridged = Self { extent, sampled_s, to_start_s, to_end_s, range_s, whole: 0.0 };
        bridged.whole = bridged.reaching(kind, to_start_s);
        bridged
    }

    /// What the difference between the last and the first sample is to be multiplied by. `result` is that
    /// difference and `first` the first value (or the counts, for histograms).
    #[inline]
    pub(super) fn factor(&self, kind: Kind, result: f64, first: f64) -> f64 {
        // No bridge is longer than 1.1 times what was sampled, so a counter that is far from zero stays above it.
        if !kind.counter || first > 2.0 * result || result <= 0.0 || first < 0.0 {
            return self.whole;
        }
        let to_zero_s = self.sampled_s * (first / result);
        // A comparison with NaN is false, as the reference's is.
        if to_zero_s < self.to_start_s { self.reaching(kind, to_zero_s) } else { self.whole }
    }

    fn reaching(&self, kind: Kind, to_start_s: f64) -> f64 {
        let factor = (self.sampled_s + to_start_s + self.to_end_s) / self.sampled_s;
        if kind.per_second { factor / self.range_s } else { factor }
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
