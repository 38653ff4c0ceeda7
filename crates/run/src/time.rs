//! Times: milliseconds since the Unix epoch in memory, RFC 3339 in UTC in files.
//!
//! Invariant: a time written is the time read back, to the millisecond.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `2026-11-23T13:45:00.123Z`. A time beyond the years that the notation has is written as Unix seconds.
#[must_use]
pub fn to_rfc3339(t_ms: i64) -> String {
    match Timestamp::from_millisecond(t_ms) {
        Ok(t) => format!("{t:.3}"),
        Err(_) => {
            let (sign, ms) = (if t_ms < 0 { "-" } else { "" }, t_ms.unsigned_abs());
            format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
        }
    }
}

/// Reads RFC 3339 with any offset, or Unix seconds with or without a fraction, as on the command line.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(t.as_millisecond());
    }
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds.abs() < 9e15).then(|| (seconds * 1000.0).round() as i64)
}

/// `20261123T134500Z`, for file names.
#[must_use]
pub fn compact(t_ms: i64) -> String {
    match Timestamp::from_millisecond(t_ms) {
        Ok(t) => t.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => t_ms.to_string(),
    }
}

/// For `#[serde(with = "time::rfc3339")]` on milliseconds.
pub(crate) mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(t_ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_rfc3339(*t_ms))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is not a time such as 2026-11-23T13:45:00Z")))
    }
}

/// The same for a time that may be missing.
pub(crate) mod rfc3339_option {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Wrapped(#[serde(with = "super::rfc3339")] i64);

    // The signature is what serde calls.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(t_ms: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match t_ms {
            Some(t_ms) => super::rfc3339::serialize(t_ms, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|w| w.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive() {
        let t_ms = 1_795_787_100_123;
        assert_eq!(to_rfc3339(t_ms), "2026-11-27T13:45:00.123Z");
        for (text, want) in [
            ("2026-11-27T13:45:00.123Z", Some(t_ms)),
            ("2026-11-27T14:45:00.123+01:00", Some(t_ms)),
            ("1795787100.123", Some(t_ms)),
            ("1795787100", Some(t_ms - 123)),
            ("soon", None),
            ("NaN", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        assert_eq!(compact(t_ms), "20261127T134500Z");
    }
}
