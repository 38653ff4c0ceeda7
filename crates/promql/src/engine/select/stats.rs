//! Histograms cut down to count and sum, where nothing else of them is looked at. Invariant: what the buckets
//! told of counter resets stays, as the reset hint.
//!
//! Source: Prometheus `promql/histogram_stats_iterator.go` v3.13.

use std::sync::Arc;

use assay_model::{Column, CounterResetHint, FloatHistogram, is_stale};

/// Replaces the histograms of a column.
pub(crate) fn strip(column: &Column) -> Column {
    let mut out = column.clone();
    let mut before: Option<&FloatHistogram> = None;
    for (slot, h) in out.histograms.iter_mut().zip(&column.histograms) {
        let mut counter_reset_hint = h.counter_reset_hint;
        if !is_stale(h.sum) {
            counter_reset_hint = match (counter_reset_hint, before) {
                (CounterResetHint::Unknown, Some(b)) if h.detect_reset(b) => CounterResetHint::CounterReset,
                (CounterResetHint::Unknown, Some(_)) => CounterResetHint::NotCounterReset,
                (hint, _) => hint,
            };
            before = Some(h);
        }
        *slot = Arc::new(FloatHistogram {
            counter_reset_hint,
            schema: h.schema,
            count: h.count,
            sum: h.sum,
            ..FloatHistogram::default()
        });
    }
    out
}
