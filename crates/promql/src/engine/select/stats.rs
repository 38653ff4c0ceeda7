//! Histograms cut down to count and sum, where nothing else of them is looked at. Invariant: what the buckets
//! told of counter resets stays, as the reset hint.
//!
//! Source: Prometheus `promql/histogram_stats_iterator.go` v3.13.

use std::sync::Arc;

use assay_model::{Column, CounterResetHint, FloatHistogram, is_stale};

/// The column with its histograms replaced.
pub(crate) fn strip(column: &Column) -> Column {
    let mut out = Column {
        times: column.times.clone(),
        values: column.values.clone(),
        starts: column.starts.clone(),
        histogram_times: column.histogram_times.clone(),
        histograms: Vec::with_capacity(column.histograms.len()),
        histogram_starts: column.histogram_starts.clone(),
    };
    let mut before: Option<&Arc<FloatHistogram>> = None;
    for h in &column.histograms {
        let mut counter_reset_hint = h.counter_reset_hint;
        if !is_stale(h.sum) {
            // A series that stands still has one histogram many times.
            let is_same = before.is_some_and(|b| Arc::ptr_eq(b, h));
            counter_reset_hint = match (counter_reset_hint, before) {
                (CounterResetHint::Unknown, Some(b)) if !is_same && h.detect_reset(b) => {
                    CounterResetHint::CounterReset
                }
                (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotCounterReset,
                (hint, _) => hint,
            };
            before = Some(h);
            if let Some(last) = out.histograms.last().filter(|last| is_same && !is_stale(last.sum))
                && last.counter_reset_hint == counter_reset_hint
            {
                out.histograms.push(Arc::clone(last));
                continue;
            }
        }
        out.histograms.push(Arc::new(FloatHistogram {
            counter_reset_hint,
            schema: h.schema,
            count: h.count,
            sum: h.sum,
            ..FloatHistogram::default()
        }));
    }
    out
}
