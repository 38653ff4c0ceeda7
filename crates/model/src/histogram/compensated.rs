//! A running sum of histograms with compensated rounding. Invariant: the compensations have the layout of
//! the sum.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`KahanAdd`).

use super::{AddNotes, FloatHistogram, IncompatibleSchemas, cells, custom};
use crate::kahan::Kahan;

/// A sum of histograms, each count carried with what rounding lost of it.
#[derive(Clone, Debug)]
pub struct CompensatedHistogram {
    value: FloatHistogram,
    count_lost: f64,
    sum_lost: f64,
    zero_lost: f64,
    positive_lost: Vec<f64>,
    negative_lost: Vec<f64>,
}

impl CompensatedHistogram {
    /// A sum that starts as `h`.
    #[must_use]
    pub fn new(h: FloatHistogram) -> Self {
        Self {
            count_lost: 0.0,
            sum_lost: 0.0,
            zero_lost: 0.0,
            positive_lost: vec![0.0; h.positive_buckets.len()],
            negative_lost: vec![0.0; h.negative_buckets.len()],
            value: h,
        }
    }

    /// The sum without its compensations.
    #[must_use]
    pub fn rounded(&self) -> &FloatHistogram {
        &self.value
    }

    /// Adds `other`.
    ///
    /// # Errors
    /// Where one has exponential and the other custom buckets; the sum is unchanged then.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<AddNotes, IncompatibleSchemas> {
        if self.value.uses_custom_buckets() != other.uses_custom_buckets() {
            return Err(IncompatibleSchemas);
        }
        let mut notes =
            AddNotes { counter_reset_collision: self.value.adjust_hint(other), bounds_reconciled: false };
        add_one(&mut self.value.count, &mut self.count_lost, other.count);
        add_one(&mut self.value.sum, &mut self.sum_lost, other.sum);
        if self.value.same_layout(other) {
            add_one(&mut self.value.zero_count, &mut self.zero_lost, other.zero_count);
            add_all(&mut self.value.positive_buckets, &mut self.positive_lost, &other.positive_buckets);
            add_all(&mut self.value.negative_buckets, &mut self.negative_lost, &other.negative_buckets);
        } else if other.uses_custom_buckets() {
            notes.bounds_reconciled = self.add_custom(other);
        } else {
            let mut sides = self.value.sides(&self.positive_lost, &self.negative_lost, self.zero_lost);
            sides.combine(&other.sides(&[], &[], 0.0), 1.0);
            self.value.schema = sides.schema;
            self.value.zero_threshold = sides.zero_threshold;
            (self.value.zero_count, self.zero_lost) = (sides.zero.sum, sides.zero.lost);
            (self.value.positive_spans, self.value.positive_buckets, self.positive_lost) =
                cells::pack(&sides.positive);
            (self.value.negative_spans, self.value.negative_buckets, self.negative_lost) =
                cells::pack(&sides.negative);
        }
        Ok(notes)
    }

    fn add_custom(&mut self, other: &FloatHistogram) -> bool {
        let h = &mut self.value;
        let mine = cells::unpack(&h.positive_spans, &h.positive_buckets, &self.positive_lost);
        let theirs = cells::unpack(&other.positive_spans, &other.positive_buckets, &[]);
        let reconciled = h.custom_values != other.custom_values;
        let merged = if reconciled {
            let shared = custom::intersect(&h.custom_values, &other.custom_values);
            let merged =
                custom::combine(&mine, &h.custom_values, &theirs, &other.custom_values, 1.0, &shared);
            h.custom_values = shared;
            merged
        } else {
            cells::merge(&mine, &theirs, 1.0, |_| false)
        };
        (h.positive_spans, h.positive_buckets, self.positive_lost) = cells::pack(&merged);
        reconciled
    }

    /// Multiplies the sum and its compensations.
    pub fn mul(&mut self, factor: f64) {
        self.value.mul(factor);
        self.each_lost(|v| v * factor);
    }

    /// Divides the sum and its compensations.
    pub fn div(&mut self, divisor: f64) {
        self.value.div(divisor);
        self.each_lost(|v| v / divisor);
    }

    fn each_lost(&mut self, f: impl Fn(f64) -> f64) {
        let single = [&mut self.count_lost, &mut self.sum_lost, &mut self.zero_lost];
        for v in single.into_iter().chain(&mut self.positive_lost).chain(&mut self.negative_lost) {
            *v = f(*v);
        }
    }

    /// The sum with its compensations added.
    #[must_use]
    pub fn finish(self) -> FloatHistogram {
        let mut h = self.value;
        h.count += self.count_lost;
        h.sum += self.sum_lost;
        h.zero_count += self.zero_lost;
        for (v, lost) in h.positive_buckets.iter_mut().zip(self.positive_lost) {
            *v += lost;
        }
        for (v, lost) in h.negative_buckets.iter_mut().zip(self.negative_lost) {
            *v += lost;
        }
        h
    }
}

fn add_one(sum: &mut f64, lost: &mut f64, v: f64) {
    let mut k = Kahan { sum: *sum, lost: *lost };
    k.add(v);
    (*sum, *lost) = (k.sum, k.lost);
}

fn add_all(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    for ((sum, lost), v) in sums.iter_mut().zip(lost).zip(values) {
        add_one(sum, lost, *v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn one_bucket(count: f64) -> FloatHistogram {
        FloatHistogram {
            count,
            sum: count,
            positive_spans: vec![Span { offset: 0, length: 1 }],
            positive_buckets: vec![count],
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn small_counts_survive_large_ones() {
        let mut sum = CompensatedHistogram::new(one_bucket(1.0));
        for v in [1e100, 1.0, -1e100] {
            sum.add(&one_bucket(v)).expect("same schema");
        }
        let h = sum.finish();
        assert_eq!((h.count, h.sum, h.positive_buckets), (2.0, 2.0, vec![2.0]));
    }
}
