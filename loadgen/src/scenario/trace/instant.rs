//! Instants as files write them. Invariant: what is read is exact to the nanosecond where it is a date, and to what a number of
//! 64 bits holds where it is a number.

use assay_model::calendar;
use minijinja::value::Value;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    S,
    Ms,
    Us,
    Ns,
}

impl Unit {
    /// The units, by their names.
    pub(crate) const NAMES: [&'static str; 4] = ["s", "ms", "us", "ns"];

    /// The unit of this name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let all = [Self::S, Self::Ms, Self::Us, Self::Ns];
        Self::NAMES.iter().position(|known| *known == name).map(|at| all[at])
    }

    fn ns(self) -> f64 {
        match self {
            Self::S => 1e9,
            Self::Ms => 1e6,
            Self::Us => 1e3,
            Self::Ns => 1.0,
        }
    }
}

/// The farthest from zero that an instant may be: some thirty thousand years.
const MOST_NS: f64 = 1e21;

/// An instant in nanoseconds: a number in the unit, or a date, which counts from 1970.
pub(super) fn parse(value: &Value, unit: Unit) -> Option<i128> {
    let of_number = |n: f64| {
        let ns = (n * unit.ns()).round();
        (ns.abs() <= MOST_NS).then_some(ns as i128)
    };
    match value.as_str() {
        None => of_number(f64::try_from(value.clone()).ok()?),
        Some(text) => match text.trim().parse::<f64>() {
            Ok(number) => of_number(number),
            Err(_) => date(text.trim()),
        },
    }
}

/// `2026-01-31T12:00:00.5Z`, the same with a space and without a zone (then it is UTC), or `31/Jan/2026:12:00:00 +0100`.
fn date(text: &str) -> Option<i128> {
    let (year, month, day, rest) = match text.as_bytes().get(2)? {
        b'/' => {
            let (date, rest) = text.split_once(':')?;
            let mut parts = date.split('/');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            let month = calendar::month_of(month)?;
            (year.parse().ok()?, month, day.parse().ok()?, rest)
        }
        _ => {
            let (date, rest) = text.split_once(['T', ' '])?;
            let mut parts = date.split('-');
            let mut number = || parts.next()?.parse::<i64>().ok();
            (number()?, number()?, number()?, rest)
        }
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(rest.len());
    let mut parts = rest[..end].split(':');
    let (hour, minute): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (second, fraction) = match parts.next()?.split_once('.') {
        Some((second, fraction)) => (second.parse::<i64>().ok()?, nanoseconds(fraction)?),
        None => (rest[..end].rsplit(':').next()?.parse::<i64>().ok()?, 0),
    };
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = calendar::days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        - zone_s(rest[end..].trim())?;
    Some(i128::from(seconds) * 1_000_000_000 + fraction)
}

/// The digits behind the point.
fn nanoseconds(digits: &str) -> Option<i128> {
    let nine = format!("{:0<9}", digits.get(..digits.len().min(9))?);
    nine.parse().ok()
}

/// How far a zone is ahead of UTC.
fn zone_s(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.strip_prefix(['+', '-'])?.chars().filter(|c| *c != ':').collect();
    match digits.len() {
        4 => Some(sign * (digits[..2].parse::<i64>().ok()? * 3600 + digits[2..].parse::<i64>().ok()? * 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_written() {
        let check =
            |text: &str, want: i128| assert_eq!(parse(&Value::from(text), Unit::S), Some(want), "{text}");
        let s = 1_000_000_000;
        check("1970-01-01T00:00:00Z", 0);
        check("2023-11-16 18:15:46.6805900", 1_700_158_546 * s + 680_590_000);
        check("2023-11-16T19:15:46+01:00", 1_700_158_546 * s);
        check("10/Oct/2000:13:55:36 -0700", 971_211_336 * s);
        check("2024-02-29 00:00:00", 1_709_164_800 * s);
        check("12.5", 12 * s + 500_000_000);
        assert_eq!(parse(&Value::from(27_482), Unit::Ms), Some(27_482_000_000));
        assert_eq!(parse(&Value::from(1.5), Unit::Us), Some(1500));
        for wrong in [
            "",
            "now",
            "2023-13-01 00:00:00",
            "2023-01-01",
            "2023-01-01 25:00:00",
            "10/Okt/2000:13:55:36 +0000",
            "nan",
            "1e300",
            "-1e14",
        ] {
            assert_eq!(parse(&Value::from(wrong), Unit::S), None, "{wrong}");
        }
    }
}
