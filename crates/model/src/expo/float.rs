//! Floats in the notation of Prometheus' exposition formats.
//!
//! Source: Go `strconv/ftoa.go`, `FormatFloat(v, 'g', -1, 64)`, which Prometheus' writers call. Invariant:
//! the digits are the fewest that read back as the same float.

use std::fmt::Write as _;

/// Appends `v` as Prometheus' text formats have it: `0.5`, `123456`, `1e+06`, `+Inf`, `NaN`.
///
/// An exponent is used below 1e-4 and from 1e+06 on.
pub fn write_float(out: &mut String, v: f64) {
    if v.is_nan() {
        return out.push_str("NaN");
    }
    if v.is_infinite() {
        return out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    }
    let magnitude = v.abs();
    if v == 0.0 || (1e-4..1e6).contains(&magnitude) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{v}");
        return;
    }
    let from = out.len();
    let _ = write!(out, "{v:e}");
    let Some(at) = out[from..].find('e').map(|i| from + i + 1) else { return };
    let negative = out[at..].starts_with('-');
    if negative {
        out.remove(at);
    }
    if out.len() - at < 2 {
        out.insert(at, '0');
    }
    out.insert(at, if negative { '-' } else { '+' });
}

/// `v` as [`write_float`] has it.
#[must_use]
pub fn format_float(v: f64) -> String {
    let mut out = String::new();
    write_float(&mut out, v);
    out
}

/// `v` as OpenMetrics and the labels `le` and `quantile` of stored series have it: a whole number keeps a
/// `.0`, as in `1.0` (Prometheus `model/labels/float.go`, `FormatOpenMetricsFloat`).
#[must_use]
pub fn format_openmetrics_float(v: f64) -> String {
    let mut out = format_float(v);
    if v.is_finite() && !out.contains(['.', 'e']) {
        out.push_str(".0");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_099_99, "9.999e-05"),
            (123_456.0, "123456"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (-2.5e300, "-2.5e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (v, want) in cases {
            assert_eq!(format_float(v), want);
        }
        assert_eq!(format_openmetrics_float(1.0), "1.0");
        assert_eq!(format_openmetrics_float(1e6), "1e+06");
        assert_eq!(format_openmetrics_float(f64::INFINITY), "+Inf");
    }
}
