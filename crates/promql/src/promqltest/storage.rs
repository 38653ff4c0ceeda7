//! Series in memory, to be queried.
//!
//! Invariant: what is read back is what Prometheus' TSDB would give back: samples ascend in time, one for each
//! millisecond, and a histogram's reset hint says what a chunk can know: nothing for its first sample, "no reset"
//! for the others (`counterResetHint` of `tsdb/chunkenc/histogram_meta.go`, v3.13).

use std::{collections::BTreeMap, sync::Arc};

use assay_model::{
    Column, CounterResetHint, FloatHistogram, Labels, Matcher, QueryError, Queryable, Selected, Series,
    is_stale,
};

/// Why a sample was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is a sample at this or a later time.
    #[error("out of order: {labels} has a sample at or after {t_ms} ms")]
    OutOfOrder {
        /// The series.
        labels: Labels,
        /// The sample's time.
        t_ms: i64,
    },
    /// The histogram does not hold together.
    #[error("invalid histogram for {labels} at {t_ms} ms: {reason}")]
    Histogram {
        /// The series.
        labels: Labels,
        /// The sample's time.
        t_ms: i64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Series in memory. Times are milliseconds since the Unix epoch, and ascend within a series.
#[derive(Clone, Debug, Default)]
pub struct MemStorage {
    series: BTreeMap<Labels, MemSeries>,
}

#[derive(Clone, Debug, Default)]
struct MemSeries {
    column: Column,
    /// Whether the last sample was a histogram of the chunk that the next one would continue.
    in_histogram_chunk: bool,
}

impl MemStorage {
    /// A storage without series.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// Appends a float. The same value at the time of the last sample is taken for the same sample.
    ///
    /// # Errors
    /// Where the series has a later sample, or another one at this time.
    pub fn append(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<(), AppendError> {
        self.append_with_start(labels, t_ms, 0, value)
    }

    /// Appends a float whose counter was created at `start_ms` (0: unknown).
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_with_start(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        start_ms: i64,
        value: f64,
    ) -> Result<(), AppendError> {
        let series = self.series.entry(labels.clone()).or_default();
        let column = &mut series.column;
        if column.times.last() == Some(&t_ms)
            && column.values.last().map(|v| v.to_bits()) == Some(value.to_bits())
        {
            return Ok(());
        }
        in_order(column, labels, t_ms)?;
        column.times.push(t_ms);
        column.values.push(value);
        column.starts.push(start_ms);
        series.in_histogram_chunk = false;
        Ok(())
    }

    /// Appends a histogram. One whose sum is the stale marker marks staleness.
    ///
    /// # Errors
    /// As [`Self::append`], and where the histogram does not hold together.
    pub fn append_histogram(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        h: FloatHistogram,
    ) -> Result<(), AppendError> {
        self.append_histogram_with_start(labels, t_ms, 0, h)
    }

    /// Appends a histogram whose counter was created at `start_ms` (0: unknown).
    ///
    /// # Errors
    /// As [`Self::append_histogram`].
    pub fn append_histogram_with_start(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        start_ms: i64,
        mut h: FloatHistogram,
    ) -> Result<(), AppendError> {
        if let Err(reason) = h.validate() {
            return Err(AppendError::Histogram { labels: labels.clone(), t_ms, reason: reason.to_string() });
        }
        let series = self.series.entry(labels.clone()).or_default();
        in_order(&series.column, labels, t_ms)?;
        let previous = series.column.histograms.last().filter(|_| series.in_histogram_chunk);
        h.counter_reset_hint = stored_hint(previous.map(AsRef::as_ref), &h);
        series.in_histogram_chunk = true;
        let column = &mut series.column;
        column.histogram_times.push(t_ms);
        column.histograms.push(Arc::new(h));
        column.histogram_starts.push(start_ms);
        Ok(())
    }
}

fn in_order(column: &Column, labels: &Labels, t_ms: i64) -> Result<(), AppendError> {
    let last = column.times.last().max(column.histogram_times.last());
    if last.is_some_and(|last| *last >= t_ms) {
        return Err(AppendError::OutOfOrder { labels: labels.clone(), t_ms });
    }
    Ok(())
}

/// The hint that a histogram has once it was written to a chunk and read back; `previous` is the sample before it
/// where that was a histogram.
#[must_use]
pub fn stored_hint(previous: Option<&FloatHistogram>, h: &FloatHistogram) -> CounterResetHint {
    if h.counter_reset_hint == CounterResetHint::Gauge {
        return CounterResetHint::Gauge;
    }
    match previous {
        Some(p) if p.counter_reset_hint != CounterResetHint::Gauge && goes_on(p, h) => {
            CounterResetHint::NotCounterReset
        }
        _ => CounterResetHint::Unknown,
    }
}

/// Whether the chunk that ends with `previous` can take `h`, too.
fn goes_on(previous: &FloatHistogram, h: &FloatHistogram) -> bool {
    if h.counter_reset_hint == CounterResetHint::CounterReset {
        return false;
    }
    // Nothing but stale markers goes on after a stale marker.
    if is_stale(h.sum) || is_stale(previous.sum) {
        return is_stale(h.sum);
    }
    if h.schema != previous.schema
        || h.zero_threshold != previous.zero_threshold
        || h.custom_values != previous.custom_values
    {
        return false;
    }
    let unhinted = FloatHistogram { counter_reset_hint: CounterResetHint::Unknown, ..h.clone() };
    !unhinted.detect_reset(previous)
}

/// A series of a [`MemStorage`].
struct Picked<'s> {
    labels: &'s Labels,
    column: &'s Column,
}

impl Series for Picked<'_> {
    fn labels(&self) -> &Labels {
        self.labels
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        out.append_within(self.column, start_ms, end_ms);
        Ok(())
    }
}

