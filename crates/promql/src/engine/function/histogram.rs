//! What a native histogram has to say as one number: count, sum, average, deviation. Invariant: floats have
//! no result.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`simpleHistogramFunc`, `histogramVariance`).

use assay_model::{FloatHistogram, kahan::Kahan};

use crate::{
    ast::HistogramFunc,
    engine::{points::ABSENT, vector::Vector},
};

/// Applies a function of a histogram to every sample.
pub(super) fn apply(v: Vector<'_>, which: HistogramFunc) -> Vector<'_> {
    let f: fn(&FloatHistogram) -> f64 = match which {
        HistogramFunc::HistogramCount => |h| h.count,
        HistogramFunc::HistogramSum => |h| h.sum,
        HistogramFunc::HistogramAvg => |h| h.sum / h.count,
        HistogramFunc::HistogramStddev => |h| variance(h).sqrt(),
        HistogramFunc::HistogramStdvar => variance,
    };
    v.map(move |_, points, _| {
        points.values.fill(ABSENT);
        for (step, h) in std::mem::take(&mut points.histograms) {
            points.values[step as usize] = f(&h);
        }
        Ok(())
    })
}

/// Observations count as being at the mean of their bucket: the geometric one for exponential buckets.
fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let mut total = Kahan::default();
    for b in h.all_buckets().iter().filter(|b| b.count != 0.0) {
        let value = if h.uses_custom_buckets() {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            (b.upper * b.lower).sqrt().copysign(b.upper)
        };
        let delta = value - mean;
        total.add(b.count * delta * delta);
    }
    total.total() / h.count
}
