//! Checks: what a response must be. Invariant: a check is counted once for each response that it was
//! applied to, passed or failed.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderMap, HeaderName};
use regex::Regex;
use serde_json::Value;

use super::jsonpath::JsonPath;

/// The statuses that a step takes as success.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) statuses: Vec<RangeInclusive<u16>>,
    /// The check that counts this, where the scenario names statuses.
    pub(crate) check: Option<usize>,
}

impl Expectation {
    pub(crate) fn holds(&self, status: u16) -> bool {
        self.statuses.iter().any(|r| r.contains(&status))
    }
}

/// A condition with its id in the scenario.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) id: usize,
    pub(crate) condition: Condition,
}

/// A condition on a response.
#[derive(Debug)]
pub(crate) enum Condition {
    /// On a place in a JSON body; in a stream, one event must meet it.
    Json(JsonPath, JsonTest),
    /// The body has this text.
    Contains(String),
    /// The body matches.
    Matches(Regex),
    /// A header is there, with this value where one is given.
    Header(HeaderName, Option<String>),
    /// The response took at most this long.
    Latency(Duration),
}

/// A test of a JSON value.
#[derive(Debug)]
pub(crate) enum JsonTest {
    /// It is there, and not null.
    Exists,
    /// It is not there, or null.
    Absent,
    /// It is equal to this.
    Equals(Value),
    /// It is a text that matches.
    Matches(Regex),
}

impl JsonTest {
    fn holds(&self, value: Option<&Value>) -> bool {
        let value = value.filter(|v| !v.is_null());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Equals(want) => value == Some(want),
            Self::Matches(regex) => value.and_then(Value::as_str).is_some_and(|t| regex.is_match(t)),
        }
    }
}

impl Condition {
    /// Whether the condition needs the body or the events.
    pub(crate) fn needs_body(&self) -> bool {
        matches!(self, Self::Json(..) | Self::Contains(_) | Self::Matches(_))
    }

    /// Whether a JSON document meets the condition; `None` where it is not about JSON.
    pub(crate) fn in_json(&self, json: Option<&Value>) -> Option<bool> {
        match self {
            Self::Json(path, test) => {
                Some(json.map_or_else(|| test.holds(None), |j| test.holds(path.find(j))))
            }
            _ => None,
        }
    }

    /// What a response has where the condition looks, for a person.
    pub(crate) fn found(&self, headers: &HeaderMap, body: &str, took: Duration) -> String {
        match self {
            Self::Json(path, _) => match serde_json::from_str::<Value>(body) {
                Ok(json) => path.find(&json).map_or_else(|| "nothing there".to_owned(), Value::to_string),
                Err(_) if body.is_empty() => "no event that has it".to_owned(),
                Err(_) => "a body that is not JSON".to_owned(),
            },
            Self::Contains(_) | Self::Matches(_) => {
                let start: String = body.chars().take(80).collect();
                if start.len() < body.len() { format!("{start:?}…") } else { format!("{start:?}") }
            }
            Self::Header(name, _) => match headers.get(name) {
                Some(value) => format!("{:?}", String::from_utf8_lossy(value.as_bytes())),
                None => "no such header".to_owned(),
            },
            Self::Latency(_) => format!("{} ms", took.as_millis()),
        }
    }

    /// Whether a response meets a condition that is not about JSON.
    pub(crate) fn in_reply(&self, headers: &HeaderMap, body: &str, took: Duration) -> bool {
        match self {
            Self::Json(..) => true,
            Self::Contains(text) => body.contains(text.as_str()),
            Self::Matches(regex) => regex.is_match(body),
            Self::Header(name, None) => headers.contains_key(name),
            Self::Header(name, Some(want)) => {
                headers.get_all(name).iter().any(|v| v.as_bytes() == want.as_bytes())
            }
            Self::Latency(most) => took <= *most,
        }
    }
}