impl Queryable for MemStorage {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        let matches = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")));
        let overlaps = |c: &Column| {
            let (first, last) = span(c);
            first <= end_ms && last >= start_ms
        };
        let hits = self.series.iter().filter(|(labels, s)| matches(labels) && overlaps(&s.column));
        Ok(hits
            .map(|(labels, s)| Box::new(Picked { labels, column: &s.column }) as Box<dyn Series>)
            .collect())
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        let spans = self.series.values().map(|s| span(&s.column));
        spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// The times of the first and the last sample. A series comes to be with its first one.
fn span(c: &Column) -> (i64, i64) {
    let first = c.times.first().into_iter().chain(c.histogram_times.first()).min();
    let last = c.times.last().into_iter().chain(c.histogram_times.last()).max();
    (first.copied().unwrap_or(i64::MAX), last.copied().unwrap_or(i64::MIN))
}

#[cfg(test)]
mod tests {
    use assay_model::Span;

    use super::*;

    fn counter(counts: &[f64], hint: CounterResetHint) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: hint,
            count: counts.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn hints_are_those_that_a_chunk_would_give_back() {
        use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
        let check = |samples: &[(&[f64], CounterResetHint)], want: &[CounterResetHint]| {
            let (mut storage, labels) = (MemStorage::new(), Labels::from_pairs([("__name__", "h")]));
            for (t, (counts, hint)) in (0i64..).zip(samples) {
                storage.append_histogram(&labels, t, counter(counts, *hint)).expect("in order");
            }
            let series = storage.select(&[], 0, 100).expect("readable");
            let mut column = Column::default();
            series[0].read(0, 100, &mut column).expect("readable");
            assert_eq!(column.histograms.iter().map(|h| h.counter_reset_hint).collect::<Vec<_>>(), want);
        };
        check(
            &[(&[1.0], Unknown), (&[2.0], Unknown), (&[1.0], Unknown)],
            &[Unknown, NotCounterReset, Unknown],
        );
        check(&[(&[1.0], CounterReset), (&[2.0], NotCounterReset)], &[Unknown, NotCounterReset]);
        check(&[(&[1.0], Gauge), (&[0.5], Gauge), (&[3.0], Unknown)], &[Gauge, Gauge, Unknown]);
        check(&[(&[1.0, 2.0], Unknown), (&[2.0, 1.0, 9.0], Unknown)], &[Unknown, Unknown]);
    }

    #[test]
    fn samples_must_ascend() {
        let (mut storage, labels) = (MemStorage::new(), Labels::from_pairs([("__name__", "up")]));
        assert_eq!(storage.append(&labels, 5, 1.0), Ok(()));
        assert_eq!(storage.append(&labels, 5, 1.0), Ok(()));
        assert!(storage.append(&labels, 5, 2.0).is_err());
        assert!(storage.append(&labels, 4, 2.0).is_err());
        assert_eq!(storage.time_range(), Some((5, 5)));
    }
}
