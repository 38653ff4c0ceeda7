//! `double_exponential_smoothing` (Holt). Invariant: both factors lie strictly between 0 and 1.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`funcDoubleExponentialSmoothing`).

use super::Job;
use crate::engine::{
    notes::{Notes, ignored_in_range},
    points::Points,
};

pub(super) fn double_exponential(job: &Job<'_>, notes: &mut Notes) -> Result<Points, String> {
    let mut out = job.absent();
    for w in job.windows() {
        let factor = |i: usize, name: &str, short: &str| {
            let v = job.params.get(i).map_or(f64::NAN, |p| p.at(w.step));
            if v <= 0.0 || v >= 1.0 {
                return Err(format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {v:.6}"));
            }
            Ok(v)
        };
        let (smoothing, trend) = (factor(0, "smoothing", "sf")?, factor(1, "trend", "tf")?);
        if !w.histograms.is_empty() && !w.floats.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        if w.floats.len() < 2 {
            continue;
        }
        out.values[w.step] = smooth(&job.samples.values[w.floats], smoothing, trend);
    }
    Ok(out)
}

fn smooth(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let (mut level, mut slope) = (values[0], values[1] - values[0]);
    let mut before = 0.0;
    for (i, v) in values[1..].iter().enumerate() {
        if i > 0 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        (before, level) = (level, smoothing * v + (1.0 - smoothing) * (level + slope));
    }
    level
}
