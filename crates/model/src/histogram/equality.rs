//! When two histograms are the same for PromQL's `==` and `changes`. Invariant: numbers compare bit for bit,
//! and how buckets are cut into spans does not matter.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`Equals`).

use super::{FloatHistogram, Span, cells::indices};

impl FloatHistogram {
    /// Whether both have the same schema, bounds, counts and sum. The reset hint is not compared.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.count.to_bits() == other.count.to_bits()
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && self.zero_threshold == other.zero_threshold
            && self.zero_count.to_bits() == other.zero_count.to_bits()
            && same_side(
                (&self.negative_spans, &self.negative_buckets),
                (&other.negative_spans, &other.negative_buckets),
            )
            && same_side(
                (&self.positive_spans, &self.positive_buckets),
                (&other.positive_spans, &other.positive_buckets),
            )
    }
}

fn same_side(a: (&[Span], &[f64]), b: (&[Span], &[f64])) -> bool {
    a.1.len() == b.1.len()
        && a.1.iter().zip(b.1).all(|(a, b)| a.to_bits() == b.to_bits())
        && (a.0 == b.0 || indices(a.0).eq(indices(b.0)))
}
