//! `stddev_over_time` and `stdvar_over_time`. Invariant: deviations are taken from the mean, never from zero.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`varianceOverTime`); windows that overlap are combined
//! from parts by Chan's formula.

use assay_model::kahan::Kahan;

use super::{Job, slide::Slider};
use crate::engine::{
    notes::{Notes, ignored_in_range},
    points::Points,
};

/// Count, mean and sum of squared deviations.
#[derive(Clone, Copy)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

pub(super) fn variance(job: &Job<'_>, finish: impl Fn(f64) -> f64, notes: &mut Notes) -> Points {
    let values = job.samples.values;
    let sliding = job.overlaps() && values.iter().all(|v| v.is_finite());
    let mut slider = Slider::new(|i| Moments { n: 1.0, mean: values[i], squares: 0.0 }, combine);
    let mut out = job.absent();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        let variance = if sliding {
            let m = slider.window(w.floats.start, w.floats.end);
            m.squares / m.n
        } else {
            direct(&values[w.floats])
        };
        out.values[w.step] = finish(variance);
    }
    out
}

fn combine(a: Moments, b: Moments) -> Moments {
    let n = a.n + b.n;
    let delta = b.mean - a.mean;
    Moments {
        n,
        mean: a.mean + delta * (b.n / n),
        squares: a.squares + b.squares + delta * delta * (a.n * b.n / n),
    }
}

fn direct(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Kahan::default(), Kahan::default());
    for (i, v) in values.iter().enumerate() {
        let delta = v - mean.total();
        mean.add(delta / (i + 1) as f64);
        squares.add(delta * (v - mean.total()));
    }
    squares.total() / values.len() as f64
}
