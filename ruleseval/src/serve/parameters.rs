//! Parameters of a request, from the address and from a form. Invariant: a parameter that is there is read or
//! refused, never ignored for being malformed.

use std::time::Duration;

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

    /// Adds one.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// The first value of a parameter that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// All values of a parameter that are not empty.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// A time, or `None` where the parameter is absent.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match parse_time_ms(text) {
            Ok(ms) => Ok(Some(ms)),
            Err(e) => Err(Failure::bad_data(format!("invalid parameter \"{name}\": {e}"))),
        }
    }

    /// A time that must be there.
    pub(super) fn required_time_ms(&self, name: &str) -> Result<i64, Failure> {
        self.time_ms(name)?
            .ok_or_else(|| Failure::bad_data(format!("invalid parameter \"{name}\": it is missing")))
    }

    /// A length of time: a duration, or a number of seconds.
    pub(super) fn step_ms(&self, name: &str) -> Result<i64, Failure> {
        let text = self.get(name).unwrap_or_default();
        let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite()).map(|s| (s * 1e3).round() as i64);
        match seconds.map_or_else(|| duration::parse_ms(text).ok(), Some) {
            Some(ms) if ms > 0 => Ok(ms),
            Some(_) => Err(Failure::bad_data(format!(
                "invalid parameter \"{name}\": zero or negative query resolution step widths are not accepted. \
                 Try a positive integer"
            ))),
            None => Err(Failure::bad_data(format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration"
            ))),
        }
    }

    /// `timeout`, where it is there.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        if self.get("timeout").is_none() {
            return Ok(None);
        }
        Ok(Some(Duration::from_millis(self.step_ms("timeout")?.unsigned_abs())))
    }

    /// `limit`, where it is there and not 0.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        match self.get("limit").map(str::parse::<usize>) {
            None | Some(Ok(0)) => Ok(usize::MAX),
            Some(Ok(n)) => Ok(n),
            Some(Err(_)) => Err(Failure::bad_data("invalid parameter \"limit\": expected a whole number")),
        }
    }

    /// The expression of `query`.
    pub(super) fn expression(&self) -> Result<Expr, Failure> {
        let text = self.get("query").unwrap_or_default();
        assay_promql::parse(text).map_err(|errors| {
            let first = errors.list().first().map(ToString::to_string).unwrap_or_default();
            Failure::bad_data(format!("invalid parameter \"query\": {first}"))
        })
    }

    /// The matchers of each `match[]`.
    pub(super) fn selections(&self) -> Result<Vec<Vec<Matcher>>, Failure> {
        self.all("match[]")
            .map(|text| match assay_promql::parse(text) {
                Ok(Expr::Vector(selector)) => Ok(selector.matchers),
                _ => Err(Failure::bad_data(format!(
                    "invalid parameter \"match[]\": {text:?} is not a selector"
                ))),
            })
            .collect()
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
