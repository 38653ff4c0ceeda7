//! `anchored` and `smoothed` ranges: the values at the very ends of a range, taken from the sample before or
//! interpolated. Invariant: nothing is extrapolated.
//!
//! Source: Prometheus `promql/functions.go` and `promql/engine.go` v3.13 (`extendedRate`,
//! `extendedHistogramRate`, `extendFloats`).

use std::sync::Arc;

use assay_model::{
    Column, CounterResetHint, FloatHistogram,
    histogram::{AddNotes, IncompatibleSchemas},
};

use super::{Job, Samples, WindowAt, rate::Kind};
use crate::{
    ast::RangeMode,
    engine::{
        notes::{Notes, Site, bounds_reconciled, mixed_schemas, mixed_types, not_counter, not_gauge},
        points::Points,
    },
};

/// The value at `t` on the line between two samples. A counter that fell in between starts from zero.
pub(crate) fn interpolate(a: (i64, f64), b: (i64, f64), t: i64, counter: bool) -> f64 {
    let from = if counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (t - a.0) as f64 / (b.0 - a.0) as f64
}

/// The same for histograms.
pub(crate) fn interpolate_histograms(
    a: (i64, &FloatHistogram),
    b: (i64, &FloatHistogram),
    t: i64,
    counter: bool,
    site: Site,
    notes: &mut Notes,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    if t == a.0 {
        return Ok(a.1.clone());
    }
    let mut result = b.1.clone();
    if t == b.0 {
        return Ok(result);
    }
    let fraction = (t - a.0) as f64 / (b.0 - a.0) as f64;
    if counter && b.1.detect_reset(a.1) {
        result.mul(fraction);
        return Ok(result);
    }
    tell(result.sub(a.1)?, "subtraction", site, notes);
    result.mul(fraction);
    tell(result.add(a.1)?, "addition", site, notes);
    Ok(result)
}

fn tell(told: AddNotes, operation: &str, site: Site, notes: &mut Notes) {
    if told.bounds_reconciled {
        notes.info(site, bounds_reconciled(operation));
    }
}

/// The first and last sample that count for a range, by index; `None` where nothing lies beyond its start.
fn ends(times: &[i64], start_ms: i64, end_ms: i64, smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= start_ms).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|t| *t < end_ms);
    }
    (times[last] > start_ms && !(smoothed && times[first] > end_ms)).then_some((first, last))
}

/// `rate`, `increase` and `delta` of an anchored or smoothed range.
pub(super) fn rate(job: &Job<'_>, kind: Kind, notes: &mut Notes) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        let inside = job.samples.slice(w.floats.clone(), w.histograms.clone());
        match (w.floats.is_empty(), w.histograms.is_empty()) {
            (false, true) => {
                if let Some(v) = float(job, &inside, &w, kind) {
                    out.values[w.step] = v;
                }
            }
            (true, _) => {
                if let Some(h) = histogram(job, &inside, &w, kind, notes) {
                    out.push_histogram(w.step, Arc::new(h));
                }
            }
            (false, false) => notes.warn(job.site, mixed_types(job.metric)),
        }
    }
    out
}

fn float(job: &Job<'_>, s: &Samples<'_>, w: &WindowAt, kind: Kind) -> Option<f64> {
    let smoothed = job.frame.mode == RangeMode::Smoothed;
    let (first, last) = ends(s.times, w.start_ms, w.end_ms, smoothed)?;
    let (left, right) = float_ends(s, (first, last), w.start_ms, w.end_ms, smoothed, kind.counter);
    let mut result = right - left;
    if kind.counter {
        let from = if s.times[first] <= w.start_ms { first + 1 } else { first };
        let to = if s.times[last] >= w.end_ms { last } else { last + 1 };
        let mut before = left;
        for v in s.values[from..to.max(from)].iter().chain([&right]) {
            if *v < before {
                result += before;
            }
            before = *v;
        }
    }
    let per = if kind.per_second { job.frame.range_ms as f64 / 1000.0 } else { 1.0 };
    Some(result / per)
}

