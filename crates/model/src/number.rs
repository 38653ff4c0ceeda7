//! Numbers as text the way Go writes them, for labels and messages that must read as Prometheus' do.
//!
//! Invariant: the shortest digits that read back as the same number (`strconv.FormatFloat` with precision -1).

/// `%g`: with an exponent where it is below -4 or from 6 on, as in `1.23456789e+08`.
#[must_use]
pub fn format_g(v: f64) -> String {
    if let Some(word) = not_finite(v) {
        return word.to_owned();
    }
    if v == 0.0 {
        return if v.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{v:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return v.to_string();
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
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
