//! Samples. Invariant: a float is kept bit for bit; a stale marker is one NaN with a payload of its own.

use std::sync::Arc;

use crate::FloatHistogram;

/// The bits of the NaN that marks a series as gone (Prometheus `model/value/value.go`, `StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that an ordinary calculation leaves (`NormalNaN` of the same file).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The stale marker.
#[must_use]
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `v` is the stale marker, and not just any NaN.
#[must_use]
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// What a sample holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float, or a stale marker.
    Float(f64),
    /// A native histogram; its `sum` is the stale marker where the series went stale.
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    /// Whether this is a stale marker of either kind.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(v) => is_stale(*v),
            Self::Histogram(h) => is_stale(h.sum),
        }
    }
}

/// A value at a time, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value.
    pub value: Value,
}
