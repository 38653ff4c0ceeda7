//! Adding, subtracting and scaling float histograms. Invariant: a result keeps its custom bounds, schema and
//! zero bucket such that no observation is counted twice or lost.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13.

use super::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram,
    bounds::{exponential_bound, is_exponential},
    cells::{self, Cell, Sides},
    custom,
};
use crate::kahan::Kahan;

/// One histogram has exponential buckets and the other custom ones, so that they share no boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
pub struct IncompatibleSchemas;

/// What is to be told of an addition or subtraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddNotes {
    /// One side was known to follow a counter reset, the other not to.
    pub counter_reset_collision: bool,
    /// The custom bounds differed and were reduced to those that both have.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Whether the buckets have custom boundaries.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Multiplies every count and the sum. A negative factor makes it a gauge histogram.
    pub fn mul(&mut self, factor: f64) -> &mut Self {
        self.scale(|v| v * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    /// Divides every count and the sum. Division by zero removes all buckets; a negative divisor makes it a
    /// gauge histogram.
    pub fn div(&mut self, divisor: f64) -> &mut Self {
        self.scale(|v| v / divisor);
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
        self
    }

    fn scale(&mut self, f: impl Fn(f64) -> f64) {
        for v in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            *v = f(*v);
        }
        for v in self.positive_buckets.iter_mut().chain(&mut self.negative_buckets) {
            *v = f(*v);
        }
    }

    /// Adds `other`, at the coarser of both schemas and the wider of both zero buckets.
    ///
    /// # Errors
    /// Where one has exponential and the other custom buckets; `self` is unchanged then.
    pub fn add(&mut self, other: &Self) -> Result<AddNotes, IncompatibleSchemas> {
        self.combine(other, 1.0)
    }

    /// Subtracts `other`, likewise.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub fn sub(&mut self, other: &Self) -> Result<AddNotes, IncompatibleSchemas> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<AddNotes, IncompatibleSchemas> {
        if self.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let counter_reset_collision = self.adjust_hint(other);
        let mut notes = AddNotes { counter_reset_collision, bounds_reconciled: false };
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        if self.same_layout(other) {
            self.zero_count += sign * other.zero_count;
            add_in_place(&mut self.positive_buckets, &other.positive_buckets, sign);
            add_in_place(&mut self.negative_buckets, &other.negative_buckets, sign);
        } else if self.uses_custom_buckets() {
            notes.bounds_reconciled = self.combine_custom(other, sign);
        } else {
            let mut sides = self.sides(&[], &[], 0.0);
            sides.combine(&other.sides(&[], &[], 0.0), sign);
            self.take_sides(&sides);
        }
        Ok(notes)
    }

    fn combine_custom(&mut self, other: &Self, sign: f64) -> bool {
        let mine = cells::unpack(&self.positive_spans, &self.positive_buckets, &[]);
        let theirs = cells::unpack(&other.positive_spans, &other.positive_buckets, &[]);
        let reconciled = self.custom_values != other.custom_values;
        let merged = if reconciled {
            let shared = custom::intersect(&self.custom_values, &other.custom_values);
            let merged =
                custom::combine(&mine, &self.custom_values, &theirs, &other.custom_values, sign, &shared);
            self.custom_values = shared;
            merged
        } else {
            cells::merge(&mine, &theirs, sign, |_| false)
        };
        (self.positive_spans, self.positive_buckets, _) = cells::pack(&merged);
        reconciled
    }

    /// Whether counts can be added one by one.
    pub(super) fn same_layout(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.custom_values == other.custom_values
            && self.positive_buckets.len() == other.positive_buckets.len()
            && self.negative_buckets.len() == other.negative_buckets.len()
            && !self.has_bucket_within_zero()
    }

    /// Whether a bucket lies inside the zero bucket, where its observations would be counted twice.
    fn has_bucket_within_zero(&self) -> bool {
        self.zero_threshold > 0.0
            && [&self.positive_spans, &self.negative_spans].into_iter().any(|spans| {
                spans.first().is_some_and(|s| exponential_bound(s.offset, self.schema) <= self.zero_threshold)
            })
    }

    /// The working form of the buckets.
    pub(super) fn sides(&self, positive_lost: &[f64], negative_lost: &[f64], zero_lost: f64) -> Sides {
        Sides {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: Kahan { sum: self.zero_count, lost: zero_lost },
            positive: cells::unpack(&self.positive_spans, &self.positive_buckets, positive_lost),
            negative: cells::unpack(&self.negative_spans, &self.negative_buckets, negative_lost),
        }
    }

    fn take_sides(&mut self, sides: &Sides) {
        self.schema = sides.schema;
        self.zero_threshold = sides.zero_threshold;
        self.zero_count = sides.zero.sum;
        (self.positive_spans, self.positive_buckets, _) = cells::pack(&sides.positive);
        (self.negative_spans, self.negative_buckets, _) = cells::pack(&sides.negative);
    }

    /// The hint of a sum; true where the hints contradict each other.
    pub(super) fn adjust_hint(&mut self, other: &Self) -> bool {
        use CounterResetHint::{Gauge, Unknown};
        match (self.counter_reset_hint, other.counter_reset_hint) {
            (a, b) if a == b => false,
            (Gauge | Unknown, b) if b != Gauge || self.counter_reset_hint == Gauge => false,
            (_, Gauge) => {
                self.counter_reset_hint = Gauge;
                false
            }
            (_, Unknown) => {
                self.counter_reset_hint = Unknown;
                false
            }
            _ => {
                self.counter_reset_hint = Unknown;
                true
            }
        }
    }

    /// The same observations at a coarser exponential schema; unchanged where it is not coarser.
    pub fn reduce_resolution(&mut self, schema: i32) -> &mut Self {
        if is_exponential(self.schema) && schema < self.schema {
            let mut sides = self.sides(&[], &[], 0.0);
            sides.reduce(schema);
            self.take_sides(&sides);
        }
        self
    }

    /// Merges spans, drops empty buckets at their ends, and splits them where more than `max_empty` buckets
    /// in a row are empty; spans at most `max_empty` apart are joined by empty buckets.
    pub fn compact(&mut self, max_empty: usize) -> &mut Self {
        compact_side(&mut self.positive_spans, &mut self.positive_buckets, max_empty);
        compact_side(&mut self.negative_spans, &mut self.negative_buckets, max_empty);
        self
    }

    /// Whether any number is infinite.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum].iter().any(|v| v.is_infinite())
            || [&self.positive_buckets, &self.negative_buckets, &self.custom_values]
                .into_iter()
                .flatten()
                .any(|v| v.is_infinite())
    }
}

