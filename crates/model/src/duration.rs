//! Durations as Prometheus writes them: `1h30m`, `500ms`, `0`.
//!
//! Source: `prometheus/common` `model/time.go` (`ParseDuration`, `Duration.String`). Units stand in
//! descending order, each at most once; a day is 24 h, a week 7 d, a year 365 d.

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid duration: {text:?}; write for example 30s, 5m, 1h30m or 500ms")]
pub struct DurationError {
    /// The text as it was given.
    pub text: String,
}

/// Parses a duration into milliseconds.
///
/// # Errors
/// Where the text is empty, has an unknown or repeated unit, units out of order, or more than fits.
pub fn parse_ms(text: &str) -> Result<i64, DurationError> {
    let fail = || DurationError { text: text.to_owned() };
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(fail());
    }
    let (mut rest, mut units, mut total) = (text, &UNITS[..], 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| fail())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[..letters];
        let at = units.iter().position(|(name, _)| *name == unit).ok_or_else(fail)?;
        total = number.checked_mul(units[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(fail)?;
        units = &units[at + 1..];
        rest = &rest[letters..];
    }
    Ok(total)
}

/// A length as a person writes it, to the millisecond.
#[must_use]
pub fn format(length: std::time::Duration) -> String {
    format_ms(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}

/// Prints milliseconds as Prometheus prints a duration, such as `1h30m`; weeks and years only where they
/// divide it exactly.
#[must_use]
pub fn format_ms(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let (mut rest, mut out) = (ms.unsigned_abs(), String::new());
    if ms < 0 {
        out.push('-');
    }
    for (name, unit) in UNITS {
        let unit = unit.unsigned_abs();
        let exact_only = matches!(name, "y" | "w");
        if rest < unit || (exact_only && rest % unit != 0) {
            continue;
        }
        out.push_str(&format!("{}{name}", rest / unit));
        rest %= unit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, ms) in
            [("0s", 0), ("500ms", 500), ("1m30s", 90_000), ("1h", 3_600_000), ("2w", 14 * 86_400_000)]
        {
            assert_eq!(parse_ms(text), Ok(ms));
            assert_eq!(format_ms(ms), text);
        }
        assert_eq!(parse_ms("0"), Ok(0));
        assert_eq!(format_ms(8 * 86_400_000), "8d");
        for bad in ["", "5", "1x", "1s1m", "1m1m", "-5m", "99999999999999y", "1.5h", "m"] {
            assert!(parse_ms(bad).is_err(), "{bad}");
        }
    }
}
