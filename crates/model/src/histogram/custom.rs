//! Histograms whose custom bounds differ. Invariant: a bucket only ever moves into a wider one whose bound
//! both histograms have.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`intersectCustomBucketBounds`,
//! `addCustomBucketsWithMismatches`).

use super::cells::Cell;
use crate::kahan::Kahan;

/// The bounds that both lists have.
pub(super) fn intersect(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut b = b.iter().peekable();
    let mut out = Vec::new();
    for bound in a {
        while b.next_if(|v| *v < bound).is_some() {}
        if b.next_if(|v| *v == bound).is_some() {
            out.push(*bound);
        }
    }
    out
}

/// The buckets of `a + sign · b` at the shared bounds, without empty ones.
pub(super) fn combine(
    a: &[Cell],
    a_bounds: &[f64],
    b: &[Cell],
    b_bounds: &[f64],
    sign: f64,
    shared: &[f64],
) -> Vec<Cell> {
    let mut target = vec![Kahan::default(); shared.len() + 1];
    for (cells, bounds, sign) in [(a, a_bounds, 1.0), (b, b_bounds, sign)] {
        for cell in cells {
            let slot = &mut target[shared_bucket(cell.index, bounds, shared)];
            slot.add(sign * cell.count.sum);
            slot.add(sign * cell.count.lost);
        }
    }
    let cells = (0i32..).zip(target).map(|(index, count)| Cell { index, count });
    cells.filter(|c| !c.is_empty()).collect()
}

/// The shared bucket that holds a bucket of `bounds`: the first that ends at or beyond its end.
pub(super) fn shared_bucket(index: i32, bounds: &[f64], shared: &[f64]) -> usize {
    match usize::try_from(index).ok().and_then(|i| bounds.get(i)) {
        Some(bound) => shared.partition_point(|s| s < bound),
        None => shared.len(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{FloatHistogram, Span, histogram::CUSTOM_BUCKETS_SCHEMA};

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            custom_values: bounds.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn mismatched_bounds_meet_at_the_shared_ones() {
        let mut a = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0, 8.0]);
        let notes = a.add(&custom(&[1.0, 3.0, 5.0], &[10.0, 20.0, 40.0, 80.0])).expect("both custom");
        assert!(notes.bounds_reconciled);
        assert_eq!(a.custom_values, [1.0, 3.0]);
        assert_eq!(a.positive_buckets, [11.0, 26.0, 128.0]);
    }
}
