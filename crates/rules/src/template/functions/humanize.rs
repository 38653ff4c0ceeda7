//! Numbers for people: SI and binary prefixes, durations, percentages and times.
//!
//! Source: Prometheus `template/template.go` v3.13 and `prometheus/common` `helpers/templates/time.go`.
//! Invariant: four significant digits, and a number that is not finite prints as it is.

use super::super::{
    format::number::{float, quote, shortest},
    value::Value,
};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// A number, or a text that spells one.
pub(super) fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(f) => Ok(*f),
        Value::Int(i) => Ok(*i as f64),
        Value::Str(text) => {
            parse(text).ok_or_else(|| format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text)))
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

/// `strconv.ParseFloat`: decimal and hexadecimal floats, infinities and NaN in any case.
fn parse(text: &str) -> Option<f64> {
    let body = text.trim_start_matches(['+', '-']);
    if text.len() - body.len() > 1 {
        return None;
    }
    if body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if body.len() > 2 && body[..2].eq_ignore_ascii_case("0x") {
            return None;
        }
        return text.parse().ok();
    }
    match body.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        "nan" if body.len() == text.len() => Some(f64::NAN),
        _ => None,
    }
}

fn four(v: f64) -> String {
    float(v, 'g', Some(4))
}

/// `1.235k`, `12.5m`.
pub(super) fn humanize(mut v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return four(v);
    }
    if v.abs() >= 1.0 {
        return scaled_down(v, 1000.0, &LARGE);
    }
    let mut prefix = "";
    for p in SMALL {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = p;
        v *= 1000.0;
    }
    format!("{}{prefix}", four(v))
}

/// `1.5ki`.
pub(super) fn humanize1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() { four(v) } else { scaled_down(v, 1024.0, &BINARY) }
}

fn scaled_down(mut v: f64, base: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for p in prefixes {
        if v.abs() < base {
            break;
        }
        prefix = p;
        v /= base;
    }
    format!("{}{prefix}", four(v))
}

/// `1d 2h 3m 4s`, `12.5s`, `3.2ms`.
pub(super) fn duration(mut v: f64) -> String {
    if !v.is_finite() {
        return four(v);
    }
    if v == 0.0 {
        return format!("{}s", four(v));
    }
    if v.abs() >= 1.0 {
        let sign = if v < 0.0 { "-" } else { "" };
        v = v.abs();
        let whole = v as i64;
        let (seconds, minutes, hours, days) =
            (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
        if days != 0 {
            return format!("{sign}{days}d {hours}h {minutes}m {seconds}s");
        }
        if hours != 0 {
            return format!("{sign}{hours}h {minutes}m {seconds}s");
        }
        if minutes != 0 {
            return format!("{sign}{minutes}m {seconds}s");
        }
        return format!("{sign}{}s", four(v));
    }
    format!("{}s", humanize(v))
}

/// `12.5%`.
pub(super) fn percentage(v: f64) -> String {
    format!("{}%", four(v * 100.0))
}

/// A moment from unix seconds.
pub(super) fn to_time_ms(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".to_owned());
    }
    let ns = seconds * 1e9;
    if ns > i64::MAX as f64 || ns < i64::MIN as f64 {
        return Err(format!(
            "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
            shortest(seconds)
        ));
    }
    Ok((ns as i64).div_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (v, want) in [
            (0.0, "0"),
            (1.0, "1"),
            (1_234_567.0, "1.235M"),
            (0.00024, "240u"),
            (-1500.0, "-1.5k"),
            (f64::INFINITY, "+Inf"),
            (1e30, "1e+06Y"),
            (999.95, "1000"),
        ] {
            assert_eq!(humanize(v), want);
        }
        for (v, want) in [(1024.0, "1ki"), (1.0, "1"), (1_048_576.0 * 3.0, "3Mi")] {
            assert_eq!(humanize1024(v), want);
        }
        for (v, want) in [
            (0.0, "0s"),
            (1.0, "1s"),
            (59.99, "59.99s"),
            (60.0, "1m 0s"),
            (86_461.0, "1d 0h 1m 1s"),
            (0.0001, "100us"),
            (-3_700.0, "-1h 1m 40s"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(duration(v), want);
        }
        assert_eq!(percentage(0.1234567), "12.35%");
    }
}
