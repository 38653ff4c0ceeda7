//! Recording into a native histogram: [`ExponentialHistogram`].
//!
//! Invariant: an observation is never lost. Resolution is what gives way: where the buckets in use outgrow
//! the limit, the schema drops by one and neighbours merge. The buckets are Prometheus' (upper bounds
//! inclusive: bucket `i` of schema `s` is `(2^((i-1)/2^s), 2^(i/2^s)]`), as `model/histogram/generic.go` v3.13
//! and the native-histogram specification define them.

use super::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, Histogram, Span, bounds::FRACTIONS};

/// Observations of at most this magnitude (2^-128) go to the zero bucket: the Prometheus clients' default.
pub const DEFAULT_ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// The limit on buckets that OpenTelemetry's SDKs start with.
pub const DEFAULT_MAX_BUCKETS: usize = 160;

/// Up to two empty buckets inside a span cost less than a span of their own.
const GAP_WORTH_FILLING: i64 = 2;

/// A native histogram that is being recorded into.
///
/// Recording costs two binary searches over at most a few hundred entries and allocates only where a bucket
/// is used for the first time. Histograms of different resolution merge without loss of counts.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialHistogram {
    schema: i32,
    max_buckets: usize,
    zero_count: u64,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    /// Sorted by index, no count of zero.
    positive: Vec<(i32, u64)>,
    /// By the index of the magnitude, likewise.
    negative: Vec<(i32, u64)>,
}

impl ExponentialHistogram {
    /// An empty histogram at the finest schema. It coarsens where more than `max_buckets` buckets are in use,
    /// down to schema -4, beyond which the limit no longer holds.
    #[must_use]
    pub fn new(max_buckets: usize) -> Self {
        Self {
            schema: EXPONENTIAL_SCHEMA_MAX,
            max_buckets,
            zero_count: 0,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }

    /// Counts one observation. NaN counts towards `count` and makes `sum` NaN, as in Prometheus' clients; an
    /// infinity goes to the bucket beyond the largest finite number.
    pub fn record(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        if value.is_nan() {
            return;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if value.abs() <= DEFAULT_ZERO_THRESHOLD {
            self.zero_count += 1;
            return;
        }
        let index = coarsen(finest_index(value.abs()), EXPONENTIAL_SCHEMA_MAX - self.schema);
        add(if value > 0.0 { &mut self.positive } else { &mut self.negative }, index, 1);
        self.fit();
    }

    /// Adds all observations of `other`; the result has the coarser of the two schemas.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.zero_count += other.zero_count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.schema < self.schema {
            self.downscale(self.schema - other.schema);
        }
        let by = other.schema - self.schema;
        for &(index, n) in &other.positive {
            add(&mut self.positive, coarsen(index, by), n);
        }
        for &(index, n) in &other.negative {
            add(&mut self.negative, coarsen(index, by), n);
        }
        self.fit();
    }

    /// Forgets all observations; the schema returns to the finest and the memory is kept.
    pub fn clear(&mut self) {
        let (mut positive, mut negative) =
            (std::mem::take(&mut self.positive), std::mem::take(&mut self.negative));
        positive.clear();
        negative.clear();
        *self = Self { positive, negative, ..Self::new(self.max_buckets) };
    }

    /// How many observations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least observation, or `None` where there is none but NaN.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    /// The greatest observation, or `None` where there is none but NaN.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// The schema in use, 8 to -4.
    #[must_use]
    pub fn schema(&self) -> i32 {
        self.schema
    }

    /// The observations up to and including the bucket that holds `bound`: exact where `bound` is a bucket's
    /// upper bound, otherwise rounded up to one. This is how classic `le` buckets are derived.
    #[must_use]
    pub fn count_at_most(&self, bound: f64) -> u64 {
        if bound == f64::INFINITY {
            return self.count;
        }
        let index = coarsen(finest_index(bound.abs()), EXPONENTIAL_SCHEMA_MAX - self.schema);
        let sum = |buckets: &[(i32, u64)]| buckets.iter().map(|b| b.1).sum::<u64>();
        if bound > DEFAULT_ZERO_THRESHOLD {
            let end = self.positive.partition_point(|b| b.0 <= index);
            sum(&self.negative) + self.zero_count + sum(&self.positive[..end])
        } else if bound >= -DEFAULT_ZERO_THRESHOLD {
            sum(&self.negative) + self.zero_count
        } else {
            let start = self.negative.partition_point(|b| b.0 < index);
            sum(&self.negative[start..])
        }
    }

