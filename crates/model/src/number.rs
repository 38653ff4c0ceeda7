//! Numbers as text the way Go writes them, for labels and messages that must read as Prometheus' do.
//!
//! Invariant: the shortest digits that read back as the same number (`strconv.FormatFloat` with precision -1).

use std::fmt::Write as _;

/// Appends `v` as `%g` has it: with an exponent where it is below -4 or from 6 on, as in `1.23456789e+08`.
/// This is how exposition formats write floats.
pub fn write_g(out: &mut String, v: f64) {
    if let Some(word) = not_finite(v) {
        return out.push_str(word);
    }
    if v == 0.0 || (1e-4..1e6).contains(&v.abs()) {
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

/// `v` as [`write_g`] has it.
#[must_use]
pub fn format_g(v: f64) -> String {
    let mut out = String::new();
    write_g(&mut out, v);
    out
}

/// `FormatFloat(v, 'f', -1, 64)`: never an exponent.
#[must_use]
pub fn format_f(v: f64) -> String {
    not_finite(v).map_or_else(|| v.to_string(), str::to_owned)
}

fn not_finite(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_go_does() {
        for (v, g, f) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (999_999.5, "999999.5", "999999.5"),
            (0.000_099_99, "9.999e-05", "0.00009999"),
            (f64::MAX, "1.7976931348623157e+308", &format!("17976931348623157{}", "0".repeat(292))),
            (100_000.0, "100000", "100000"),
            (1_000_000.0, "1e+06", "1000000"),
            (1_234_567.5, "1.2345675e+06", "1234567.5"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "0.00001"),
            (-2.5, "-2.5", "-2.5"),
            (1e300, "1e+300", &format!("1{}", "0".repeat(300))),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NAN, "NaN", "NaN"),
        ] {
            assert_eq!((format_g(v).as_str(), format_f(v).as_str()), (g, f));
        }
    }
}
