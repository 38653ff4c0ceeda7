//! `smoothed` on an instant selector: the value between the samples before and after. Invariant: nothing is
//! extrapolated; after the last sample its value holds for the lookback.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`smoothSeries`).

use std::sync::Arc;

use assay_model::{Column, CounterResetHint};

use crate::engine::{
    grid::Grid,
    notes::{Notes, Site, mixed_schemas, mixed_types},
    plan::Shift,
    points::Points,
    range::{Samples, interpolate, interpolate_histograms, without_stale},
};

/// The smoothed column of a series.
pub(super) fn smoothed(
    column: &Column,
    grid: Grid,
    shift: Shift,
    lookback_ms: i64,
    metric: &str,
    site: Site,
    notes: &mut Notes,
) -> Points {
    let mut scratch = Column::default();
    let samples = without_stale(column, &mut scratch);
    let mut out = Points::absent(grid.steps);
    for step in 0..grid.steps {
        let at = shift.apply(grid.time(step));
        let near = samples.within(at - lookback_ms, at + lookback_ms);
        match (near.times.is_empty(), near.histogram_times.is_empty()) {
            (true, true) => {}
            (false, false) => notes.warn(site, mixed_types(metric)),
            (false, true) => {
                if let Some(v) = float_at(&near, at) {
                    out.values[step] = v;
                }
            }
            (true, false) => histogram_at(&near, at, step, metric, site, notes, &mut out),
        }
    }
    out
}

fn float_at(near: &Samples<'_>, at: i64) -> Option<f64> {
    let next = near.times.partition_point(|t| *t < at);
    if near.times.get(next) == Some(&at) {
        return Some(near.values[next]);
    }
    let before = next.checked_sub(1)?;
    if next == near.times.len() {
        return Some(near.values[before]);
    }
    let (t, v) = (near.times, near.values);
    Some(interpolate((t[before], v[before]), (t[next], v[next]), at, false))
}

fn histogram_at(
    near: &Samples<'_>,
    at: i64,
    step: usize,
    metric: &str,
    site: Site,
    notes: &mut Notes,
    out: &mut Points,
) {
    let (t, h) = (near.histogram_times, near.histograms);
    let next = t.partition_point(|t| *t < at);
    if t.get(next) == Some(&at) {
        out.push_histogram(step, h[next].clone());
        return;
    }
    let Some(before) = next.checked_sub(1) else { return };
    if next == t.len() {
        let held = assay_model::FloatHistogram {
            counter_reset_hint: CounterResetHint::Unknown,
            ..h[before].as_ref().clone()
        };
        out.push_histogram(step, Arc::new(held));
        return;
    }
    if h[before].uses_custom_buckets() != h[next].uses_custom_buckets() {
        return notes.warn(site, mixed_schemas(metric));
    }
    let gauge = |i: usize| h[i].counter_reset_hint == CounterResetHint::Gauge;
    let counter = !gauge(before) || !gauge(next);
    match interpolate_histograms((t[before], &h[before]), (t[next], &h[next]), at, counter, site, notes) {
        Ok(between) => out.push_histogram(step, Arc::new(between)),
        Err(_) => notes.warn(site, mixed_schemas(metric)),
    }
}
