//! Native histograms from the HTTP API's JSON, which shows buckets by their bounds and leaves out empty ones.
//!
//! Source of the form: Prometheus `util/jsonutil/marshal.go` v3.5. Invariant: the histograms of a series get
//! one layout. It is exponential where every bucket of every one fits a schema, else it has custom buckets at
//! all the bounds that were seen; bounds between empty buckets alone cannot be known.

use std::collections::BTreeMap;

use assay_model::{
    FloatHistogram, Histogram, Span,
    expo::ScrapeValue,
    histogram::{CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN},
};

/// A histogram as the API shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<ShownBucket>,
}

/// A bucket that is not empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ShownBucket {
    /// 0 has its upper bound in, 1 its lower, 2 none, 3 both; the zero bucket has 3.
    pub(super) boundaries: u8,
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) count: f64,
}

impl ShownBucket {
    fn is_zero(&self) -> bool {
        self.boundaries == 3 && self.lower == -self.upper
    }
}

/// Rebuilds the histograms of one series, in their order.
pub(super) fn rebuild(series: &[Shown]) -> Vec<ScrapeValue> {
    let Some(schemas) = series.iter().map(schema_of).collect::<Option<Vec<_>>>() else {
        let bounds = custom_bounds(series);
        return series.iter().map(|h| narrow(with_custom_buckets(h, &bounds))).collect();
    };
    // The finest schema for a histogram without buckets: with it nothing loses resolution when it is added.
    series
        .iter()
        .zip(schemas)
        .map(|(h, schema)| narrow(with_schema(h, schema.unwrap_or(EXPONENTIAL_SCHEMA_MAX))))
        .collect()
}

/// The exponential schema of all buckets: `None` where there is none that fits, `Some(None)` where there are
/// no buckets.
fn schema_of(h: &Shown) -> Option<Option<i32>> {
    let mut found = None;
    for bucket in h.buckets.iter().filter(|b| !b.is_zero()) {
        let schema =
            (EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).find(|s| index_of(bucket, *s).is_some())?;
        if *found.get_or_insert(schema) != schema {
            return None;
        }
    }
    Some(found)
}

/// The index of a bucket in a schema, where its bounds are neighbours there.
fn index_of(bucket: &ShownBucket, schema: i32) -> Option<i32> {
    let (near, far) = match bucket.boundaries {
        0 => (bucket.lower, bucket.upper),
        1 => (-bucket.upper, -bucket.lower),
        _ => return None,
    };
    if !(near > 0.0 && near < far && near.is_finite()) {
        return None;
    }
    let scale = f64::from(schema).exp2();
    let index = (near.log2() * scale).round() + 1.0;
    let fits = |bound: f64, index: f64| {
        let want = (index / scale).exp2();
        // The last bucket ends at the largest float, or at infinity.
        (want.is_infinite() && bound >= f64::MAX) || ((want - bound) / bound).abs() < 1e-9
    };
    (fits(near, index - 1.0) && fits(far, index)).then_some(index as i32)
}

fn with_schema(h: &Shown, schema: i32) -> FloatHistogram {
    let mut out = FloatHistogram { schema, count: h.count, sum: h.sum, ..FloatHistogram::default() };
    let (mut positive, mut negative) = (BTreeMap::new(), BTreeMap::new());
    for bucket in &h.buckets {
        if bucket.is_zero() {
            (out.zero_threshold, out.zero_count) = (bucket.upper, bucket.count);
        } else if let Some(index) = index_of(bucket, schema) {
            let side = if bucket.boundaries == 0 { &mut positive } else { &mut negative };
            side.insert(index, bucket.count);
        }
    }
    (out.positive_spans, out.positive_buckets) = layout(positive);
    (out.negative_spans, out.negative_buckets) = layout(negative);
    out
}

/// All finite bounds of a series, ascending.
fn custom_bounds(series: &[Shown]) -> Vec<f64> {
    // Ordered by bits turned so that they sort as the floats do.
    let key = |v: f64| {
        let bits = v.to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    let buckets = series.iter().flat_map(|h| &h.buckets);
    let bounds = buckets.flat_map(|b| [b.lower, b.upper]).filter(|v| v.is_finite());
    let sorted: BTreeMap<i64, f64> = bounds.map(|v| (key(v), v)).collect();
    // The lowest bucket of only positive bounds is shown from zero, which is no bound of its own.
    let unbounded = series.iter().flat_map(|h| &h.buckets).any(|b| b.lower == f64::NEG_INFINITY);
    let mut bounds: Vec<f64> = sorted.into_values().collect();
    if !unbounded && bounds.first() == Some(&0.0) {
        bounds.remove(0);
    }
    bounds
}

fn with_custom_buckets(h: &Shown, bounds: &[f64]) -> FloatHistogram {
    let mut counts: BTreeMap<i32, f64> = BTreeMap::new();
    for bucket in &h.buckets {
        let index = bounds.partition_point(|b| *b < bucket.upper);
        *counts.entry(index as i32).or_default() += bucket.count;
    }
    let (positive_spans, positive_buckets) = layout(counts);
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: h.count,
        sum: h.sum,
        positive_spans,
        positive_buckets,
        custom_values: bounds.to_vec(),
        ..FloatHistogram::default()
    }
}

