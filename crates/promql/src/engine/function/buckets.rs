//! Quantiles and fractions of classic and native histograms. Invariant: a quantile lies within the bucket
//! that holds its rank.
//!
//! Source: Prometheus `promql/quantile.go` v3.13 (`BucketQuantile`, `HistogramQuantile`, `BucketFraction`,
//! `HistogramFraction`).

use assay_model::{FloatHistogram, elementary, histogram::Bucket};

use crate::engine::notes::{Notes, Site, for_metric};

/// A classic bucket: its upper bound, and the observations up to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cumulative {
    pub(super) upper: f64,
    pub(super) count: f64,
}

/// What had to be done to make classic buckets monotonic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) min_bucket: f64,
    pub(super) max_bucket: f64,
    pub(super) max_diff: f64,
}

/// The quantile of classic buckets, sorted by bound. Changes the buckets.
pub(super) fn classic_quantile(q: f64, buckets: &mut Vec<Cumulative>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let forced = force_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, forced);
    }
    let mut rank = q * observations;
    let at = buckets[..last].partition_point(|b| b.count < rank || b.count.is_nan() || rank.is_nan());
    if at == last {
        return (buckets[last - 1].upper, forced);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut start, mut count) = (0.0, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (buckets[at].upper - start) * (rank / count), forced)
}

/// Adds up buckets with the same bound.
fn coalesce(buckets: &mut Vec<Cumulative>) {
    buckets.dedup_by(|b, a| {
        let same = a.upper == b.upper;
        if same {
            a.count += b.count;
        }
        same
    });
}

/// Lifts buckets below the one before them to its count. Differences within rounding are not told of.
fn force_monotonic(buckets: &mut [Cumulative]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == before {
            continue;
        }
        if almost_equal(before, b.count) {
            b.count = before;
            continue;
        }
        if b.count < before {
            let f = forced.get_or_insert(Forced {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            f.min_bucket = f.min_bucket.min(b.upper);
            f.max_bucket = f.max_bucket.max(b.upper);
            f.max_diff = f.max_diff.max(before - b.count);
            b.count = before;
            continue;
        }
        before = b.count;
    }
    forced
}

/// Whether two counts differ by no more than rounding explains (`util/almost`, with 1e-12).
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < TOLERANCE * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < TOLERANCE
}

/// The quantile of a native histogram.
pub(super) fn native_quantile(
    q: f64,
    h: &FloatHistogram,
    metric: &str,
    site: Site,
    notes: &mut Notes,
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if h.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // Ranks are counted from the nearer end, but from below where NaNs, in no bucket, are above everything.
    let has_nan = h.sum.is_nan();
    let upwards = has_nan || q < 0.5;
    let mut buckets = h.all_buckets();
    if !upwards {
        buckets.reverse();
    }
    let rank = if upwards { q } else { 1.0 - q } * h.count;
    let (bucket, count, rest) = find_rank(&buckets, rank);
    let bucket = match finite_ends(h, bucket) {
        Ok(bucket) => bucket,
        Err(value) => return value,
    };
    let count = count.min(h.count);
    if count < rank {
        if has_nan {
            let text = "input to histogram_quantile has NaN observations, result is NaN";
            notes.info(site, for_metric(text, metric));
            return f64::NAN;
        }
        return bucket.upper;
    }
    if has_nan && count + rest < h.count {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher";
        notes.info(site, for_metric(text, metric));
    }
    let into = if upwards { rank - (count - bucket.count) } else { count - rank };
    interpolated(h, &bucket, into / bucket.count)
}

/// The bucket in which a rank falls, the observations up to its end, and those after it.
fn find_rank(buckets: &[Bucket], rank: f64) -> (Bucket, f64, f64) {
    // Without any filled bucket, all observations being NaN, the rank is not found.
    let mut found =
        Bucket { lower: 0.0, upper: 0.0, lower_inclusive: true, upper_inclusive: true, count: 0.0 };
    let mut count = 0.0;
    for (i, b) in buckets.iter().enumerate().filter(|(_, b)| b.count != 0.0) {
        count += b.count;
        found = *b;
        if count >= rank {
            return (found, count, buckets[i + 1..].iter().map(|b| b.count).sum());
        }
    }
    (found, count, 0.0)
}

