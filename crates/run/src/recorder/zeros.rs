//! Zeros at the start of what counts.
//!
//! `increase` sees nothing of the value that a series is born with, so a run in which a counter appears late
//! would be judged by too little. Where the start of a counter or histogram is known and lies inside the run,
//! its first sample is therefore a zero at that start, as Prometheus does it under the feature
//! `created-timestamp-zero-ingestion` (`scrape/scrape.go`, v3.5). Invariant: a zero is never written at or
//! before a sample that the series already has, nor before the run.

use assay_model::{FloatHistogram, Histogram};

use super::{Row, RowValue};

/// What is known of when a series began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Began {
    /// The start that was last seen, and the time of the last sample that had one.
    seen: Option<(i64, i64)>,
}

impl Began {
    /// The time and the zero to write before this row, if there is one. It comes again when a series starts again,
    /// after a restart of its target.
    pub(super) fn zero_before(&mut self, row: &Row, run_start_ms: i64) -> Option<(i64, RowValue)> {
        let start_ms = row.start_ms?;
        let (last_start_ms, last_ms) =
            self.seen.replace((start_ms, row.t_ms)).unwrap_or((i64::MIN, i64::MIN));
        let is_new = last_start_ms != start_ms && start_ms > last_ms;
        let is_inside = start_ms >= run_start_ms && start_ms < row.t_ms;
        if is_new && is_inside { zero_of(&row.value).map(|zero| (start_ms, zero)) } else { None }
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
    use std::collections::HashMap;

    use assay_model::Labels;

    use super::*;

    #[test]
    fn a_zero_comes_where_a_series_begins_inside_the_run() {
        let mut series: HashMap<String, Began> = HashMap::new();
        let mut check = |name: &str, start_ms: i64, t_ms: i64, v: f64, want: Option<i64>| {
            let labels = Labels::from_pairs([("__name__", name)]);
            let row = Row::float(labels, t_ms, v).since(start_ms);
            let zero = series.entry(name.to_owned()).or_default().zero_before(&row, 1000);
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
        assert_eq!(Began::default().zero_before(&row, 0), Some((10, RowValue::Histogram(want))));
    }
}
