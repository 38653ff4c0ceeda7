//! Whether a histogram from outside holds together. Invariant: what passes has spans and buckets that match,
//! no negative count, and bounds that ascend.
//!
//! Source: Prometheus `model/histogram/{histogram,float_histogram,generic}.go` v3.13 (`Validate`).

use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span, bounds::is_exponential};

/// What is wrong with a histogram.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// The schema is none that there is.
    #[error("histogram schema {0} is unknown; it must be -4 to 8, or -53 for custom buckets")]
    Schema(i32),
    /// Spans describe more or fewer buckets than there are.
    #[error("{side} spans describe {described} buckets, but there are {found}")]
    SpanLength {
        /// `positive` or `negative`.
        side: &'static str,
        /// By the spans.
        described: u64,
        /// In the list.
        found: usize,
    },
    /// A span other than the first starts before the one before it ends.
    #[error("{side} span number {number} has the negative offset {offset}")]
    SpanOffset {
        /// `positive` or `negative`.
        side: &'static str,
        /// Counted from 1.
        number: usize,
        /// As found.
        offset: i32,
    },
    /// A bucket, the zero bucket or all observations have a negative count.
    #[error("{place} has the negative count {count}")]
    NegativeCount {
        /// Which one.
        place: String,
        /// As found.
        count: f64,
    },
    /// The count of all observations does not go with the buckets.
    #[error("the count is {count}, but the buckets have {buckets} observations")]
    Count {
        /// As found.
        count: f64,
        /// By the buckets.
        buckets: f64,
    },
    /// Custom bounds do not ascend, are not finite, or are too few.
    #[error("custom bounds must be finite and ascend, one at least for each bucket but the last: {0}")]
    CustomBounds(String),
    /// Something that the other kind of schema has.
    #[error("{0}")]
    WrongKind(&'static str),
}

impl FloatHistogram {
    /// Checks that the histogram holds together. The count is not compared with the buckets, since rounding
    /// may have parted them.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(&Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            positive: (&self.positive_spans, self.positive_buckets.len()),
            negative: (&self.negative_spans, self.negative_buckets.len()),
            custom_values: &self.custom_values,
        })?;
        not_negative("the zero bucket", self.zero_count)?;
        not_negative("the histogram", self.count)?;
        bucket_counts("negative", self.negative_buckets.iter().copied())?;
        bucket_counts("positive", self.positive_buckets.iter().copied()).map(|_| ())
    }
}

impl Histogram {
    /// Checks that the histogram holds together, the count included: it equals the buckets' observations,
    /// or, where the sum is NaN, is at least as many (an observed NaN is in no bucket).
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(&Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            positive: (&self.positive_spans, self.positive_buckets.len()),
            negative: (&self.negative_spans, self.negative_buckets.len()),
            custom_values: &self.custom_values,
        })?;
        let negative = bucket_counts("negative", running(&self.negative_buckets))?;
        let positive = bucket_counts("positive", running(&self.positive_buckets))?;
        let (buckets, count) = (negative + positive + self.zero_count as f64, self.count as f64);
        let fits = if self.sum.is_nan() { buckets <= count } else { buckets == count };
        if fits { Ok(()) } else { Err(HistogramError::Count { count, buckets }) }
    }
}

struct Layout<'a> {
    schema: i32,
    zero_threshold: f64,
    zero_count: f64,
    positive: (&'a [Span], usize),
    negative: (&'a [Span], usize),
    custom_values: &'a [f64],
}

fn check_layout(h: &Layout<'_>) -> Result<(), HistogramError> {
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        check_bounds(h.custom_values)?;
        if h.zero_count != 0.0 || h.zero_threshold != 0.0 {
            return Err(HistogramError::WrongKind("custom buckets have no zero bucket"));
        }
        if !h.negative.0.is_empty() || h.negative.1 > 0 {
            return Err(HistogramError::WrongKind("custom buckets have no negative buckets"));
        }
        check_spans("positive", h.positive, false)?;
        let extent: i64 = h.positive.0.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
        if extent > h.custom_values.len() as i64 + 1 {
            let have = h.custom_values.len();
            return Err(HistogramError::CustomBounds(format!(
                "{have} bounds for buckets up to number {extent}"
            )));
        }
        return Ok(());
    }
    if !is_exponential(h.schema) {
        return Err(HistogramError::Schema(h.schema));
    }
    if !h.custom_values.is_empty() {
        return Err(HistogramError::WrongKind("exponential buckets have no custom bounds"));
    }
    check_spans("positive", h.positive, true)?;
    check_spans("negative", h.negative, true)
}

fn check_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    let fail = |text: String| Err(HistogramError::CustomBounds(text));
    if let Some(pair) = bounds.windows(2).find(|w| w[1] <= w[0]) {
        return fail(format!("{} comes after {}", pair[1], pair[0]));
    }
    match bounds.iter().find(|b| b.is_nan() || **b == f64::INFINITY) {
        Some(b) => fail(format!("found {b}")),
        None => Ok(()),
    }
}

fn check_spans(
    side: &'static str,
    (spans, found): (&[Span], usize),
    first_may_be_negative: bool,
) -> Result<(), HistogramError> {
    for (i, span) in spans.iter().enumerate() {
        if span.offset < 0 && (i > 0 || !first_may_be_negative) {
            return Err(HistogramError::SpanOffset { side, number: i + 1, offset: span.offset });
        }
    }
    let described = spans.iter().map(|s| u64::from(s.length)).sum();
    if described == found as u64 {
        Ok(())
    } else {
        Err(HistogramError::SpanLength { side, described, found })
    }
}

fn not_negative(place: &str, count: f64) -> Result<(), HistogramError> {
    if count < 0.0 {
        return Err(HistogramError::NegativeCount { place: place.to_owned(), count });
    }
    Ok(())
}

fn bucket_counts(side: &str, counts: impl Iterator<Item = f64>) -> Result<f64, HistogramError> {
    let mut total = 0.0;
    for (i, count) in counts.enumerate() {
        not_negative(&format!("{side} bucket number {}", i + 1), count)?;
        total += count;
    }
    Ok(total)
}

fn running(deltas: &[i64]) -> impl Iterator<Item = f64> + '_ {
    deltas.iter().scan(0i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(h: &Histogram, want: &str) {
        let got = h.validate().map_or_else(|e| e.to_string(), |()| "ok".to_owned());
        assert!(got.contains(want), "{got} should say {want}");
    }

    #[test]
    fn says_what_is_wrong() {
        let good = Histogram {
            count: 4,
            positive_spans: vec![Span { offset: -2, length: 2 }],
            positive_buckets: vec![1, 2],
            ..Histogram::default()
        };
        check(&good, "ok");
        check(&Histogram { count: 5, ..good.clone() }, "the buckets have 4");
        check(&Histogram { count: 5, sum: f64::NAN, ..good.clone() }, "ok");
        check(&Histogram { schema: 9, ..good.clone() }, "schema 9 is unknown");
        check(&Histogram { positive_buckets: vec![1, 2, 3], ..good.clone() }, "describe 2 buckets");
        check(&Histogram { positive_buckets: vec![1, -2], ..good.clone() }, "positive bucket number 2");
        check(&Histogram { custom_values: vec![1.0], ..good.clone() }, "no custom bounds");
        let custom = Histogram { schema: CUSTOM_BUCKETS_SCHEMA, ..good };
        check(&custom, "span number 1 has the negative offset -2");
    }
}