fn float_ends(
    s: &Samples<'_>,
    (first, last): (usize, usize),
    start_ms: i64,
    end_ms: i64,
    smoothed: bool,
    counter: bool,
) -> (f64, f64) {
    let at = |i: usize| (s.times[i], s.values[i]);
    let left = if smoothed && s.times[first] < start_ms && first + 1 < s.times.len() {
        interpolate(at(first), at(first + 1), start_ms, counter)
    } else {
        s.values[first]
    };
    let right = if smoothed && last > 0 && s.times[last] > end_ms {
        interpolate(at(last - 1), at(last), end_ms, counter)
    } else {
        s.values[last]
    };
    (left, right)
}

fn histogram(
    job: &Job<'_>,
    s: &Samples<'_>,
    w: &WindowAt,
    kind: Kind,
    notes: &mut Notes,
) -> Option<FloatHistogram> {
    let smoothed = job.frame.mode == RangeMode::Smoothed;
    let (first, last) = ends(s.histogram_times, w.start_ms, w.end_ms, smoothed)?;
    let used = &s.histograms[first..=last];
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    for h in used {
        if h.uses_custom_buckets() != used[0].uses_custom_buckets() {
            notes.warn(job.site, mixed_schemas(job.metric));
            return None;
        }
        if kind.counter && gauge(h) {
            notes.warn(job.site, not_counter(job.metric));
        }
    }
    match difference(job, s, (first, last), w, kind, notes) {
        Ok(mut h) => {
            if kind.per_second {
                h.div(job.frame.range_ms as f64 / 1000.0);
            }
            h.counter_reset_hint = CounterResetHint::Gauge;
            h.compact(0);
            Some(h)
        }
        Err(IncompatibleSchemas) => {
            notes.warn(job.site, mixed_schemas(job.metric));
            None
        }
    }
}

fn difference(
    job: &Job<'_>,
    s: &Samples<'_>,
    (first, last): (usize, usize),
    w: &WindowAt,
    kind: Kind,
    notes: &mut Notes,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    let (site, smoothed) = (job.site, job.frame.mode == RangeMode::Smoothed);
    let (t, h) = (s.histogram_times, s.histograms);
    let at = |i: usize| (t[i], h[i].as_ref());
    let left = if smoothed && t[first] < w.start_ms && first + 1 < t.len() {
        interpolate_histograms(at(first), at(first + 1), w.start_ms, kind.counter, site, notes)?
    } else {
        h[first].as_ref().clone()
    };
    let right = if smoothed && last > 0 && t[last] > w.end_ms {
        interpolate_histograms(at(last - 1), at(last), w.end_ms, kind.counter, site, notes)?
    } else {
        h[last].as_ref().clone()
    };
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    let gauges = gauge(&left) && gauge(&right);
    if !kind.counter && !gauges {
        notes.warn(site, not_gauge(job.metric));
    }
    let mut result = right.clone();
    tell(result.sub(&left)?, "subtraction", site, notes);
    if !kind.counter {
        return Ok(result);
    }
    let mut from = first + 1;
    let mut before = &left;
    // A reset between the sample before the range and the first inside is in the interpolated left end.
    if smoothed && t[first] < w.start_ms && from < t.len() && h[from].detect_reset(&h[first]) {
        before = &h[from];
        from += 1;
    }
    if from > last {
        return Ok(result);
    }
    for now in h[from..last].iter().map(AsRef::as_ref).chain([&right]) {
        if now.detect_reset(before) {
            tell(result.add(before)?, "addition", site, notes);
        }
        before = now;
    }
    Ok(result)
}

/// The samples of a bare anchored or smoothed range vector: those inside, and one at each end.
pub(super) fn extend(
    samples: &Samples<'_>,
    start_ms: i64,
    end_ms: i64,
    mode: RangeMode,
    lookback_ms: i64,
) -> Result<Column, String> {
    let smoothed = mode == RangeMode::Smoothed;
    let until = if smoothed { end_ms + lookback_ms } else { end_ms };
    let s = samples.within(start_ms - lookback_ms, until);
    if !s.histograms.is_empty() {
        let name = if smoothed { "smoothed" } else { "anchored" };
        return Err(format!("{name} modifier is not supported with histograms"));
    }
    let mut out = Column::default();
    let Some((first, last)) = ends(s.times, start_ms, end_ms, smoothed) else { return Ok(out) };
    let (left, right) = float_ends(&s, (first, last), start_ms, end_ms, smoothed, false);
    let inside = s.within(start_ms, end_ms - 1);
    out.times = [&[start_ms], inside.times, &[end_ms]].concat();
    out.values = [&[left], inside.values, &[right]].concat();
    Ok(out)
}
