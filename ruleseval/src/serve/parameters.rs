//! Parameters of a request, from the address and from a form. Invariant: a parameter that is there is read or
//! refused, never ignored for being malformed.

use std::{num::IntErrorKind, time::Duration};

use assay_model::{Matcher, duration};
use assay_promql::Expr;

use super::answer::Failure;
use assay_verdict::units::parse_time_ms;

/// Names and values in the order given.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Those of a query string and of a body that is a form.
    pub(super) fn read(query: Option<&str>, body: &str) -> Self {
        let decode = |text: &str| {
            url::form_urlencoded::parse(text.as_bytes())
                .map(|(n, v)| (n.into_owned(), v.into_owned()))
                .collect::<Vec<_>>()
        };
        let mut pairs = decode(body);
        pairs.extend(decode(query.unwrap_or_default()));
        Self { pairs }
    }

    /// Adds one that comes before all others of its name.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.pairs.insert(0, (name.to_owned(), value.to_owned()));
    }

    /// The first value of a parameter that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All values of a parameter that are not empty.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// A time, or `None` if the parameter is absent.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match time_ms(text) {
            Ok(ms) => Ok(Some(ms)),
            Err(e) => Err(invalid(name, format!("invalid time value for '{name}': {e}"))),
        }
    }

    /// `start` and `end`; what is absent does not limit.
    pub(super) fn span_ms(&self) -> Result<(i64, i64), Failure> {
        Ok((self.time_ms("start")?.unwrap_or(i64::MIN), self.time_ms("end")?.unwrap_or(i64::MAX)))
    }

    /// A time that must be there.
    pub(super) fn required_time_ms(&self, name: &str) -> Result<i64, Failure> {
        time_ms(self.get(name).unwrap_or_default()).map_err(|e| invalid(name, e))
    }

    /// A length of time above zero.
    pub(super) fn step_ms(&self, name: &str) -> Result<i64, Failure> {
        match duration_ms(self.get(name).unwrap_or_default()) {
            Ok(ms) if ms > 0 => Ok(ms),
            Ok(_) => {
                let message =
                    "zero or negative query resolution step widths are not accepted. Try a positive integer";
                Err(invalid(name, message))
            }
            Err(e) => Err(invalid(name, e)),
        }
    }

    /// `timeout`, if it is there.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.get("timeout") else { return Ok(None) };
        let ms = duration_ms(text).map_err(|e| invalid("timeout", e))?;
        Ok(Some(Duration::from_millis(ms.try_into().unwrap_or(0))))
    }

    /// `lookback_delta`, if it is there and above zero.
    pub(super) fn lookback_ms(&self) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get("lookback_delta") else { return Ok(None) };
        match duration_ms(text) {
            Ok(ms) => Ok(Some(ms).filter(|ms| *ms > 0)),
            Err(e) => Err(Failure::bad_data(format!("error parsing lookback delta duration: {e}"))),
        }
    }

    /// `limit`, if it is there and not 0.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.get("limit") else { return Ok(usize::MAX) };
        match text.parse::<i64>() {
            Ok(0) => Ok(usize::MAX),
            Ok(n) => n.try_into().map_err(|_| invalid("limit", "limit must be non-negative")),
            Err(e) => {
                let why = match e.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Err(invalid("limit", format!("strconv.Atoi: parsing {text:?}: {why}")))
            }
        }
    }

    /// The expression of `query`.
    pub(super) fn expression(&self) -> Result<Expr, Failure> {
        let text = self.get("query").unwrap_or_default();
        assay_promql::parse(text).map_err(|errors| invalid("query", first(&errors)))
    }

    /// The matchers of each `match[]`.
    pub(super) fn selections(&self) -> Result<Vec<Vec<Matcher>>, Failure> {
        let read = |text: &str| assay_promql::parse_selector(text).map_err(|e| Failure::bad_data(first(&e)));
        self.all("match[]").map(read).collect()
    }

    /// The same, where each must leave something out.
    pub(super) fn selective(&self) -> Result<Vec<Vec<Matcher>>, Failure> {
        let found = self.selections()?;
        if found.iter().any(|matchers| matchers.iter().all(|m| m.matches(""))) {
            return Err(Failure::bad_data("match[] must contain at least one non-empty matcher"));
        }
        Ok(found)
    }
}

/// The first error, which is the one that Prometheus reports.
fn first(errors: &assay_promql::ParseErrors) -> String {
    errors.list().first().map(ToString::to_string).unwrap_or_default()
}

/// The failure of a parameter.
pub(super) fn invalid(name: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::bad_data(format!("invalid parameter \"{name}\": {cause}"))
}

/// A time as the API takes it, the earliest and the latest of Go among them, which its clients send.
fn time_ms(text: &str) -> Result<i64, String> {
    match text {
        "-292273086-05-16T16:47:06Z" => Ok(i64::MIN),
        "292277025-08-18T07:12:54.999999999Z" => Ok(i64::MAX),
        text => parse_time_ms(text).map_err(|_| format!("cannot parse {text:?} to a valid timestamp")),
    }
}

/// A length of time: a number of seconds, or a duration.
fn duration_ms(text: &str) -> Result<i64, String> {
    match text.parse::<f64>() {
        // What does not fit into nanoseconds.
        Ok(seconds) if seconds.abs() > i64::MAX as f64 / 1e9 => {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        }
        Ok(seconds) => Ok((seconds * 1e3).round() as i64),
        Err(_) => duration::parse_ms(text).map_err(|_| format!("cannot parse {text:?} to a valid duration")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_forms_and_addresses() {
        let p = Parameters::read(
            Some("time=1.5&empty=&match[]=up"),
            "query=a%2Bb&match%5B%5D=%7Bjob%3D%22x%22%7D",
        );
        assert_eq!(p.get("query"), Some("a+b"));
        assert_eq!(p.get("empty"), None);
        assert_eq!(p.time_ms("time").expect("is a time"), Some(1_500));
        assert_eq!(p.selections().expect("are selectors").len(), 2);
        assert!(p.step_ms("step").is_err() && p.required_time_ms("start").is_err());
        let step = |text: &str| Parameters::read(Some(&format!("step={text}")), "").step_ms("step").ok();
        assert_eq!(
            (step("15"), step("1m"), step("0.5"), step("0"), step("x")),
            (Some(15_000), Some(60_000), Some(500), None, None)
        );
    }
}
