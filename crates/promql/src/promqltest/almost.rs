//! When two results count as the same: floats up to rounding, histograms up to their layout.
//!
//! Invariant: symmetric. Source: Prometheus `util/almost/almost.go` and `compareNativeHistogram` of
//! `promql/promqltest/test.go` (v3.13).

use assay_model::{FloatHistogram, Span, is_stale};

/// The relative difference below which floats agree.
const EPSILON: f64 = 1e-6;

/// Whether two floats agree: NaN with NaN, the stale marker with itself only.
#[must_use]
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Whether two histograms agree: schema and bounds exactly, counts and sums as floats do, once empty buckets
/// are gone. Reset hints count where `with_hint`.
#[must_use]
pub fn histograms_agree(a: &FloatHistogram, b: &FloatHistogram, with_hint: bool) -> bool {
    let (mut a, mut b) = (a.clone(), b.clone());
    a.compact(0);
    b.compact(0);
    let counts =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| almost_equal(*a, *b));
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && (!a.uses_custom_buckets() || a.custom_values == b.custom_values)
        && almost_equal(a.count, b.count)
        && almost_equal(a.sum, b.sum)
        && almost_equal(a.zero_count, b.zero_count)
        && positions(&a.positive_spans) == positions(&b.positive_spans)
        && positions(&a.negative_spans) == positions(&b.negative_spans)
        && counts(&a.positive_buckets, &b.positive_buckets)
        && counts(&a.negative_buckets, &b.negative_buckets)
        && (!with_hint || a.counter_reset_hint == b.counter_reset_hint)
}

/// The runs of buckets as first index and length, however many spans describe them.
fn positions(spans: &[Span]) -> Vec<(i64, u32)> {
    let mut next = 0i64;
    let mut runs: Vec<(i64, u32)> = Vec::new();
    for span in spans {
        next += i64::from(span.offset);
        match runs.last_mut() {
            Some((first, length)) if *first + i64::from(*length) == next => *length += span.length,
            _ if span.length > 0 => runs.push((next, span.length)),
            _ => {}
        }
        next += i64::from(span.length);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_agree_up_to_rounding() {
        let check = |a: f64, b: f64, want: bool| {
            assert_eq!(almost_equal(a, b), want, "{a} {b}");
            assert_eq!(almost_equal(b, a), want, "{b} {a}");
        };
        check(1.0, 1.000_001, true);
        check(1.0, 1.000_01, false);
        check(0.0, 1e-300, false);
        check(f64::NAN, f64::NAN, true);
        check(f64::NAN, assay_model::stale_nan(), false);
        check(assay_model::stale_nan(), assay_model::stale_nan(), true);
        check(f64::MAX, f64::MAX / 1.000_000_1, true);
        check(f64::INFINITY, f64::MAX, false);
    }

    #[test]
    fn layouts_do_not_matter() {
        let one = FloatHistogram {
            count: 3.0,
            positive_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 0, length: 1 }],
            positive_buckets: vec![1.0, 2.0],
            ..FloatHistogram::default()
        };
        let padded = FloatHistogram {
            positive_spans: vec![Span { offset: 0, length: 4 }],
            positive_buckets: vec![0.0, 1.0, 2.0, 0.0],
            ..one.clone()
        };
        assert!(histograms_agree(&one, &padded, true));
        let moved = FloatHistogram { positive_spans: vec![Span { offset: 2, length: 2 }], ..one.clone() };
        assert!(!histograms_agree(&one, &moved, false));
    }
}