/// Spans and counts of buckets by index.
fn layout(buckets: BTreeMap<i32, f64>) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    let mut counts = Vec::with_capacity(buckets.len());
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            Some(_) => spans.push(Span { offset: index - next, length: 1 }),
            None => spans.push(Span { offset: index, length: 1 }),
        }
        next = index + 1;
        counts.push(count);
    }
    (spans, counts)
}

/// With integer counts where all are whole, which is how a target's own histograms are stored.
fn narrow(h: FloatHistogram) -> ScrapeValue {
    let whole = |v: f64| v.fract() == 0.0 && (0.0..9e15).contains(&v);
    let sides = || h.positive_buckets.iter().chain(&h.negative_buckets).copied();
    let total = sides().sum::<f64>() + h.zero_count;
    // Observations of NaN are counted and in no bucket.
    let counted = total == h.count || (h.sum.is_nan() && total < h.count);
    if !(whole(h.count) && whole(h.zero_count) && sides().all(whole) && counted) {
        return ScrapeValue::FloatHistogram(h);
    }
    let deltas = |counts: &[f64]| {
        let mut last = 0;
        let mut step = |count: &f64| {
            let delta = *count as i64 - last;
            last = *count as i64;
            delta
        };
        counts.iter().map(&mut step).collect()
    };
    ScrapeValue::Histogram(Histogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as u64,
        count: h.count as u64,
        sum: h.sum,
        positive_buckets: deltas(&h.positive_buckets),
        negative_buckets: deltas(&h.negative_buckets),
        positive_spans: h.positive_spans,
        negative_spans: h.negative_spans,
        custom_values: h.custom_values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(boundaries: u8, lower: f64, upper: f64, count: f64) -> ShownBucket {
        ShownBucket { boundaries, lower, upper, count }
    }

    #[test]
    fn every_schema_is_found_again() {
        for schema in EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX {
            let bound = |i: i32| (f64::from(i) / f64::from(schema).exp2()).exp2();
            let shown = Shown {
                count: 10.0,
                sum: 1.5,
                buckets: vec![
                    bucket(1, -bound(3), -bound(2), 1.0),
                    bucket(3, -1e-9, 1e-9, 2.0),
                    bucket(0, bound(-2), bound(-1), 3.0),
                    bucket(0, bound(3), bound(4), 4.0),
                ],
            };
            let got = rebuild(&[shown, Shown::default()]);
            let want = Histogram {
                schema,
                zero_threshold: 1e-9,
                zero_count: 2,
                count: 10,
                sum: 1.5,
                positive_spans: vec![Span { offset: -1, length: 1 }, Span { offset: 4, length: 1 }],
                positive_buckets: vec![3, 1],
                negative_spans: vec![Span { offset: 3, length: 1 }],
                negative_buckets: vec![1],
                ..Histogram::default()
            };
            assert_eq!(got[0], ScrapeValue::Histogram(want));
            assert_eq!(
                got[1],
                ScrapeValue::Histogram(Histogram { schema: EXPONENTIAL_SCHEMA_MAX, ..Histogram::default() })
            );
        }
    }

    #[test]
    fn other_bounds_make_custom_buckets_for_the_whole_series() {
        let first = Shown { count: 1.0, sum: 1.0, buckets: vec![bucket(0, 1.0, 2.0, 1.0)] };
        let second = Shown {
            count: 3.5,
            sum: 9.0,
            buckets: vec![bucket(3, f64::NEG_INFINITY, 0.1, 1.0), bucket(0, 2.0, f64::INFINITY, 2.5)],
        };
        let got = rebuild(&[first, second]);
        let bounds = vec![0.1, 1.0, 2.0];
        let ScrapeValue::Histogram(a) = &got[0] else { panic!("whole counts") };
        assert_eq!((&a.custom_values, a.schema), (&bounds, CUSTOM_BUCKETS_SCHEMA));
        assert_eq!(
            (a.positive_spans.as_slice(), a.positive_buckets.as_slice()),
            ([Span { offset: 2, length: 1 }].as_slice(), [1].as_slice())
        );
        let ScrapeValue::FloatHistogram(b) = &got[1] else { panic!("a count that is not whole") };
        assert_eq!(b.positive_spans, [Span { offset: 0, length: 1 }, Span { offset: 2, length: 1 }]);
        assert_eq!((&b.positive_buckets, &b.custom_values), (&vec![1.0, 2.5], &bounds));
    }
}
