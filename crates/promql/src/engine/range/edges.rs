//! What the ends of a window tell: first and last sample and their times, how many there are, whether there
//! is one. Invariant: floats and histograms count alike.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`funcLastOverTime` and its kin).

use super::{Job, WindowAt};
use crate::engine::points::Points;

/// Which end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    First,
    Last,
}

pub(super) fn count(job: &Job<'_>) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        out.values[w.step] = (w.floats.len() + w.histograms.len()) as f64;
    }
    out
}

pub(super) fn present(job: &Job<'_>) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        out.values[w.step] = 1.0;
    }
    out
}

/// The index of the sample at the end, and whether it is a float.
fn at_edge(job: &Job<'_>, w: &WindowAt, edge: Edge) -> (usize, bool) {
    let pick = |r: &std::ops::Range<usize>| match edge {
        Edge::First => r.start,
        Edge::Last => r.end - 1,
    };
    if w.histograms.is_empty() {
        return (pick(&w.floats), true);
    }
    let histogram = pick(&w.histograms);
    if w.floats.is_empty() {
        return (histogram, false);
    }
    let float = pick(&w.floats);
    let (f, h) = (job.samples.times[float], job.samples.histogram_times[histogram]);
    let float_wins = match edge {
        Edge::First => f < h,
        Edge::Last => h < f,
    };
    if float_wins { (float, true) } else { (histogram, false) }
}

pub(super) fn edge(job: &Job<'_>, edge: Edge) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        match at_edge(job, &w, edge) {
            (i, true) => out.values[w.step] = job.samples.values[i],
            (i, false) => out.push_histogram(w.step, job.samples.histograms[i].clone()),
        }
    }
    out
}

pub(super) fn edge_time(job: &Job<'_>, edge: Edge) -> Points {
    let mut out = job.absent();
    for w in job.windows() {
        let t_ms = match at_edge(job, &w, edge) {
            (i, true) => job.samples.times[i],
            (i, false) => job.samples.histogram_times[i],
        };
        out.values[w.step] = t_ms as f64 / 1000.0;
    }
    out
}
