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
    if v.fract() == 0.0 && v.abs() < LARGEST_EXACT {
        return write_whole(out, v);
    }
    if (1e-4..1e6).contains(&v.abs()) {
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

/// Below it every whole number is a float of its own, so that its digits without the zeros at the end are the fewest that
/// read back as it.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Most numbers of an exposition are whole; their digits need no search for the shortest ones.
fn write_whole(out: &mut String, v: f64) {
    let mut digits = [0u8; 16];
    let mut from = digits.len();
    let mut rest = v.abs() as u64;
    loop {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = &digits[from..];
    if v.is_sign_negative() {
        out.push('-');
    }
    let push = |out: &mut String, digits: &[u8]| out.extend(digits.iter().copied().map(char::from));
    if digits.len() <= 6 {
        return push(out, digits);
    }
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    push(out, &digits[..1]);
    if zeros + 1 < digits.len() {
        out.push('.');
        push(out, &digits[1..digits.len() - zeros]);
    }
    let exponent = digits.len() - 1;
    out.push_str("e+");
    push(out, &[b'0' + (exponent / 10) as u8, b'0' + (exponent % 10) as u8]);
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
            (9_007_199_254_740_991.0, "9.007199254740991e+15", "9007199254740991"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15", "9007199254740992"),
            (-12_000_000.0, "-1.2e+07", "-12000000"),
            (1_000_001.0, "1.000001e+06", "1000001"),
        ] {
            assert_eq!((format_g(v).as_str(), format_f(v).as_str()), (g, f));
        }
    }

    /// The way of whole numbers and the way of all numbers come to the same digits.
    #[test]
    fn whole_numbers_are_written_as_all_are() {
        let slowly = |v: f64| {
            let text = format!("{v:e}");
            let (mantissa, exponent) = text.split_once('e').expect("an exponent");
            let exponent: u32 = exponent.parse().expect("a whole number has none below zero");
            if exponent < 6 { format!("{v}") } else { format!("{mantissa}e+{exponent:02}") }
        };
        let mut v: u64 = 1;
        // Numbers of all lengths: a step multiplies by an odd fraction.
        for _ in 0..100_000 {
            for n in [v, v - 1, v / 1000 * 1000] {
                let n = n as f64;
                assert_eq!(format_g(n), slowly(n));
                assert_eq!(format_g(-n), slowly(-n));
            }
            v = (v * 13 / 7 + 1) % (1 << 53);
            v = v.max(1);
        }
    }
}