/// A bucket with ends to interpolate between, or the value that stands for all of it.
fn finite_ends(h: &FloatHistogram, mut b: Bucket) -> Result<Bucket, f64> {
    if !h.uses_custom_buckets() {
        if b.lower < 0.0 && b.upper > 0.0 {
            one_sided(h, &mut b);
        }
        return Ok(b);
    }
    if b.lower == f64::NEG_INFINITY {
        if b.upper <= 0.0 {
            return Err(b.upper);
        }
        b.lower = 0.0;
    } else if b.upper == f64::INFINITY {
        return Err(b.lower);
    }
    Ok(b)
}

/// A zero bucket in a histogram with observations on one side only holds that side.
fn one_sided(h: &FloatHistogram, zero: &mut Bucket) {
    if h.negative_buckets.is_empty() && !h.positive_buckets.is_empty() {
        zero.lower = 0.0;
    } else if h.positive_buckets.is_empty() && !h.negative_buckets.is_empty() {
        zero.upper = 0.0;
    }
}

/// The value at a fraction of a bucket: exponential buckets are taken to be filled exponentially.
fn interpolated(h: &FloatHistogram, b: &Bucket, fraction: f64) -> f64 {
    if h.uses_custom_buckets() || (b.lower <= 0.0 && b.upper >= 0.0) {
        return b.lower + (b.upper - b.lower) * fraction;
    }
    let (lower, upper) = (elementary::log2(b.lower.abs()), elementary::log2(b.upper.abs()));
    if b.lower > 0.0 {
        return elementary::exp2(lower + (upper - lower) * fraction);
    }
    -elementary::exp2(upper + (lower - upper) * (1.0 - fraction))
}

/// Finds the ranks of two limits while buckets go by in ascending order.
struct Ranks {
    limits: [f64; 2],
    found: [Option<f64>; 2],
}

impl Ranks {
    fn new(lower: f64, upper: f64) -> Self {
        Self { limits: [lower, upper], found: [None, None] }
    }

    /// Looks for the limits in a bucket that has `rank` observations before it; true where both are found.
    fn look(&mut self, from: f64, to: f64, rank: f64, within: impl Fn(f64) -> f64) -> bool {
        for (limit, found) in self.limits.iter().zip(&mut self.found) {
            if found.is_none() && from >= *limit {
                *found = Some(rank);
            } else if found.is_none() && to > *limit {
                *found = Some(within(*limit));
            }
        }
        self.found.iter().all(Option::is_some)
    }

    /// The part of `total` between the limits; a limit beyond all buckets has all `count` below it.
    fn fraction(&self, count: f64, total: f64) -> f64 {
        let [lower, upper] = self.found.map(|r| r.filter(|r| *r <= count).unwrap_or(count));
        (upper - lower) / total
    }
}

/// The fraction of a native histogram's observations between two values.
pub(super) fn native_fraction(
    lower: f64,
    upper: f64,
    h: &FloatHistogram,
    metric: &str,
    site: Site,
    notes: &mut Notes,
) -> f64 {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut ranks = Ranks::new(lower, upper);
    let mut rank = 0.0;
    let buckets = h.all_buckets();
    for b in &buckets {
        let mut b = *b;
        let zero = b.lower <= 0.0 && b.upper >= 0.0;
        if zero {
            one_sided(h, &mut b);
        }
        let linear = h.uses_custom_buckets() || zero;
        let within = |v: f64| {
            if linear && b.lower == f64::NEG_INFINITY {
                b.count
            } else {
                rank + b.count * b.fraction_below(v, linear)
            }
        };
        if ranks.look(b.lower, b.upper, rank, within) {
            break;
        }
        rank += b.count;
    }
    let mut count = h.count;
    if h.sum.is_nan() {
        count = buckets.iter().map(|b| b.count).sum();
        if count < h.count {
            let text =
                "input to histogram_fraction has NaN observations, which are excluded from all fractions";
            notes.info(site, for_metric(text, metric));
        }
    }
    ranks.fraction(count, h.count)
}

/// The same for classic buckets, sorted by bound. Changes the buckets.
pub(super) fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<Cumulative>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let mut ranks = Ranks::new(lower, upper);
    let mut from = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for b in buckets.iter() {
        let within = |v: f64| {
            if from == f64::NEG_INFINITY {
                b.count
            } else {
                rank + (b.count - rank) * (v - from) / (b.upper - from)
            }
        };
        if ranks.look(from, b.upper, rank, within) {
            break;
        }
        (from, rank) = (b.upper, b.count);
    }
    ranks.fraction(count, count)
}
