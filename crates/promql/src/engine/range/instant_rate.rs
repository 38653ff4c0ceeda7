//! `irate` and `idelta`: the last two samples of a window. Invariant: both must be of one kind.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`instantValue`).

use std::sync::Arc;

use assay_model::{CounterResetHint, FloatHistogram};

use super::{Job, WindowAt, rate::is_start_reset};
use crate::engine::{
    notes::{Notes, bounds_reconciled, mixed_schemas, mixed_types, not_counter, not_gauge},
    points::Points,
};

/// A sample by its place, with its time and start time.
#[derive(Clone, Copy)]
struct Pick {
    float: Option<f64>,
    histogram: usize,
    t_ms: i64,
    start_ms: i64,
}

pub(super) fn instant_rate(job: &Job<'_>, rate: bool, notes: &mut Notes) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        let Some((before, now)) = last_two(job, &w) else { continue };
        let seconds = (now.t_ms - before.t_ms) as f64 / 1000.0;
        if seconds == 0.0 {
            continue;
        }
        let restarted = is_start_reset(before.start_ms, before.t_ms, now.start_ms, now.t_ms);
        match (before.float, now.float) {
            (Some(a), Some(b)) => {
                let gained = if rate && (b < a || restarted) { b } else { b - a };
                out.values[w.step] = if rate { gained / seconds } else { gained };
            }
            (None, None) => {
                let list = job.samples.histograms;
                let (a, b) = (&list[before.histogram], &list[now.histogram]);
                if let Some(mut h) = gained(job, a, b, rate, restarted, notes) {
                    if rate {
                        h.div(seconds);
                    }
                    out.push_histogram(w.step, Arc::new(h));
                }
            }
            _ => notes.warn(job.site, mixed_types(job.metric)),
        }
    }
    out
}

fn gained(
    job: &Job<'_>,
    before: &FloatHistogram,
    now: &FloatHistogram,
    rate: bool,
    restarted: bool,
    notes: &mut Notes,
) -> Option<FloatHistogram> {
    let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
    if rate && (gauge(before) || gauge(now)) {
        notes.warn(job.site, not_counter(job.metric));
    }
    let gauges = gauge(before) && gauge(now);
    if !rate && !gauges {
        notes.warn(job.site, not_gauge(job.metric));
    }
    let mut result = now.clone();
    if !rate || (!restarted && !now.detect_reset(before)) {
        match result.sub(before) {
            Ok(told) if told.bounds_reconciled => notes.info(job.site, bounds_reconciled("subtraction")),
            Ok(_) => {}
            Err(_) => {
                notes.warn(job.site, mixed_schemas(job.metric));
                return None;
            }
        }
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    result.compact(0);
    Some(result)
}

fn last_two(job: &Job<'_>, w: &WindowAt) -> Option<(Pick, Pick)> {
    let s = &job.samples;
    let float = |i: usize| Pick {
        float: Some(s.values[i]),
        histogram: 0,
        t_ms: s.times[i],
        start_ms: s.starts.get(i).copied().unwrap_or(0),
    };
    let histogram = |i: usize| Pick {
        float: None,
        histogram: i,
        t_ms: s.histogram_times[i],
        start_ms: s.histogram_starts.get(i).copied().unwrap_or(0),
    };
    if w.histograms.is_empty() {
        return (w.floats.len() > 1).then(|| (float(w.floats.end - 2), float(w.floats.end - 1)));
    }
    let floats = w.floats.clone().rev().take(2).map(float);
    let mut picks: Vec<Pick> = floats.chain(w.histograms.clone().rev().take(2).map(histogram)).collect();
    picks.sort_by_key(|p| p.t_ms);
    let n = picks.len();
    (n > 1).then(|| (picks[n - 2], picks[n - 1]))
}