    /// The `q`-quantile (0 to 1), interpolated exponentially inside its bucket as PromQL's
    /// `histogram_quantile` does, and never outside what was observed; NaN where nothing was.
    #[must_use]
    pub fn quantile(&self, q: f64) -> f64 {
        let counted = self.counted();
        if counted == 0 || q.is_nan() {
            return f64::NAN;
        }
        let rank = q.clamp(0.0, 1.0) * counted as f64;
        let mut below = 0.0;
        for ((low, high), n, is_negative) in self.ascending() {
            let n = n as f64;
            if below + n >= rank && n > 0.0 {
                let part = ((rank - below) / n).clamp(0.0, 1.0);
                let value = match (high == 0.0, is_negative) {
                    (true, _) => 0.0,
                    (false, false) => low * (high / low).powf(part),
                    (false, true) => -(high * (low / high).powf(part)),
                };
                return value.clamp(self.min, self.max);
            }
            below += n;
        }
        self.max
    }

    /// The share of the observations that are at most `bound`, a positive number: interpolated exponentially inside the
    /// bucket that holds it, as PromQL's `histogram_fraction` does; NaN where nothing was observed.
    #[must_use]
    pub fn fraction_at_most(&self, bound: f64) -> f64 {
        if bound >= self.max {
            return if self.count > 0 { 1.0 } else { f64::NAN };
        }
        let parts = self.ascending().map(|((low, high), n, is_negative)| match () {
            () if is_negative || high <= bound => n as f64,
            () if low < bound => n as f64 * (bound / low).ln() / (high / low).ln(),
            () => 0.0,
        });
        parts.sum::<f64>() / self.counted() as f64
    }

    /// The observations in buckets: those that are numbers.
    fn counted(&self) -> u64 {
        self.zero_count + self.positive.iter().chain(&self.negative).map(|b| b.1).sum::<u64>()
    }

    /// The buckets, ascending: the two bounds by their amount, the observations, and whether these are negative.
    fn ascending(&self) -> impl Iterator<Item = ((f64, f64), u64, bool)> + '_ {
        let bounds_of = |i: i32| (self.upper_bound(i - 1), self.upper_bound(i));
        let negative = self.negative.iter().rev().map(move |&(i, n)| (bounds_of(i), n, true));
        let zero = (self.zero_count > 0).then_some(((0.0, 0.0), self.zero_count, false));
        negative.chain(zero).chain(self.positive.iter().map(move |&(i, n)| (bounds_of(i), n, false)))
    }

    /// The standard deviation, each observation taken to be the geometric mean of its bucket's bounds, as PromQL's
    /// `histogram_stddev` does; NaN where nothing was observed.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        let mean = self.sum / self.count as f64;
        let squares = self.ascending().map(|((low, high), n, is_negative)| {
            let middle = (low * high).sqrt();
            let middle = if is_negative { -middle } else { middle };
            n as f64 * (middle.clamp(self.min, self.max) - mean).powi(2)
        });
        (squares.sum::<f64>() / self.count as f64).sqrt()
    }

    /// The histogram as it is exposed and stored.
    #[must_use]
    pub fn snapshot(&self) -> Histogram {
        let (positive_spans, positive_buckets) = layout(&self.positive);
        let (negative_spans, negative_buckets) = layout(&self.negative);
        Histogram {
            schema: self.schema,
            zero_threshold: DEFAULT_ZERO_THRESHOLD,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            ..Histogram::default()
        }
    }

    fn upper_bound(&self, index: i32) -> f64 {
        (f64::from(index) * f64::from(-self.schema).exp2()).exp2()
    }

    fn fit(&mut self) {
        while self.positive.len() + self.negative.len() > self.max_buckets
            && self.schema > EXPONENTIAL_SCHEMA_MIN
        {
            self.downscale(1);
        }
    }

    fn downscale(&mut self, by: i32) {
        self.schema -= by;
        for buckets in [&mut self.positive, &mut self.negative] {
            for bucket in &mut *buckets {
                bucket.0 = coarsen(bucket.0, by);
            }
            buckets.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                if same {
                    kept.1 += next.1;
                }
                same
            });
        }
    }
}

impl Default for ExponentialHistogram {
    /// With [`DEFAULT_MAX_BUCKETS`].
    fn default() -> Self {
        Self::new(DEFAULT_MAX_BUCKETS)
    }
}