impl Sides {
    pub(super) fn reduce(&mut self, schema: i32) {
        self.positive = cells::reduce(std::mem::take(&mut self.positive), self.schema, schema);
        self.negative = cells::reduce(std::mem::take(&mut self.negative), self.schema, schema);
        self.schema = self.schema.min(schema);
    }

    pub(super) fn combine(&mut self, other: &Self, sign: f64) {
        let zero = self.reconcile_zero(other);
        self.zero.add(sign * zero.sum);
        self.zero.add(sign * zero.lost);
        let schema = self.schema.min(other.schema);
        self.reduce(schema);
        let threshold = self.zero_threshold;
        let within_zero = |index| exponential_bound(index, schema) <= threshold;
        let merged = |mine: &[Cell], theirs: &[Cell]| {
            let theirs = cells::reduce(theirs.to_vec(), other.schema, schema);
            cells::merge(mine, &theirs, sign, within_zero)
        };
        self.positive = merged(&self.positive, &other.positive);
        self.negative = merged(&self.negative, &other.negative);
    }
}

fn add_in_place(a: &mut [f64], b: &[f64], sign: f64) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += sign * b;
    }
}

fn compact_side(spans: &mut Vec<super::Span>, counts: &mut Vec<f64>, max_empty: usize) {
    let filled: Vec<Cell> =
        cells::unpack(spans, counts, &[]).into_iter().filter(|c| c.count.sum != 0.0).collect();
    let mut out: Vec<Cell> = Vec::with_capacity(filled.len());
    for cell in filled {
        if let Some(last) = out.last() {
            let gap = cell.index.abs_diff(last.index) as usize - 1;
            let from = last.index + 1;
            if gap <= max_empty && gap > 0 {
                out.extend((from..cell.index).map(|index| Cell { index, count: Kahan::default() }));
            }
        }
        out.push(cell);
    }
    (*spans, *counts, _) = cells::pack(&out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn exponential(schema: i32, first: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![Span { offset: first, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn a_sum_has_the_coarser_schema() {
        let mut a = exponential(1, 1, &[1.0, 2.0, 3.0, 4.0]);
        a.add(&exponential(0, 1, &[10.0, 0.0, 20.0])).expect("both exponential");
        assert_eq!((a.schema, a.count), (0, 40.0));
        assert_eq!(a.positive_buckets, [13.0, 7.0, 20.0]);
        a.sub(&exponential(0, 1, &[13.0, 7.0])).expect("both exponential");
        a.compact(0);
        assert_eq!((a.positive_spans, a.positive_buckets), (vec![Span { offset: 3, length: 1 }], vec![20.0]));
    }

    #[test]
    fn the_wider_zero_bucket_takes_in_what_it_covers() {
        let mut a = exponential(0, -1, &[1.0, 2.0, 3.0]);
        let mut b = exponential(0, 1, &[5.0]);
        (b.zero_threshold, b.zero_count) = (0.6, 7.0);
        a.add(&b).expect("both exponential");
        // 0.6 cuts the bucket (0.5, 1], so the zero bucket grows to 1.
        assert_eq!((a.zero_threshold, a.zero_count, a.positive_buckets), (1.0, 10.0, vec![8.0]));
    }

    #[test]
    fn compaction_keeps_short_gaps_and_cuts_long_ones() {
        let check = |max_empty, want: &[f64], spans: &[(i32, u32)]| {
            let mut h = exponential(0, 5, &[0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0]);
            h.compact(max_empty);
            assert_eq!(h.positive_buckets, want);
            assert_eq!(
                h.positive_spans,
                spans.iter().map(|&(offset, length)| Span { offset, length }).collect::<Vec<_>>()
            );
        };
        check(0, &[1.0, 2.0, 3.0], &[(6, 1), (1, 1), (2, 1)]);
        check(1, &[1.0, 0.0, 2.0, 3.0], &[(6, 3), (2, 1)]);
        check(2, &[1.0, 0.0, 2.0, 0.0, 0.0, 3.0], &[(6, 6)]);
    }

    #[test]
    fn custom_and_exponential_do_not_mix() {
        let mut custom = FloatHistogram { schema: CUSTOM_BUCKETS_SCHEMA, ..FloatHistogram::default() };
        assert_eq!(custom.add(&exponential(0, 0, &[1.0])), Err(IncompatibleSchemas));
    }
}
