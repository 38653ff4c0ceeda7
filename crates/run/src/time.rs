//! Times: milliseconds since the Unix epoch in memory, RFC 3339 in UTC in files.
//!
//! Invariant: a time written is the time read back, to the millisecond.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// The time of day by a clock that nobody can set: what the wall clock said when it began, and steady from there on. A
/// copy is the same clock.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    start_ms: i64,
    began: Instant,
}

/// A reading of two clocks that takes longer says nothing about how far they are apart.
const QUICK: Duration = Duration::from_millis(20);
/// Between two readings a clock that is only slewed moves by far less.
const LEAST_STEP_MS: i64 = 500;

impl SteadyClock {
    /// A clock that says `start_ms` now.
    #[must_use]
    pub fn starting_at(start_ms: i64) -> Self {
        Self { start_ms, began: Instant::now() }
    }

    /// Now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.start_ms.saturating_add(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// How many milliseconds the wall clock is ahead; `None` if that cannot be told just now.
    fn wall_ahead_ms(&self) -> Option<i64> {
        let before = Instant::now();
        let wall_ms = now_ms();
        (before.elapsed() < QUICK).then(|| wall_ms - self.now_ms())
    }
}

/// Finds steps of the wall clock.
#[derive(Debug)]
pub(crate) struct Steps {
    clock: SteadyClock,
    ahead_ms: i64,
}

impl Steps {
    pub(crate) fn of(clock: SteadyClock) -> Self {
        Self { clock, ahead_ms: 0 }
    }

    /// What happened to the wall clock since the last look, in words, if it was more than a correction.
    pub(crate) fn look(&mut self) -> Option<String> {
        let ahead_ms = self.clock.wall_ahead_ms()?;
        let step_ms = ahead_ms - std::mem::replace(&mut self.ahead_ms, ahead_ms);
        (step_ms.abs() >= LEAST_STEP_MS).then(|| {
            let (way, seconds) = (if step_ms > 0 { "forward" } else { "back" }, step_ms.unsigned_abs() as f64 / 1e3);
            let at = to_rfc3339(self.clock.now_ms());
            format!("at {at} the machine's clock went {way} by {seconds:.1} s; the run keeps the time it began with")
        })
    }
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
    fn a_step_of_the_wall_clock_is_seen_once() {
        let hour_ms = 3_600_000;
        for (start_ms, want) in
            [(now_ms() - hour_ms, "forward by 3600."), (now_ms() + hour_ms, "back by 3"), (now_ms(), "")]
        {
            let mut steps = Steps::of(SteadyClock::starting_at(start_ms));
            let seen: Vec<String> = (0..20).filter_map(|_| steps.look()).collect();
            assert_eq!(seen.len(), usize::from(!want.is_empty()), "{seen:?}");
            assert!(seen.concat().contains(want), "{seen:?}");
        }
    }

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