/// The bucket of a positive `magnitude` at schema 8.
fn finest_index(magnitude: f64) -> i32 {
    if magnitude.is_infinite() {
        return (1024 << EXPONENTIAL_SCHEMA_MAX) + 1;
    }
    let (fraction, exponent) = split(magnitude);
    let position = FRACTIONS.partition_point(|bound| *bound < 2.0 * fraction) as i32;
    position + ((exponent - 1) << EXPONENTIAL_SCHEMA_MAX)
}

/// `magnitude` as a fraction in [0.5, 1) times a power of two (C's `frexp`), for finite positive input.
fn split(magnitude: f64) -> (f64, i32) {
    const EXPONENT: u64 = 0x7ff << 52;
    // A subnormal is scaled into the normal range first.
    let (scaled, shift) =
        if magnitude < f64::MIN_POSITIVE { (magnitude * 54f64.exp2(), 54) } else { (magnitude, 0) };
    let bits = scaled.to_bits();
    let exponent = ((bits & EXPONENT) >> 52) as i32 - 1022 - shift;
    (f64::from_bits(bits & !EXPONENT | 1022 << 52), exponent)
}

/// The bucket at a schema coarser by `by` that holds bucket `index`.
fn coarsen(index: i32, by: i32) -> i32 {
    ((index - 1) >> by) + 1
}

fn add(buckets: &mut Vec<(i32, u64)>, index: i32, n: u64) {
    match buckets.binary_search_by_key(&index, |b| b.0) {
        Ok(at) => buckets[at].1 += n,
        Err(at) => buckets.insert(at, (index, n)),
    }
}

