//! Distributions in seconds, as a person reads them. Invariant: a percentile is a bucket's value of the histogram
//! that was measured, never a mean of percentiles.

use assay_model::histogram::ExponentialHistogram;
use serde::Serialize;

/// How late starts may be until they make the generator suspect: this share of the median latency, and this long.
const LAG_SHARE: f64 = 0.1;
const LAG_S: f64 = 0.002;

/// Whether starts were so late (`lag_p99_s`) that times measured from the schedule are doubtful, given the median
/// latency.
pub(crate) fn is_late(lag_p99_s: f64, latency_p50_s: f64) -> bool {
    lag_p99_s > LAG_S && lag_p99_s > LAG_SHARE * latency_p50_s
}

/// A distribution, in seconds; all zero where there is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The least.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub stddev: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of a histogram.
    #[must_use]
    pub fn of(h: &ExponentialHistogram) -> Self {
        let (Some(min), Some(max)) = (h.min(), h.max()) else { return Self::default() };
        let q = |q: f64| h.quantile(q);
        Self {
            min,
            mean: h.sum() / h.count() as f64,
            stddev: h.stddev(),
            p50: q(0.5),
            p90: q(0.9),
            p95: q(0.95),
            p99: q(0.99),
            p999: q(0.999),
            max,
        }
    }
}

/// Seconds for a person to read.
#[must_use]
pub fn seconds(s: f64) -> String {
    match s {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

/// How often the second goes into the first, if both are above 0.
pub(crate) fn ratio(n: f64, of: f64) -> Option<f64> {
    (n > 0.0 && of > 0.0).then(|| n / of)
}
