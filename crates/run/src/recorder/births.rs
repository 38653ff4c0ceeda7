//! Zeros at the start of what counts.
//!
//! `increase` sees nothing of the value that a series is born with, so a run in which a counter appears late
//! would be judged by too little. Where the start of a counter or histogram is known and lies inside the run,
//! its first sample is therefore a zero at that start, as Prometheus does it under the feature
//! `created-timestamp-zero-ingestion` (`scrape/scrape.go`, v3.5). Invariant: a zero is never written at or
//! before a sample that the series already has, nor before the run.

use std::collections::HashMap;

use assay_model::{FloatHistogram, Histogram, Labels};

use super::{Row, RowValue};

/// What is known of the series that have a start.
#[derive(Debug)]
pub(super) struct Births {
    run_start_ms: i64,
    /// The start that was last seen of each series, and the time of its last sample.
    seen: HashMap<Labels, (i64, i64)>,
}

impl Births {
    pub(super) fn new(run_start_ms: i64) -> Self {
        Self { run_start_ms, seen: HashMap::new() }
    }

    /// The time and the zero to write before this row, where there is one. It comes again where a series
    /// starts anew, after a restart of its target.
    pub(super) fn zero_before(&mut self, row: &Row) -> Option<(i64, RowValue)> {
        let start_ms = row.start_ms?;
        let last = match self.seen.get_mut(&row.labels) {
            Some(entry) => std::mem::replace(entry, (start_ms, row.t_ms)),
            None => {
                self.seen.insert(row.labels.clone(), (start_ms, row.t_ms));
                (i64::MIN, i64::MIN)
            }
        };
        let is_new = last.0 != start_ms && start_ms > last.1;
        let inside = start_ms >= self.run_start_ms && start_ms < row.t_ms;
        if is_new && inside { zero_of(&row.value).map(|zero| (start_ms, zero)) } else { None }
    }
}

/// The zero of the same shape, or `None` where the value itself is one.
fn zero_of(value: &RowValue) -> Option<RowValue> {
    match value {
        RowValue::Float(v) => (*v != 0.0).then_some(RowValue::Float(0.0)),
        RowValue::Histogram(h) => (h.count != 0).then(|| {
            RowValue::Histogram(Histogram {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..Histogram::default()
            })
        }),
        RowValue::FloatHistogram(h) => (h.count != 0.0).then(|| {
            RowValue::FloatHistogram(FloatHistogram {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..FloatHistogram::default()
            })
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_comes_where_a_series_begins_inside_the_run() {
        let mut births = Births::new(1000);
        let mut check = |name: &str, start_ms: i64, t_ms: i64, v: f64, want: Option<i64>| {
            let labels = Labels::from_pairs([("__name__", name)]);
            let zero = births.zero_before(&Row::float(labels, t_ms, v).since(start_ms));
            assert_eq!(zero.map(|(t, _)| t), want, "{name} at {t_ms}");
        };
        check("late", 1500, 2000, 3.0, Some(1500));
        check("late", 1500, 3000, 4.0, None);
        check("late", 3500, 4000, 1.0, Some(3500));
        check("before_the_run", 999, 2000, 3.0, None);
        check("zero_itself", 1500, 2000, 0.0, None);
        check("zero_itself", 1500, 3000, 1.0, None);
        check("now", 2000, 2000, 1.0, None);
        check("backwards", 1800, 2000, 1.0, Some(1800));
        check("backwards", 1500, 3000, 1.0, None);
    }

    #[test]
    fn a_histogram_begins_empty_in_the_same_schema() {
        let value =
            Histogram { schema: 3, zero_threshold: 0.5, count: 2, zero_count: 2, ..Histogram::default() };
        let row = Row::histogram(Labels::empty(), 20, value).since(10);
        let want = Histogram { schema: 3, zero_threshold: 0.5, ..Histogram::default() };
        assert_eq!(Births::new(0).zero_before(&row), Some((10, RowValue::Histogram(want))));
    }
}