/// Spans and deltas of sorted buckets; short gaps are filled with empty buckets.
fn layout(buckets: &[(i32, u64)]) -> (Vec<Span>, Vec<i64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut deltas = Vec::with_capacity(buckets.len());
    // The index after the last bucket written, and that bucket's count.
    let (mut next, mut last) = (0i64, 0i64);
    for &(index, n) in buckets {
        let gap = i64::from(index) - next;
        match spans.last_mut() {
            Some(span) if gap <= GAP_WORTH_FILLING => {
                for _ in 0..gap {
                    deltas.push(-last);
                    last = 0;
                }
                span.length += gap as u32 + 1;
            }
            _ => spans.push(Span { offset: gap as i32, length: 1 }),
        }
        deltas.push(n as i64 - last);
        last = n as i64;
        next = i64::from(index) + 1;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> ExponentialHistogram {
        let mut h = ExponentialHistogram::default();
        values.into_iter().for_each(|v| h.record(v));
        h
    }

    #[test]
    fn fractions_are_the_inverse_of_quantiles() {
        let h = of((1..=1000).map(|i| f64::from(i) / 1000.0).chain([-1.0, 0.0]));
        for q in [0.01, 0.25, 0.5, 0.9, 0.99] {
            let share = h.fraction_at_most(h.quantile(q));
            assert!((share - q).abs() < 1e-9, "{share} for {q}");
        }
        assert!((h.fraction_at_most(1e-9) - 2.0 / 1002.0).abs() < 1e-12);
        assert_eq!(h.fraction_at_most(1.0), 1.0);
        assert!(ExponentialHistogram::default().fraction_at_most(1.0).is_nan());
    }

    #[test]
    fn upper_bounds_are_inclusive_at_every_schema() {
        let check = |value: f64, schema: i32, want: i32| {
            assert_eq!(
                coarsen(finest_index(value), EXPONENTIAL_SCHEMA_MAX - schema),
                want,
                "{value} at {schema}"
            );
        };
        check(1.0, 8, 0);
        check(1.0, 0, 0);
        check(1.0, -4, 0);
        check(1.000_001, 8, 1);
        check(1.000_001, 0, 1);
        check(2.0, 0, 1);
        check(2.0, 3, 8);
        check(2.000_001, 0, 2);
        check(0.5, 0, -1);
        check(0.500_001, 0, 0);
        check(65_536.0, -4, 1);
        check(65_537.0, -4, 2);
        check(f64::MAX, 0, 1024);
        check(f64::INFINITY, 0, 1025);
        check(5e-324, 0, -1074);
    }

    #[test]
    fn every_observation_lies_inside_its_bucket() {
        let mut x = 1.1e-30;
        while x < 1e30 {
            for schema in EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX {
                let h = ExponentialHistogram { schema, ..ExponentialHistogram::default() };
                let i = coarsen(finest_index(x), EXPONENTIAL_SCHEMA_MAX - schema);
                let (low, high) = (h.upper_bound(i - 1), h.upper_bound(i));
                // The bound's own rounding is allowed for.
                assert!(
                    low * (1.0 - 1e-14) < x && x <= high * (1.0 + 1e-14),
                    "{low} < {x} <= {high} at {schema}"
                );
            }
            x *= 1.37;
        }
    }

    #[test]
    fn coarsens_rather_than_lose_counts() {
        let values: Vec<f64> = (1..=5000).map(|i| f64::from(i) * 0.001).collect();
        let h = of(values.iter().copied());
        assert!(h.schema() < 8 && h.positive.len() <= DEFAULT_MAX_BUCKETS);
        assert_eq!(h.positive.iter().map(|b| b.1).sum::<u64>(), 5000);
        let width = (-f64::from(h.schema())).exp2().exp2() - 1.0;
        for q in [0.5, 0.9, 0.99] {
            let (got, want) = (h.quantile(q), q * 5.0);
            assert!((got / want - 1.0).abs() < width, "q{q}: {got} is not near {want}");
        }
        assert_eq!((h.quantile(0.0), h.quantile(1.0)), (0.001, 5.0));
    }

    #[test]
    fn merging_equals_recording_everything_in_one() {
        let (low, high) = ((1..300).map(|i| f64::from(i) * 1e-4), (1..3000).map(|i| f64::from(i) * -0.5));
        let mut merged = of(low.clone());
        merged.merge(&of(high.clone()));
        let mut other_way = of(high.clone());
        other_way.merge(&of(low.clone()));
        let whole = of(low.chain(high));
        for h in [&merged, &other_way] {
            assert_eq!(
                (h.schema, &h.positive, &h.negative),
                (whole.schema, &whole.positive, &whole.negative)
            );
            assert_eq!((h.count, h.min, h.max), (whole.count, whole.min, whole.max));
        }
    }

    #[test]
    fn snapshot_has_spans_deltas_and_a_zero_bucket() {
        // At schema 8 the indices are 0, 1, 4 (two empty between: filled) and 256 (a new span).
        let at = |i: i32| (f64::from(i) / 256.0).exp2() * (1.0 - 1e-12);
        let h = of([0.0, at(0), at(1), at(1), at(4), 2.0, -1.0]).snapshot();
        assert_eq!(h.positive_spans, [Span { offset: 0, length: 5 }, Span { offset: 251, length: 1 }]);
        assert_eq!(h.positive_buckets, [1, 1, -2, 0, 1, 0]);
        assert_eq!((h.negative_spans, h.negative_buckets), (vec![Span { offset: 0, length: 1 }], vec![1]));
        assert_eq!((h.zero_count, h.count, h.schema), (1, 7, 8));
    }

    #[test]
    fn the_standard_deviation_is_near_the_observations_own() {
        let values = (1..=100).map(f64::from);
        // Of 1 to n: the root of (n² − 1) / 12.
        assert!((of(values).stddev() / (9999.0_f64 / 12.0).sqrt() - 1.0).abs() < 0.01);
        assert!((of([-1.0, 0.0, 1.0]).stddev() / (2.0_f64 / 3.0).sqrt() - 1.0).abs() < 0.01);
        assert_eq!(of([3.0; 5]).stddev(), 0.0);
        assert!(of([]).stddev().is_nan());
    }

    #[test]
    fn quantiles_cover_negative_zero_and_empty() {
        assert!(ExponentialHistogram::default().quantile(0.5).is_nan());
        assert!(of([f64::NAN]).quantile(0.5).is_nan());
        let h = of([-4.0, -4.0, 0.0, 4.0]);
        assert_eq!((h.quantile(0.0), h.quantile(0.7), h.quantile(1.0)), (-4.0, 0.0, 4.0));
    }

    #[test]
    fn classic_buckets_are_cumulative() {
        let h = of([-2.0, 0.0, 0.25, 0.5, 1.0, 3.0, f64::INFINITY]);
        let counts: Vec<u64> =
            [-2.0, -1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0, f64::INFINITY].map(|le| h.count_at_most(le)).into();
        assert_eq!(counts, [1, 1, 2, 3, 4, 5, 5, 6, 7]);
    }

    #[test]
    fn clearing_restores_the_resolution() {
        let mut h = of((1..5000).map(f64::from));
        h.clear();
        assert_eq!(h, ExponentialHistogram::default());
    }
}
