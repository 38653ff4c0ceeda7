//! Native histograms, integer (as exposed and stored) and float (as PromQL computes with).
//!
//! Source: Prometheus `model/histogram/{histogram,float_histogram,generic}.go` v3.13. Invariant: spans and
//! bucket lists keep the layout they came with; only an explicit `compact` or arithmetic changes it.

mod arithmetic;
mod bounds;
mod buckets;
mod cells;
mod compensated;
mod custom;
mod equality;
mod reset;
mod text;
mod trim;
mod validate;

pub use arithmetic::{AddNotes, IncompatibleSchemas};
pub use bounds::{exponential_bound, is_exponential};
pub use buckets::Bucket;
pub use compensated::CompensatedHistogram;
pub use validate::HistogramError;

pub mod recorder;

pub use recorder::ExponentialHistogram;

/// The schema of a histogram with custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The coarsest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// The finest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Gap to the previous span, or the index of the first bucket for the first span.
    pub offset: i32,
    /// How many buckets the run has.
    pub length: u32,
}

/// What is known of a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum CounterResetHint {
    /// Nothing is known; buckets must be compared.
    #[default]
    Unknown,
    /// There was a reset before this histogram.
    CounterReset,
    /// There was none.
    NotCounterReset,
    /// A gauge histogram, for which resets mean nothing.
    Gauge,
}

/// A native histogram with integer counts, as it is exposed, stored and sent.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Histogram {
    /// What is known of a reset before this one.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The zero bucket holds observations of at most this magnitude.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// The sum of all observations; the stale marker where the series went stale.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Positive counts, each as the difference to the one before (the first is absolute).
    pub positive_buckets: Vec<i64>,
    /// Negative counts, likewise.
    pub negative_buckets: Vec<i64>,
    /// The upper bounds of custom buckets, ascending, without +Inf; empty for exponential schemas.
    pub custom_values: Vec<f64>,
}

/// A native histogram with float counts. Bucket counts are absolute.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FloatHistogram {
    /// What is known of a reset before this one.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The zero bucket holds observations of at most this magnitude.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observations; the stale marker where the series went stale.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Positive counts.
    pub positive_buckets: Vec<f64>,
    /// Negative counts.
    pub negative_buckets: Vec<f64>,
    /// The upper bounds of custom buckets, ascending, without +Inf; empty for exponential schemas.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// The same histogram with float counts.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: absolute(&self.positive_buckets),
            negative_buckets: absolute(&self.negative_buckets),
            custom_values: self.custom_values.clone(),
        }
    }
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut current = 0i64;
    deltas
        .iter()
        .map(|d| {
            current = current.wrapping_add(*d);
            current as f64
        })
        .collect()
}
