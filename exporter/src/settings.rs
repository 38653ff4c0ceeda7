//! The switches that the exporter knows, as one table each, and their values.
//!
//! A collector lists its own switches next to its code ([`crate::collector::Entry`]); those of the whole exporter are in
//! `args`. Invariant: a value is checked when it is set, so that a collector takes it as it is.

use std::{collections::BTreeMap, time::Duration};

use regex::Regex;

use crate::{Filter, OptionsError, collector};

/// A switch of the command line, without the dashes.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// As in `--name=value`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// For `--help`; empty for a switch that is not shown there.
    pub help: &'static str,
}

/// What a switch takes, and its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: `--name` and `--no-name`.
    Switch(bool),
    /// A text.
    Text(&'static str),
    /// A regular expression; an empty one is none.
    Pattern(&'static str),
    /// A duration as Prometheus writes it.
    Duration(&'static str),
    /// A whole number.
    Number(u64),
    /// A text each time it is given.
    List(&'static [&'static str]),
    /// What the switch of that name takes: an older name of it. Both together are refused.
    AliasOf(&'static str),
}

impl Flag {
    /// A switch with its help text.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help }
    }
}

/// The value of a switch.
#[derive(Clone, Debug)]
enum Value {
    Switch(bool),
    Text(String),
    Pattern(Option<Regex>),
    Duration(Duration),
    Number(u64),
    List(Vec<String>),
}

/// The values of all collectors' switches.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut values = BTreeMap::new();
        for flag in collector::flags() {
            // Defaults are constants; a test sets each of them.
            if let Ok(Some(value)) = default(flag) {
                values.insert(flag.name, value);
            }
        }
        Self { values }
    }
}

fn default(flag: &Flag) -> Result<Option<Value>, OptionsError> {
    Ok(Some(match flag.kind {
        Kind::Switch(on) => Value::Switch(on),
        Kind::Number(n) => Value::Number(n),
        Kind::List(list) => Value::List(list.iter().map(|&text| text.to_owned()).collect()),
        Kind::Text(text) | Kind::Pattern(text) | Kind::Duration(text) => value(flag, flag.kind, text)?,
        Kind::AliasOf(_) => return Ok(None),
    }))
}

fn value(flag: &Flag, kind: Kind, text: &str) -> Result<Value, OptionsError> {
    let invalid = |cause: String| OptionsError::Value { option: flag.name.to_owned(), cause };
    Ok(match kind {
        Kind::Switch(_) => Value::Switch(text == "true"),
        Kind::Text(_) | Kind::AliasOf(_) => Value::Text(text.to_owned()),
        Kind::Pattern(_) if text.is_empty() => Value::Pattern(None),
        Kind::Pattern(_) => {
            Value::Pattern(Some(Regex::new(text).map_err(|cause| invalid(cause.to_string()))?))
        }
        Kind::Duration(_) => {
            let ms = assay_model::duration::parse_ms(text).map_err(|cause| invalid(cause.to_string()))?;
            let ms = u64::try_from(ms).map_err(|_| invalid("a duration cannot be negative".to_owned()))?;
            Value::Duration(Duration::from_millis(ms))
        }
        Kind::Number(_) => Value::Number(
            text.parse().map_err(|_| invalid(format!("\"{text}\" is not a whole number of at least 0")))?,
        ),
        Kind::List(_) => Value::List(vec![text.to_owned()]),
    })
}

impl Settings {
    /// Sets a collector's switch, by its name without the dashes. A list gets one entry more; its defaults go.
    ///
    /// # Errors
    /// Where the value is not valid, or there is no such switch.
    pub fn set(&mut self, name: &str, texts: &[&str]) -> Result<(), OptionsError> {
        let unknown =
            || OptionsError::Value { option: name.to_owned(), cause: "there is no such switch".into() };
        let flag = collector::flags().find(|flag| flag.name == name).ok_or_else(unknown)?;
        let value = match flag.kind {
            Kind::List(_) => Value::List(texts.iter().map(|&text| text.to_owned()).collect()),
            kind => value(flag, kind, texts.last().copied().unwrap_or_default())?,
        };
        self.values.insert(flag.name, value);
        Ok(())
    }

    /// The same, where a test wants one value.
    ///
    /// # Errors
    /// As for [`Settings::set`].
    pub fn with(mut self, name: &str, text: &str) -> Result<Self, OptionsError> {
        self.set(name, &[text])?;
        Ok(self)
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Switch(true)))
    }

    /// A text; empty where nothing was said.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Value::Text(text)) => text,
            other => {
                debug_assert!(false, "{name} is {other:?}, not a text");
                ""
            }
        }
    }

    /// A regular expression, where one was given.
    #[must_use]
    pub fn pattern(&self, name: &str) -> Option<Regex> {
        match self.values.get(name) {
            Some(Value::Pattern(pattern)) => pattern.clone(),
            other => {
                debug_assert!(false, "{name} is {other:?}, not a pattern");
                None
            }
        }
    }

    /// The pair of patterns `NAME-include` and `NAME-exclude`.
    #[must_use]
    pub fn filter(&self, name: &str) -> Filter {
        Filter {
            include: self.pattern(&format!("{name}-include")),
            exclude: self.pattern(&format!("{name}-exclude")),
        }
    }

    /// A duration.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        match self.values.get(name) {
            Some(Value::Duration(duration)) => *duration,
            other => {
                debug_assert!(false, "{name} is {other:?}, not a duration");
                Duration::ZERO
            }
        }
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        match self.values.get(name) {
            Some(Value::Number(n)) => *n,
            other => {
                debug_assert!(false, "{name} is {other:?}, not a number");
                0
            }
        }
    }

    /// All values of a switch that may be repeated.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Value::List(list)) => list,
            other => {
                debug_assert!(false, "{name} is {other:?}, not a list");
                &[]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_alias_has_its_switch() {
        for flag in collector::flags() {
            assert!(default(flag).is_ok(), "{flag:?}");
            if let Kind::AliasOf(name) = flag.kind {
                assert!(collector::flags().any(|f| f.name == name), "{flag:?}");
            }
        }
    }
}
