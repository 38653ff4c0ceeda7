//! How the engine reads: a [`Queryable`] yields series, a [`Series`] fills a [`Column`].
//!
//! Invariant: a series' samples come in ascending time, at most one for each millisecond, whether they came
//! from one block, several overlapping ones or a WAL.

use std::{collections::BTreeSet, sync::Arc};

use crate::{Exemplar, FloatHistogram, Labels, Matcher, MetricMetadata};

/// Why a read failed: a source that cannot be read, never an empty result.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong, with the file and offset where there is one.
    pub message: String,
}

impl QueryError {
    /// An error from anything that can be printed.
    pub fn new(cause: impl std::fmt::Display) -> Self {
        Self { message: cause.to_string() }
    }
}

/// The samples of one series over a range, floats and histograms apart, each ascending in time.
///
/// Times are milliseconds since the Unix epoch. No time stands in both lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// The times of `values`.
    pub times: Vec<i64>,
    /// Floats, stale markers among them.
    pub values: Vec<f64>,
    /// The times of `histograms`.
    pub histogram_times: Vec<i64>,
    /// Native histograms; one with a stale `sum` marks staleness.
    pub histograms: Vec<Arc<FloatHistogram>>,
    /// Start timestamps of `values` (0 where unknown), or empty where the source has none.
    pub starts: Vec<i64>,
    /// Start timestamps of `histograms`, likewise.
    pub histogram_starts: Vec<i64>,
}

impl Column {
    /// Empties the column and keeps its memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        self.starts.clear();
        self.histogram_starts.clear();
    }

    /// Appends the samples of another column in `[start_ms, end_ms]`, both ends in.
    pub fn append_within(&mut self, other: &Self, start_ms: i64, end_ms: i64) {
        let within = |times: &[i64]| {
            let from = times.partition_point(|t| *t < start_ms);
            from..times.partition_point(|t| *t <= end_ms).max(from)
        };
        let floats = within(&other.times);
        self.times.extend_from_slice(&other.times[floats.clone()]);
        self.values.extend_from_slice(&other.values[floats.clone()]);
        self.starts.extend_from_slice(other.starts.get(floats).unwrap_or_default());
        let histograms = within(&other.histogram_times);
        self.histogram_times.extend_from_slice(&other.histogram_times[histograms.clone()]);
        self.histograms.extend_from_slice(&other.histograms[histograms.clone()]);
        self.histogram_starts.extend_from_slice(other.histogram_starts.get(histograms).unwrap_or_default());
    }

    /// How many samples it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len() + self.histogram_times.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One series of a selection. Its samples are read when asked for.
pub trait Series: Send + Sync {
    /// The series' labels, the metric's name among them.
    fn labels(&self) -> &Labels;

    /// Appends the samples of `[start_ms, end_ms]`, both ends in, to `out`.
    ///
    /// # Errors
    /// Where the samples cannot be read.
    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError>;
}

/// How the samples of a selection are read: a hint for a source that shows a query more or less than it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// At one time, or at an offset or a fixed time (`@`).
    #[default]
    Plain,
    /// Over a range that ends at the evaluation time.
    Range,
    /// Over such a range, as a counter: under `rate`, `irate` or `increase`.
    Counter,
}

/// The series that a selection finds.
pub type Selected<'q> = Result<Vec<Box<dyn Series + 'q>>, QueryError>;

/// The names or the values of labels.
pub type Texts = Result<Vec<String>, QueryError>;

/// Exemplars by the series that they are of.
pub type ExemplarsBySeries = Result<Vec<(Labels, Vec<Exemplar>)>, QueryError>;

/// Anything that PromQL can be evaluated over.
pub trait Queryable: Send + Sync {
    /// The series that match all of `matchers` and may have samples in `[start_ms, end_ms]`, both ends in,
    /// sorted by their labels, each label set once.
    ///
    /// # Errors
    /// Where the source cannot be read.
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q>;

    /// Whether [`Queryable::select_for`] depends on how samples are read. If not, one selection serves all readers.
    fn heeds_access(&self) -> bool {
        false
    }

