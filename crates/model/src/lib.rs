//! The data model under everything else: label sets, samples, native histograms, matchers and the
//! [`Queryable`] trait that the PromQL engine reads through.
//!
//! Invariant: this crate does no I/O, and every type keeps what Prometheus keeps, bit for bit (stale
//! markers are NaNs with a payload of their own, histograms keep their spans and reset hints).

pub mod calendar;
pub mod duration;
pub mod elementary;
pub mod expo;
pub mod histogram;
pub mod kahan;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod number;
pub mod query;
pub mod regexp;
pub mod sample;
pub mod wire;

pub use histogram::{CounterResetHint, ExponentialHistogram, FloatHistogram, Histogram, Span};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Exemplar, MetricMetadata, MetricType};
pub use query::{
    Access, Column, ExemplarsBySeries, QueryError, Queryable, Selected, Series, Texts, names_of, values_of,
};
pub use sample::{STALE_NAN_BITS, Sample, Value, is_stale, stale_nan};

/// The label that carries a metric's name.
pub const METRIC_NAME: &str = "__name__";
