//! `deriv` and `predict_linear`: least squares over a window. Invariant: times are taken relative to a time
//! close by, so that squares do not lose the digits that matter.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`linearRegression`).

use assay_model::kahan::Kahan;

use super::{Job, WindowAt};
use crate::engine::{
    notes::{Notes, ignored_in_range},
    points::Points,
};

pub(super) fn deriv(job: &Job<'_>, notes: &mut Notes) -> Points {
    each(job, notes, |w| job.samples.times[w.floats.start], |line, _| line.slope)
}

pub(super) fn predict_linear(job: &Job<'_>, notes: &mut Notes) -> Points {
    let ahead = |w: &WindowAt| job.params.first().map_or(f64::NAN, |p| p.at(w.step));
    each(job, notes, |w| w.t_ms, |line, w| line.slope * ahead(w) + line.intercept)
}

struct Line {
    slope: f64,
    intercept: f64,
}

fn each(
    job: &Job<'_>,
    notes: &mut Notes,
    origin: impl Fn(&WindowAt) -> i64,
    value: impl Fn(&Line, &WindowAt) -> f64,
) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        if w.floats.len() < 2 {
            continue;
        }
        let (times, values) = (&job.samples.times[w.floats.clone()], &job.samples.values[w.floats.clone()]);
        out.values[w.step] = value(&regression(times, values, origin(&w)), &w);
    }
    out
}

fn regression(times: &[i64], values: &[f64], origin_ms: i64) -> Line {
    let first = values[0];
    if values[1..].iter().all(|v| *v == first) {
        return if first.is_infinite() {
            Line { slope: f64::NAN, intercept: f64::NAN }
        } else {
            Line { slope: 0.0, intercept: first }
        };
    }
    let (mut x, mut y, mut xy, mut xx) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    for (t, v) in times.iter().zip(values) {
        let at = (t - origin_ms) as f64 / 1e3;
        x.add(at);
        y.add(*v);
        xy.add(at * v);
        xx.add(at * at);
    }
    let n = times.len() as f64;
    let (x, y) = (x.total(), y.total());
    let covariance = xy.total() - x * y / n;
    let variance = xx.total() - x * x / n;
    let slope = covariance / variance;
    Line { slope, intercept: y / n - slope * x / n }
}
