//! Counter resets between two histograms. Invariant: where a bucket of the earlier one may have shrunk, a
//! reset is reported.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`DetectReset`).

use super::{
    CounterResetHint, FloatHistogram,
    bounds::exponential_bound,
    cells::{self, Cell},
    custom,
};

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and this histogram.
    #[must_use]
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => return true,
            CounterResetHint::NotCounterReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.custom_bucket_shrank(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let before = previous.sides(&[], &[], 0.0);
        let (zero, threshold) = before.widened(self.zero_threshold);
        // A zero bucket cannot grow into the middle of a filled bucket without a reset.
        if threshold != self.zero_threshold || self.zero_count < zero.sum {
            return true;
        }
        let now = self.sides(&[], &[], 0.0);
        self.side_shrank(&now.positive, before.positive, previous.schema)
            || self.side_shrank(&now.negative, before.negative, previous.schema)
    }

    /// Whether a bucket beyond the zero bucket had more before, at this histogram's schema.
    fn side_shrank(&self, now: &[Cell], before: Vec<Cell>, before_schema: i32) -> bool {
        let before = cells::reduce(before, before_schema, self.schema);
        let inside = |c: &Cell| {
            !self.uses_custom_buckets()
                && self.zero_threshold > 0.0
                && exponential_bound(c.index, self.schema) <= self.zero_threshold
        };
        let mut now = now.iter().skip_while(|c| inside(c)).peekable();
        before.iter().skip_while(|c| inside(c)).any(|b| {
            while now.next_if(|n| n.index < b.index).is_some() {}
            match now.peek() {
                Some(n) if n.index == b.index => n.count.sum < b.count.sum,
                _ => b.count.sum != 0.0,
            }
        })
    }

    /// The same for differing custom bounds: compares at the bounds that both have.
    fn custom_bucket_shrank(&self, previous: &Self) -> bool {
        let shared = custom::intersect(&self.custom_values, &previous.custom_values);
        let totals = |h: &Self| {
            let mut out = vec![0.0; shared.len() + 1];
            for cell in cells::unpack(&h.positive_spans, &h.positive_buckets, &[]) {
                out[custom::shared_bucket(cell.index, &h.custom_values, &shared)] += cell.count.sum;
            }
            out
        };
        totals(self).iter().zip(totals(previous)).any(|(now, before)| *now < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn check(now: &[f64], before: &[f64], want: bool) {
        let h = |counts: &[f64]| FloatHistogram {
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        };
        assert_eq!(h(now).detect_reset(&h(before)), want, "{before:?} then {now:?}");
    }

    #[test]
    fn a_bucket_that_shrinks_is_a_reset() {
        check(&[1.0, 2.0], &[1.0, 2.0], false);
        check(&[1.0, 3.0], &[1.0, 2.0, 0.0], false);
        check(&[0.0, 9.0], &[1.0, 2.0], true);
        check(&[5.0], &[1.0, 2.0], true);
        check(&[1.0], &[1.0, 1.0], true);
    }

    #[test]
    fn hints_decide_where_there_are_any() {
        let h = FloatHistogram {
            counter_reset_hint: CounterResetHint::CounterReset,
            ..FloatHistogram::default()
        };
        assert!(h.detect_reset(&FloatHistogram::default()));
        let h = FloatHistogram { counter_reset_hint: CounterResetHint::NotCounterReset, ..h };
        assert!(!h.detect_reset(&FloatHistogram { count: 5.0, ..FloatHistogram::default() }));
    }
}
