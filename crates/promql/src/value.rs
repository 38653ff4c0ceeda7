//! What a query yields. Invariant: a vector or matrix has each label set once.

use std::ops::Range;

use assay_model::{Column, Labels, Value};

use crate::{engine::sample_bytes, error::line_and_column};

/// A query's value with what is to be said of it.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value.
    pub value: QueryValue,
    /// Warnings and infos, each once, in the order in which they arose.
    pub annotations: Annotations,
}

/// The value of a query. A range query yields a matrix always.
#[derive(Clone, Debug)]
pub enum QueryValue {
    /// A number at a time (milliseconds since the Unix epoch).
    Scalar(i64, f64),
    /// A string at a time.
    String(i64, String),
    /// One sample for each series, at the evaluation time (or, for a bare selector too, at that time).
    Vector(Vec<InstantSample>),
    /// Several samples for each series, sorted by labels.
    Matrix(Vec<RangeSeries>),
}

/// One series' sample in an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// The labels, the metric's name among them where the expression keeps it.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value.
    pub value: Value,
}

/// One series of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// The labels.
    pub labels: Labels,
    /// The samples, ascending.
    pub samples: Column,
}

impl RangeSeries {
    /// The bytes that the samples hold, as [`Memory`](crate::Memory) counts them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        sample_bytes(&self.samples)
    }
}

/// How grave an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// The result may not be what was meant.
    Warning,
}

/// A remark on a result, with the bytes of the expression that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// How grave it is.
    pub severity: Severity,
    /// The text without position, such as `PromQL warning: quantile value should be between 0 and 1, got 2`.
    pub message: String,
    /// What is to follow the text: counts over all occurrences, or nothing.
    pub details: String,
    /// The bytes of the expression's text that it is about.
    pub span: Range<usize>,
}

impl Annotation {
    /// The remark on `query` as Prometheus prints it: with the line and the column in bytes, `(1:5)`. One that came from a
    /// server has its position in its text.
    #[must_use]
    pub fn text(&self, query: &str) -> String {
        if self.span.is_empty() {
            return format!("{}{}", self.message, self.details);
        }
        let (line, column) = line_and_column(query, self.span.start);
        format!("{}{} ({line}:{column})", self.message, self.details)
    }
}

/// A result's annotations.
pub type Annotations = Vec<Annotation>;