    /// As [`Queryable::select`], for samples that are read in a known way.
    ///
    /// # Errors
    /// As [`Queryable::select`].
    fn select_for<'q>(
        &'q self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        _access: Access,
    ) -> Selected<'q> {
        self.select(matchers, start_ms, end_ms)
    }

    /// The values of a label over the series that match, sorted and unique.
    ///
    /// # Errors
    /// Where the source cannot be read.
    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Texts {
        self.label_values_within(name, matchers, i64::MIN, i64::MAX)
    }

    /// The same, of what overlaps `[start_ms, end_ms]`, both ends in: series, or as Prometheus does, whole blocks.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        Ok(values_of(&self.select(matchers, start_ms, end_ms)?, name))
    }

    /// The label names of the series that match, sorted and unique.
    ///
    /// # Errors
    /// Where the source cannot be read.
    fn label_names(&self, matchers: &[Matcher]) -> Texts {
        self.label_names_within(matchers, i64::MIN, i64::MAX)
    }

    /// The same, of what overlaps a time, as for [`Queryable::label_values_within`].
    ///
    /// # Errors
    /// If the source cannot be read.
    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        Ok(names_of(&self.select(matchers, start_ms, end_ms)?))
    }

    /// The times of the first and last sample, both in, or `None` where there is none.
    fn time_range(&self) -> Option<(i64, i64)>;

    /// The metadata of a metric family, where the source kept it.
    fn metadata(&self, _metric: &str) -> Option<MetricMetadata> {
        None
    }

    /// The exemplars of the series that match in `[start_ms, end_ms]`, where the source kept them.
    ///
    /// # Errors
    /// Where the source cannot be read.
    fn exemplars(&self, _matchers: &[Matcher], _start_ms: i64, _end_ms: i64) -> ExemplarsBySeries {
        Ok(Vec::new())
    }
}

/// The values that a label has in these series, sorted and unique.
#[must_use]
pub fn values_of(series: &[Box<dyn Series + '_>], name: &str) -> Vec<String> {
    let values = series.iter().filter_map(|s| s.labels().get(name).map(str::to_owned));
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The names of the labels of these series, sorted and unique.
#[must_use]
pub fn names_of(series: &[Box<dyn Series + '_>]) -> Vec<String> {
    let names = series.iter().flat_map(|s| s.labels().iter().map(|(name, _)| name.to_owned()));
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_column_has_both_its_ends() {
        let h = |count: f64| Arc::new(FloatHistogram { count, ..FloatHistogram::default() });
        let all = Column {
            times: vec![1, 3, 5],
            values: vec![0.1, 0.3, 0.5],
            starts: vec![10, 30, 50],
            histogram_times: vec![2, 4],
            histograms: vec![h(2.0), h(4.0)],
            histogram_starts: Vec::new(),
        };
        let check = |range: (i64, i64), times: &[i64], values: &[f64], starts: &[i64], counts: &[f64]| {
            let mut out = Column::default();
            out.append_within(&all, range.0, range.1);
            assert_eq!(
                (&out.times[..], &out.values[..], &out.starts[..]),
                (times, values, starts),
                "{range:?}"
            );
            let found: Vec<f64> = out.histograms.iter().map(|h| h.count).collect();
            assert_eq!((&found[..], out.histogram_times.len()), (counts, counts.len()), "{range:?}");
            assert!(out.histogram_starts.is_empty());
        };
        check((3, 5), &[3, 5], &[0.3, 0.5], &[30, 50], &[4.0]);
        check((2, 2), &[], &[], &[], &[2.0]);
        check((i64::MIN, i64::MAX), &[1, 3, 5], &[0.1, 0.3, 0.5], &[10, 30, 50], &[2.0, 4.0]);
        check((5, 3), &[], &[], &[], &[]);
        let mut twice = all.clone();
        twice.append_within(&all, 1, 1);
        assert_eq!((&twice.times[..], &twice.starts[..]), (&[1, 3, 5, 1][..], &[10, 30, 50, 10][..]));
    }
}
