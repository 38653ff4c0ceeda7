//! The values that a template computes with, as Go's reflection sees them.
//!
//! Invariant: a value's Go type is known (`type_name`), since messages and comparisons depend on it.

use std::{collections::BTreeMap, sync::Arc};

use assay_model::{FloatHistogram, Labels};

use super::{format::number, time};

/// One sample of a query's result.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

/// What stands behind `.` in an alert's templates.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) labels: Labels,
    pub(crate) external_labels: Labels,
    pub(crate) external_url: String,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// No value at all; prints as `<no value>`.
    Nothing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// A map from string to string.
    Labels(Labels),
    /// A map from string to anything.
    Map(Arc<BTreeMap<String, Value>>),
    Sample(Arc<Sample>),
    Vector(Arc<Vec<Arc<Sample>>>),
    Histogram(Arc<FloatHistogram>),
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    Data(Arc<Data>),
}

impl Value {
    /// A string.
    pub(crate) fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// Go's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nothing => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Sample(_) => "*template.sample",
            Self::Vector(_) => "template.queryResult",
            Self::Histogram(_) => "*histogram.FloatHistogram",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "*time.Duration",
            Self::Data(_) => {
                "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
            }
        }
    }

    /// Whether `if` takes the value for true: not empty and not zero.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) => !s.is_empty(),
            Self::Labels(l) => !l.is_empty(),
            Self::Map(m) => !m.is_empty(),
            Self::Vector(v) => !v.is_empty(),
            Self::Sample(_) | Self::Histogram(_) | Self::Time(_) | Self::Duration(_) | Self::Data(_) => true,
        }
    }

    /// The value as `%v` prints it.
    pub(crate) fn print(&self) -> String {
        match self {
            Self::Nothing => "<no value>".to_owned(),
            Self::Bool(b) => b.to_string(),
            Self::Int(i) => i.to_string(),
            Self::Float(f) => number::shortest(*f),
            Self::Str(s) => s.to_string(),
            Self::Labels(l) => {
                let pairs: Vec<_> = l.iter().map(|(n, v)| format!("{n}:{v}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Map(m) => {
                let nested = |v: &Self| match v {
                    Self::Nothing => "<nil>".to_owned(),
                    v => v.print(),
                };
                let pairs: Vec<_> = m.iter().map(|(n, v)| format!("{n}:{}", nested(v))).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Sample(s) => format!("{{{} {}}}", Self::Labels(s.labels.clone()).print(), s.value.print()),
            Self::Vector(v) => {
                let samples: Vec<_> = v.iter().map(|s| Self::Sample(Arc::clone(s)).print()).collect();
                format!("[{}]", samples.join(" "))
            }
            Self::Histogram(h) => h.to_string(),
            Self::Time(ms) => time::print(*ms),
            Self::Duration(ns) => time::print_duration(*ns),
            Self::Data(d) => format!(
                "{{{} {} {} {}}}",
                Self::Labels(d.labels.clone()).print(),
                Self::Labels(d.external_labels.clone()).print(),
                d.external_url,
                d.value.print()
            ),
        }
    }
}
