//! Walking the buckets of a float histogram. Invariant: buckets come in the order of their bounds, ascending
//! or, reversed, descending.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`AllBucketIterator` and its kin).

use super::{
    FloatHistogram,
    bounds::bound,
    cells::{self, Cell},
};
use crate::elementary;

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where it starts.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether an observation equal to `lower` is in it.
    pub lower_inclusive: bool,
    /// Whether an observation equal to `upper` is in it.
    pub upper_inclusive: bool,
    /// Its observations.
    pub count: f64,
}

impl Bucket {
    /// The part of the bucket that lies below `v`, which is within it: by linear interpolation, or by
    /// exponential interpolation for the exponential buckets on either side of zero.
    #[must_use]
    pub fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let log2 = |v: f64| elementary::log2(v.abs());
        let (lower, upper, at) = (log2(self.lower), log2(self.upper), log2(v));
        if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

impl FloatHistogram {
    /// The bytes that it takes, as Prometheus counts them (`promql/value.go` v3.13, `HPoint.size`).
    #[must_use]
    pub fn bytes(&self) -> usize {
        let buckets = self.positive_buckets.len() + self.negative_buckets.len() + self.custom_values.len();
        let spans = self.positive_spans.len() + self.negative_spans.len();
        176 + 8 * (buckets + spans)
    }

    /// The positive buckets, ascending; for custom schemas, all buckets.
    #[must_use]
    pub fn positive(&self) -> Vec<Bucket> {
        cells::unpack(&self.positive_spans, &self.positive_buckets, &[])
            .iter()
            .map(|c| self.positive_bucket(c))
            .collect()
    }

    /// The negative buckets, from zero downwards.
    #[must_use]
    pub fn negative(&self) -> Vec<Bucket> {
        cells::unpack(&self.negative_spans, &self.negative_buckets, &[])
            .iter()
            .map(|c| self.negative_bucket(c))
            .collect()
    }

    /// The zero bucket.
    #[must_use]
    pub fn zero(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// All buckets, ascending, with the zero bucket where it has observations. Buckets that the zero bucket
    /// overlaps are cut at its ends.
    #[must_use]
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut out: Vec<Bucket> = self.negative().into_iter().rev().map(|b| self.outside_zero(b)).collect();
        if self.zero_count > 0.0 {
            out.push(self.zero());
        }
        out.extend(self.positive().into_iter().map(|b| self.outside_zero(b)));
        out
    }

    fn outside_zero(&self, mut b: Bucket) -> Bucket {
        if b.upper < 0.0 && b.upper > -self.zero_threshold {
            b.upper = -self.zero_threshold;
        } else if b.lower > 0.0 && b.lower < self.zero_threshold {
            b.lower = self.zero_threshold;
        }
        b
    }

    fn positive_bucket(&self, cell: &Cell) -> Bucket {
        let upper = bound(cell.index, self.schema, &self.custom_values);
        let lower = bound(cell.index.wrapping_sub(1), self.schema, &self.custom_values);
        self.bucket(lower, upper, cell)
    }

    fn negative_bucket(&self, cell: &Cell) -> Bucket {
        let lower = -bound(cell.index, self.schema, &self.custom_values);
        let upper = -bound(cell.index.wrapping_sub(1), self.schema, &self.custom_values);
        self.bucket(lower, upper, cell)
    }

    fn bucket(&self, lower: f64, upper: f64, cell: &Cell) -> Bucket {
        let custom = self.uses_custom_buckets();
        Bucket {
            lower,
            upper,
            lower_inclusive: if custom { cell.index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count: cell.count.sum,
        }
    }
}
