//! `changes` and `resets`. Invariant: a step from a float to a histogram or back is a change and a reset.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`funcChanges`, `funcResets`, `pickFirstSampleIndices`).
//! Counts up to each sample are taken once, and a window's count is the difference of two.

use std::ops::Range;

use super::{Job, WindowAt, rate::is_start_reset};
use crate::{
    ast::RangeMode,
    engine::points::{Point, Points},
};

/// A sample with its time and start time.
#[derive(Clone, Copy)]
struct Sample<'a> {
    t_ms: i64,
    start_ms: i64,
    value: Point<'a>,
}

pub(super) fn changes(job: &Job<'_>) -> Points {
    count(job, |before, now| match (before.value, now.value) {
        (Point::Float(a), Point::Float(b)) => b != a && !(a.is_nan() && b.is_nan()),
        (Point::Histogram(a), Point::Histogram(b)) => !b.equals(a),
        _ => true,
    })
}

pub(super) fn resets(job: &Job<'_>) -> Points {
    count(job, |before, now| {
        let restarted = is_start_reset(before.start_ms, before.t_ms, now.start_ms, now.t_ms);
        match (before.value, now.value) {
            (Point::Float(a), Point::Float(b)) => b < a || restarted,
            (Point::Histogram(a), Point::Histogram(b)) => restarted || b.detect_reset(a),
            _ => true,
        }
    })
}

/// For each window, how many samples differ from the one before them in it.
fn count(job: &Job<'_>, differs: impl Fn(Sample<'_>, Sample<'_>) -> bool) -> Points {
    let all = merged(job);
    let mut upto = Vec::with_capacity(all.len());
    let mut total = 0u64;
    for (i, now) in all.iter().enumerate() {
        if i > 0 && differs(all[i - 1], *now) {
            total += 1;
        }
        upto.push(total);
    }
    let mut out = job.absent();
    for w in job.windows() {
        let Some(inside) = samples_of(job, &w) else { continue };
        out.values[w.step] = (upto[inside.end - 1] - upto[inside.start]) as f64;
    }
    out
}

/// All samples in order of time.
fn merged<'a>(job: &Job<'a>) -> Vec<Sample<'a>> {
    let s = &job.samples;
    let mut out = Vec::with_capacity(s.times.len() + s.histogram_times.len());
    let mut h = 0;
    let start = |list: &[i64], i: usize| list.get(i).copied().unwrap_or(0);
    let histogram = |h: usize| Sample {
        t_ms: s.histogram_times[h],
        start_ms: start(s.histogram_starts, h),
        value: Point::Histogram(&s.histograms[h]),
    };
    for (i, t_ms) in s.times.iter().enumerate() {
        while h < s.histogram_times.len() && s.histogram_times[h] < *t_ms {
            out.push(histogram(h));
            h += 1;
        }
        out.push(Sample { t_ms: *t_ms, start_ms: start(s.starts, i), value: Point::Float(s.values[i]) });
    }
    out.extend((h..s.histogram_times.len()).map(histogram));
    out
}

/// The indices, among all samples, of a window's. An anchored one starts at the last sample up to the
/// range's start, and has none where nothing follows that.
fn samples_of(job: &Job<'_>, w: &WindowAt) -> Option<Range<usize>> {
    let whole = w.floats.start + w.histograms.start..w.floats.end + w.histograms.end;
    if job.frame.mode != RangeMode::Anchored {
        return Some(whole);
    }
    let upto = |times: &[i64]| times.partition_point(|t| *t <= w.start_ms);
    let before = upto(job.samples.times) + upto(job.samples.histogram_times);
    if before >= whole.end {
        return None;
    }
    Some(before.saturating_sub(1).max(whole.start)..whole.end)
}
