//! Floats in the notation of Prometheus' exposition formats.
//!
//! Invariant: the digits are the fewest that read back as the same float.

pub use crate::number::{format_g as format_float, write_g as write_float};

/// `v` as OpenMetrics and the labels `le` and `quantile` of stored series have it: a whole number keeps a
/// `.0`, as in `1.0` (Prometheus `model/labels/float.go`, `FormatOpenMetricsFloat`).
#[must_use]
pub fn format_openmetrics_float(v: f64) -> String {
    let mut out = String::new();
    write_openmetrics_float(&mut out, v);
    out
}

/// Appends what [`format_openmetrics_float`] gives.
pub fn write_openmetrics_float(out: &mut String, v: f64) {
    let from = out.len();
    write_float(out, v);
    if v.is_finite() && !out[from..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_keep_a_point() {
        for (v, want) in
            [(1.0, "1.0"), (0.5, "0.5"), (1e6, "1e+06"), (f64::INFINITY, "+Inf"), (f64::NAN, "NaN")]
        {
            assert_eq!(format_openmetrics_float(v), want);
        }
    }
}
