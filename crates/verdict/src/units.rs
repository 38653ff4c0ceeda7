//! Values and times for people. Invariant: a formatted value is never more precise than four digits, and a
//! machine-readable report never uses one.

use assay_model::number::format_f;

/// A value in its unit: `1.24 s`, `350 ms`, `12.5 %`, `1.5 GiB`, `3.2 queries/s`.
#[must_use]
pub fn quantity(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return format_f(value);
    }
    match unit {
        "s" | "seconds" => seconds(value),
        "ms" | "milliseconds" => seconds(value / 1e3),
        "percent" | "%" => format!("{} %", digits(value)),
        "ratio" | "percentunit" => format!("{} %", digits(value * 100.0)),
        "bytes" | "By" => bytes(value),
        "J" if value >= 1e4 => format!("{} kJ", digits(value / 1e3)),
        "" => digits(value),
        other => format!("{} {other}", digits(value)),
    }
}

/// Seconds in the unit that suits them.
fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 1e-3 {
        format!("{} µs", digits(value * 1e6))
    } else if size < 1.0 {
        format!("{} ms", digits(value * 1e3))
    } else if size < 120.0 {
        format!("{} s", digits(value))
    } else {
        format!("{} min", digits(value / 60.0))
    }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value.abs() < 1024.0 || unit == "TiB" {
            return format!("{} {unit}", digits(value));
        }
        value /= 1024.0;
    }
    digits(value)
}

/// A number with at most three digits behind the first, as short as it gets.
#[must_use]
pub fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = match size {
        s if s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        s if s >= 1.0 => 2,
        s if s >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A time as RFC 3339 in UTC, to the second.
#[must_use]
pub fn timestamp(t_ms: i64) -> String {
    jiff::Timestamp::from_second(t_ms.div_euclid(1000))
        .map_or_else(|_| format!("{t_ms} ms"), |t| t.to_string())
}

/// The time of day of a time, in UTC, to the second.
#[must_use]
pub fn clock(t_ms: i64) -> String {
    let text = timestamp(t_ms);
    match (text.find('T'), text.find('Z')) {
        (Some(t), Some(z)) if t < z => text[t + 1..z].to_owned(),
        _ => text,
    }
}

/// Date and time of a time, in UTC, to the second: `2023-11-14 22:13:20`.
#[must_use]
pub fn date_and_time(t_ms: i64) -> String {
    timestamp(t_ms).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// The time of day, with the date before it unless all of `span_ms` is on one day.
#[must_use]
pub fn clock_within(t_ms: i64, span_ms: (i64, i64)) -> String {
    const DAY_MS: i64 = 86_400_000;
    if span_ms.0.div_euclid(DAY_MS) == span_ms.1.div_euclid(DAY_MS) {
        return clock(t_ms);
    }
    date_and_time(t_ms)
}

/// A length of time to the second, or to the millisecond below ten seconds: `2m30s`, `1.5s`.
#[must_use]
pub fn length(ms: i64) -> String {
    if ms.abs() < 10_000 {
        return format!("{}s", digits(ms as f64 / 1e3));
    }
    assay_model::duration::format_ms((ms + ms.signum() * 500) / 1000 * 1000)
}

/// Milliseconds of a time given as RFC 3339 or as unix seconds.
///
/// # Errors
/// Where it is neither.
pub fn parse_time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
        && seconds.abs() < 9e15
    {
        return Ok((seconds * 1e3).round() as i64);
    }
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| format!("{text:?} is not a time; write 2026-11-23T13:00:00Z or unix seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_several_days_have_dates() {
        let t_ms = 1_700_000_000_000;
        assert_eq!(clock_within(t_ms, (t_ms, t_ms + 60_000)), "22:13:20");
        assert_eq!(clock_within(t_ms, (t_ms, t_ms + 7_200_000)), "2023-11-14 22:13:20");
    }

    #[test]
    fn quantities() {
        let check = |value: f64, unit: &str, want: &str| assert_eq!(quantity(value, unit), want);
        check(1.2345, "s", "1.23 s");
        check(0.35, "s", "350 ms");
        check(0.000_42, "s", "420 µs");
        check(350.0, "ms", "350 ms");
        check(300.0, "s", "5 min");
        check(0.0, "percent", "0 %");
        check(0.125, "ratio", "12.5 %");
        check(1.5 * 1024.0 * 1024.0 * 1024.0, "bytes", "1.5 GiB");
        check(3.25, "queries/s", "3.25 queries/s");
        check(12.0, "", "12");
        check(f64::INFINITY, "s", "+Inf");
        check(1_234_567.0, "", "1234567");
    }

    #[test]
    fn times() {
        assert_eq!(timestamp(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(clock(1_700_000_000_999), "22:13:20");
        assert_eq!((length(61_400), length(1_500), length(0)), ("1m1s".into(), "1.5s".into(), "0s".into()));
        assert_eq!(parse_time_ms("1700000000.5"), Ok(1_700_000_000_500));
        assert_eq!(parse_time_ms("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert!(parse_time_ms("yesterday").is_err());
    }
}
