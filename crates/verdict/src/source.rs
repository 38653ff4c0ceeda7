//! Where the numbers come from: a recorded run or a server. Invariant: both answer the same expression with
//! the same shapes; a failure to read is an error, never an empty result.

use assay_promql::{InstantSample, QueryResult, QueryValue, RangeSeries};

mod recorded;
mod remote;

pub use recorded::RecordedSource;
pub use remote::RemoteSource;

/// Why a source gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What went wrong, with the file or address.
    pub message: String,
}

impl SourceError {
    /// An error from anything that can be printed.
    pub fn new(cause: impl std::fmt::Display) -> Self {
        Self { message: cause.to_string() }
    }
}

/// What came of a query.
pub type Answered = Result<QueryResult, SourceError>;

/// Something that evaluates PromQL. Times are milliseconds since the Unix epoch.
pub trait Source: Sync {
    /// Evaluates at one instant.
    ///
    /// # Errors
    /// Where the expression is wrong or the data cannot be read.
    fn instant(&self, expression: &str, t_ms: i64) -> Answered;

    /// Evaluates at every `step_ms` of `[start_ms, end_ms]`, both ends in. The value is a matrix.
    ///
    /// # Errors
    /// As [`Source::instant`].
    fn range(&self, expression: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answered;

    /// Whether any series of a metric exists, at any time.
    ///
    /// # Errors
    /// Where the data cannot be read.
    fn has_metric(&self, name: &str) -> Result<bool, SourceError>;
}

/// The samples of an instant result; a scalar is one sample without labels.
#[must_use]
pub fn samples(result: QueryResult) -> Vec<InstantSample> {
    match result.value {
        QueryValue::Vector(list) => list,
        QueryValue::Scalar(t_ms, v) => vec![InstantSample {
            labels: assay_model::Labels::empty(),
            t_ms,
            value: assay_model::Value::Float(v),
        }],
        QueryValue::String(..) | QueryValue::Matrix(_) => Vec::new(),
    }
}

/// The finite numbers of an instant result, with their labels.
pub fn numbers(result: QueryResult) -> impl Iterator<Item = (assay_model::Labels, f64)> {
    samples(result).into_iter().filter_map(|s| match s.value {
        assay_model::Value::Float(v) if v.is_finite() => Some((s.labels, v)),
        _ => None,
    })
}

/// The series of a range result.
#[must_use]
pub fn series(result: QueryResult) -> Vec<RangeSeries> {
    match result.value {
        QueryValue::Matrix(list) => list,
        _ => Vec::new(),
    }
}

/// The one number that an expression yields at an instant, where it yields exactly one.
///
/// # Errors
/// As [`Source::instant`].
pub fn one_number(source: &dyn Source, expression: &str, t_ms: i64) -> Result<Option<f64>, SourceError> {
    let list = samples(source.instant(expression, t_ms)?);
    Ok(match list.as_slice() {
        [InstantSample { value: assay_model::Value::Float(v), .. }] if !v.is_nan() => Some(*v),
        _ => None,
    })
}
