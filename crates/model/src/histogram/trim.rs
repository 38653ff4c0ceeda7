//! Cutting a histogram at a value, for PromQL's `</` and `>/`. Invariant: where nothing is cut, count and sum
//! stay as they were; else both are estimated from the buckets that remain.
//!
//! Source: Prometheus `model/histogram/float_histogram.go` v3.13 (`TrimBuckets`).

use super::{Bucket, FloatHistogram};

/// Which observations remain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

/// What remains of a bucket, and the value that stands for its observations.
struct Remains {
    count: f64,
    midpoint: f64,
}

impl FloatHistogram {
    /// Keeps the observations below `limit`; a bucket that it cuts is interpolated.
    pub fn trim_above(&mut self, limit: f64) -> &mut Self {
        self.trim(limit, Keep::Below)
    }

    /// Keeps the observations above `limit`, likewise.
    pub fn trim_below(&mut self, limit: f64) -> &mut Self {
        self.trim(limit, Keep::Above)
    }

    fn trim(&mut self, limit: f64, keep: Keep) -> &mut Self {
        let linear = self.uses_custom_buckets();
        let (positive, negative) = (self.positive(), self.negative());
        let (mut count, mut sum, mut cut) = (0.0, 0.0, false);
        let sides =
            [(&positive, &mut self.positive_buckets, true), (&negative, &mut self.negative_buckets, false)];
        for (buckets, counts, is_positive) in sides {
            for (bucket, slot) in buckets.iter().zip(counts).filter(|(b, _)| b.count != 0.0) {
                let rest = remains(bucket, limit, keep, is_positive, linear);
                count += rest.count;
                sum += rest.midpoint * rest.count;
                if *slot != rest.count {
                    *slot = rest.count;
                    cut = true;
                }
            }
        }
        if self.zero_count > 0.0 {
            let has = |buckets: &[Bucket]| buckets.iter().any(|b| b.count != 0.0);
            let rest = zero_remains(&self.zero(), limit, keep, has(&negative), has(&positive));
            cut |= rest.count != self.zero_count;
            self.zero_count = rest.count;
            count += rest.count;
            sum += rest.midpoint * rest.count;
        }
        if cut {
            (self.count, self.sum) = (count, sum);
            self.compact(0);
        }
        self
    }
}

fn remains(b: &Bucket, limit: f64, keep: Keep, positive: bool, linear: bool) -> Remains {
    let (whole, touched) = match keep {
        Keep::Below => (b.upper <= limit, b.lower < limit),
        Keep::Above => (b.lower >= limit, b.upper > limit),
    };
    if whole {
        return Remains { count: b.count, midpoint: midpoint(b.lower, b.upper, positive, linear) };
    }
    if !touched {
        return Remains { count: 0.0, midpoint: 0.0 };
    }
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return open_ended(b, limit, keep);
    }
    let below = b.count * b.fraction_below(limit, linear);
    match keep {
        Keep::Below => Remains { count: below, midpoint: midpoint(b.lower, limit, positive, linear) },
        Keep::Above => {
            Remains { count: b.count - below, midpoint: midpoint(limit, b.upper, positive, linear) }
        }
    }
}

/// A bucket that reaches to infinity and is cut. One that starts at -Inf and ends above zero is taken to
/// start at zero; otherwise all observations count as being on the finite side.
fn open_ended(b: &Bucket, limit: f64, keep: Keep) -> Remains {
    let finite = |v: f64| if v.is_infinite() { 0.0 } else { v };
    let from_zero = b.upper > 0.0 && b.upper != f64::INFINITY;
    if b.lower == f64::NEG_INFINITY {
        return match keep {
            Keep::Below if limit > 0.0 && from_zero => {
                Remains { count: b.count * limit / b.upper, midpoint: limit / 2.0 }
            }
            Keep::Below if b.upper <= 0.0 => Remains { count: b.count, midpoint: limit },
            Keep::Above if limit >= 0.0 && from_zero => {
                Remains { count: b.count * (1.0 - limit / b.upper), midpoint: (limit + b.upper) / 2.0 }
            }
            _ => Remains { count: 0.0, midpoint: finite(b.upper) },
        };
    }
    match keep {
        Keep::Above if limit >= b.lower => Remains { count: b.count, midpoint: limit },
        _ => Remains { count: 0.0, midpoint: finite(b.lower) },
    }
}

/// The zero bucket is cut linearly, and counts as one-sided where all other buckets are on one side.
fn zero_remains(b: &Bucket, limit: f64, keep: Keep, has_negative: bool, has_positive: bool) -> Remains {
    let upper = if has_negative && !has_positive { 0.0 } else { b.upper };
    let lower = if has_positive && !has_negative { 0.0 } else { b.lower };
    let all = Remains { count: b.count, midpoint: (lower + upper) / 2.0 };
    let none = Remains { count: 0.0, midpoint: 0.0 };
    let part = |fraction: f64, midpoint| Remains { count: b.count * fraction, midpoint };
    match keep {
        Keep::Below if limit <= lower => none,
        Keep::Below if limit >= upper => all,
        Keep::Below => part((limit - lower) / (upper - lower), (lower + limit) / 2.0),
        Keep::Above if limit <= lower => all,
        Keep::Above if limit >= upper => none,
        Keep::Above => part((upper - limit) / (upper - lower), (limit + upper) / 2.0),
    }
}

/// The value that stands for the observations of an interval: its arithmetic mean, or for exponential
/// buckets the geometric one.
fn midpoint(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return if upper.is_infinite() {
            0.0
        } else if upper > 0.0 {
            upper / 2.0
        } else {
            upper
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return (lower + upper) / 2.0;
    }
    let mean = (lower * upper).abs().sqrt();
    if positive { mean } else { -mean }
}
