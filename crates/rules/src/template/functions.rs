//! The functions of templates: Go's own and Prometheus'.
//!
//! Source: Prometheus `template/template.go` v3.13. Invariant: a name that `exists` accepts has an entry in
//! `signature` or is built in, and the other way round.

pub(crate) mod builtin;
mod humanize;
mod text;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Context, time,
    value::{Sample, Value},
};

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Param {
    Str,
    Any,
    Vector,
    Sample,
}

impl Param {
    /// Go's name of the parameter's type.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Any => "interface {}",
            Self::Vector => "template.queryResult",
            Self::Sample => "*template.sample",
        }
    }

    /// Whether a value fits.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Str => matches!(value, Value::Str(_)),
            Self::Vector => matches!(value, Value::Vector(_)),
            Self::Sample => matches!(value, Value::Sample(_)),
        }
    }
}

/// The parameters of one of Prometheus' functions; `None` for other names.
pub(crate) fn signature(name: &str) -> Option<&'static [Param]> {
    use Param::{Any, Sample, Str, Vector};
    Some(match name {
        "query" | "title" | "toUpper" | "toLower" | "graphLink" | "tableLink" | "stripPort"
        | "stripDomain" | "parseDuration" | "safeHtml" | "urlQueryEscape" => &[Str],
        "first" => &[Vector],
        "label" => &[Str, Sample],
        "value" | "strvalue" => &[Sample],
        "reReplaceAll" => &[Str, Str, Str],
        "match" => &[Str, Str],
        "sortByLabel" => &[Str, Vector],
        "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage" | "humanizeTimestamp"
        | "toTime" | "toDuration" => &[Any],
        "pathPrefix" | "externalURL" | "now" => &[],
        _ => return None,
    })
}

/// Whether a template may call `name`.
pub(crate) fn exists(name: &str) -> bool {
    name == "args" || signature(name).is_some() || builtin::exists(name)
}

/// Calls one of Prometheus' functions with arguments that its signature accepts.
pub(crate) fn call(name: &str, args: &[Value], context: &Context<'_>) -> Result<Value, String> {
    match (name, args) {
        ("query", [Value::Str(query)]) => (context.query)(query).map(|samples| {
            let samples = samples.into_iter().map(|(labels, value)| Arc::new(Sample { labels, value }));
            Value::Vector(Arc::new(samples.collect()))
        }),
        ("first", [Value::Vector(v)]) => match v.first() {
            Some(sample) => Ok(Value::Sample(Arc::clone(sample))),
            None => Err("first() called on vector with no elements".to_owned()),
        },
        ("label", [Value::Str(label), Value::Sample(s)]) => Ok(Value::str(s.labels.get(label).unwrap_or(""))),
        ("value", [Value::Sample(s)]) => Ok(s.value.clone()),
        ("strvalue", [Value::Sample(s)]) => Ok(Value::str(s.labels.get("__value__").unwrap_or(""))),
        ("args", args) => {
            let named: BTreeMap<_, _> =
                args.iter().enumerate().map(|(i, a)| (format!("arg{i}"), a.clone())).collect();
            Ok(Value::Map(Arc::new(named)))
        }
        ("reReplaceAll", [Value::Str(pattern), Value::Str(with), Value::Str(text)]) => {
            text::replace_all(pattern, with, text).map(Value::str)
        }
        ("match", [Value::Str(pattern), Value::Str(text)]) => text::is_match(pattern, text).map(Value::Bool),
        ("safeHtml", [Value::Str(text)]) => Ok(Value::Str(Arc::clone(text))),
        ("title", [Value::Str(text)]) => Ok(Value::str(text::title(text))),
        ("toUpper", [Value::Str(text)]) => Ok(Value::str(text.to_uppercase())),
        ("toLower", [Value::Str(text)]) => Ok(Value::str(text.to_lowercase())),
        ("graphLink", [Value::Str(e)]) => {
            Ok(Value::str(format!("/graph?g0.expr={}&g0.tab=0", text::escape(e))))
        }
        ("tableLink", [Value::Str(e)]) => {
            Ok(Value::str(format!("/graph?g0.expr={}&g0.tab=1", text::escape(e))))
        }
        ("urlQueryEscape", [Value::Str(e)]) => Ok(Value::str(text::escape(e))),
        ("sortByLabel", [Value::Str(label), Value::Vector(v)]) => {
            let mut sorted = v.as_ref().clone();
            sorted.sort_by(|a, b| a.labels.get(label).unwrap_or("").cmp(b.labels.get(label).unwrap_or("")));
            Ok(Value::Vector(Arc::new(sorted)))
        }
        ("stripPort", [Value::Str(address)]) => Ok(Value::str(text::strip_port(address))),
        ("stripDomain", [Value::Str(address)]) => Ok(Value::str(text::strip_domain(address))),
        ("parseDuration", [Value::Str(text)]) => parse_duration(text).map(Value::Float),
        ("pathPrefix", []) => external_url(context).map(|url| Value::str(text::path(url))),
        ("externalURL", []) => external_url(context).map(Value::str),
        ("now", []) => Ok(Value::Float(context.t_ms as f64 / 1000.0)),
        ("humanize", [v]) => Ok(Value::str(humanize::humanize(humanize::number(v)?))),
        ("humanize1024", [v]) => Ok(Value::str(humanize::humanize1024(humanize::number(v)?))),
        ("humanizeDuration", [v]) => Ok(Value::str(humanize::duration(humanize::number(v)?))),
        ("humanizePercentage", [v]) => Ok(Value::str(humanize::percentage(humanize::number(v)?))),
        ("humanizeTimestamp", [v]) => {
            let seconds = humanize::number(v)?;
            if !seconds.is_finite() {
                return Ok(Value::str(super::format::number::float(seconds, 'g', Some(4))));
            }
            humanize::to_time_ms(seconds).map(|ms| Value::str(time::print(ms)))
        }
        ("toTime", [v]) => humanize::to_time_ms(humanize::number(v)?).map(Value::Time),
        ("toDuration", [v]) => Ok(Value::Duration((humanize::number(v)? * 1e9) as i64)),
        (name, _) => Err(format!("wrong arguments for {name}")),
    }
}

/// The external URL; where there is none, as in a unit test, Prometheus fails with what it says here.
fn external_url<'a>(context: &Context<'a>) -> Result<&'a str, String> {
    context
        .external_url
        .ok_or_else(|| "runtime error: invalid memory address or nil pointer dereference".to_owned())
}

/// What is wrong with a duration, in Prometheus' words.
fn bad_duration(text: &str, rest: &str) -> String {
    use super::format::number::quote;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let unit: String = rest[digits..].chars().take_while(|c| !c.is_ascii_digit()).collect();
    let known = ["ms", "s", "m", "h", "d", "w", "y"].contains(&unit.as_str());
    if digits > 0 && !unit.is_empty() && !known {
        return format!("unknown unit {} in duration {}", quote(&unit), quote(text));
    }
    format!("not a valid duration string: {}", quote(text))
}

fn parse_duration(text: &str) -> Result<f64, String> {
    let (sign, rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    match assay_model::duration::parse_ms(rest) {
        Ok(ms) => Ok(sign * ms as f64 / 1000.0),
        Err(_) if rest.is_empty() => Err("empty duration string".to_owned()),
        Err(_) => Err(bad_duration(text, rest)),
    }
}
