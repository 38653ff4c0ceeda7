//! The least change that matters. Invariant: it is above zero wherever the objective's limit or the baseline is.

use std::{fmt, str::FromStr};

use crate::measure::Measure;

/// What a baseline must change by, if nothing else is given.
const RELATIVE: f64 = 0.05;
/// What a percentage must change by at least: this part of what its limit allows, from the best that there can be.
const OF_ALLOWANCE: f64 = 0.1;

/// A least change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Of the baseline's value, such as 0.05.
    Relative(f64),
    /// In the objective's unit.
    Absolute(f64),
}

/// A least change, of one measure or of all: `5%`, `0.2`, `Query latency p99=10%`.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectOf {
    /// The objective, or the figure of steps and stages; `None` for all.
    pub name: Option<String>,
    /// How much.
    pub effect: Effect,
}

impl EffectOf {
    /// Whether it is about something that is not measured.
    pub(crate) fn names_none(&self, measures: &[Measure]) -> bool {
        self.name.as_ref().is_some_and(|name| !measures.iter().any(|m| m.name == *name))
    }
}

impl FromStr for EffectOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a change; write 5%, 0.2 or NAME=5%");
        let (name, amount) = match text.rsplit_once('=') {
            Some((name, amount)) if !name.is_empty() => (Some(name.to_owned()), amount),
            Some(_) => return Err(bad()),
            None => (None, text),
        };
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
        let effect = match amount.strip_suffix('%') {
            Some(percent) => Effect::Relative(number(percent).ok_or_else(bad)? / 100.0),
            None => Effect::Absolute(number(amount).ok_or_else(bad)?),
        };
        Ok(Self { name, effect })
    }
}

impl fmt::Display for EffectOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}=")?;
        }
        match self.effect {
            Effect::Relative(part) => write!(f, "{}%", part * 100.0),
            Effect::Absolute(amount) => write!(f, "{amount}"),
        }
    }
}

/// The least change of a measure's value that matters, in its unit.
pub(crate) fn least(measure: &Measure, base: f64, given: &[EffectOf]) -> f64 {
    let own = given.iter().rev().find(|e| e.name.as_ref() == Some(&measure.name));
    let of_all = || given.iter().rev().find(|e| e.name.is_none());
    if let Some(one) = own {
        return match one.effect {
            Effect::Relative(part) => part * base.abs(),
            Effect::Absolute(amount) => amount,
        };
    }
    let relative = match of_all().map(|e| e.effect) {
        Some(Effect::Absolute(amount)) => return amount,
        Some(Effect::Relative(part)) => part,
        None => RELATIVE,
    };
    match (measure.unit.as_str(), measure.limit) {
        // Of an error rate below 1 % a twentieth is nothing that anyone notices, and of 99 % availability it is all.
        ("percent" | "%", Some(limit)) => {
            let best = if measure.more_is_better() { 100.0 } else { 0.0 };
            (OF_ALLOWANCE * (limit - best).abs()).max(relative * (base - best).abs())
        }
        // From nothing, a part of nothing would be nothing.
        (_, Some(limit)) if base == 0.0 => relative * limit.abs(),
        _ => relative * base.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_relative_absolute_or_of_one() {
        let read = |text: &str| text.parse::<EffectOf>();
        assert_eq!(read("5%"), Ok(EffectOf { name: None, effect: Effect::Relative(0.05) }));
        assert_eq!(read("0.2"), Ok(EffectOf { name: None, effect: Effect::Absolute(0.2) }));
        let one = read("Query latency p99=10%").expect("is right");
        assert_eq!((one.name.as_deref(), one.effect), (Some("Query latency p99"), Effect::Relative(0.1)));
        assert_eq!(one.to_string(), "Query latency p99=10%");
        for bad in ["", "=5%", "five", "-1", "x=", "nan"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
