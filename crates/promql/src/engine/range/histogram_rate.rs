//! `rate`, `increase` and `delta` of native histograms. Invariant: whether a sample is a reset is decided once
//! for all windows.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`histogramRate`).

use std::{cell::OnceCell, sync::Arc};

use assay_model::{
    CounterResetHint, FloatHistogram,
    histogram::{AddNotes, IncompatibleSchemas},
};

use super::{
    Job, WindowAt,
    rate::{Bridged, Extent, Kind, is_start_reset, note_overlap, starts_overlap},
};
use crate::engine::notes::{Notes, bounds_reconciled, mixed_schemas, not_counter, not_gauge};

pub(super) struct HistogramRate<'j, 'a> {
    job: &'j Job<'a>,
    kind: Kind,
    /// `resets[i]`: whether the counter was reset between samples `i - 1` and `i`.
    resets: OnceCell<Vec<bool>>,
}

impl<'j, 'a> HistogramRate<'j, 'a> {
    pub(super) fn new(job: &'j Job<'a>, kind: Kind) -> Self {
        Self { job, kind, resets: OnceCell::new() }
    }

    fn is_reset(&self, i: usize) -> bool {
        let s = &self.job.samples;
        let resets = self.resets.get_or_init(|| {
            let reset = |i: usize| {
                i > 0
                    && ((!s.histogram_starts.is_empty()
                        && is_start_reset(
                            s.histogram_starts[i - 1],
                            s.histogram_times[i - 1],
                            s.histogram_starts[i],
                            s.histogram_times[i],
                        ))
                        || s.histograms[i].detect_reset(&s.histograms[i - 1]))
            };
            (0..s.histograms.len()).map(reset).collect()
        });
        resets[i]
    }

    /// The result for a window that has histograms only.
    pub(super) fn window(&mut self, w: &WindowAt, notes: &mut Notes) -> Option<FloatHistogram> {
        let s = &self.job.samples;
        let (first, last) = (w.histograms.start, w.histograms.end - 1);
        if first == last {
            return None;
        }
        let mut result = self.difference(first, last, notes)?;
        let extent = Extent::of(s.histogram_times, &w.histograms, (w.start_ms, w.end_ms));
        let bridged = Bridged::of(extent, self.job.frame.range_ms, self.kind);
        result.mul(bridged.factor(self.kind, result.count, s.histograms[first].count));
        Some(result)
    }

    fn difference(&self, first: usize, last: usize, notes: &mut Notes) -> Option<FloatHistogram> {
        let (site, metric) = (self.job.site, self.job.metric);
        let list = &self.job.samples.histograms;
        let counter = self.kind.counter;
        let gauge = |h: &FloatHistogram| h.counter_reset_hint == CounterResetHint::Gauge;
        // After a reset at the second sample the first one says nothing about the increase.
        let restarted = counter && self.is_reset(first + 1);
        let base = if restarted { &list[first + 1] } else { &list[first] };
        if counter && (gauge(&list[first]) || gauge(&list[last])) {
            notes.warn(site, not_counter(metric));
        }
        let custom = base.uses_custom_buckets();
        let mut schema = list[last].schema.min(base.schema);
        let inner: &[Arc<FloatHistogram>] = if counter { &list[first + 1..last] } else { &[] };
        for h in inner {
            if gauge(h) {
                notes.warn(site, not_counter(metric));
            }
            schema = schema.min(h.schema);
        }
        if list[last].uses_custom_buckets() != custom
            || inner.iter().any(|h| h.uses_custom_buckets() != custom)
        {
            notes.warn(site, mixed_schemas(metric));
            return None;
        }
        let mut result = list[last].as_ref().clone();
        if !custom {
            result.reduce_resolution(schema);
        }
        if !restarted {
            self.told(result.sub(&list[first]), "subtraction", notes)?;
        }
        if counter {
            let from = if restarted { first + 2 } else { first + 1 };
            for i in (from..=last).filter(|i| self.is_reset(*i)) {
                self.told(result.add(&list[i - 1]), "addition", notes)?;
            }
            self.note_overlaps(first, last, notes);
        } else if !gauge(&list[first]) || !gauge(&list[last]) {
            notes.warn(site, not_gauge(metric));
        }
        result.counter_reset_hint = CounterResetHint::Gauge;
        result.compact(0);
        Some(result)
    }

    fn note_overlaps(&self, first: usize, last: usize, notes: &mut Notes) {
        let (starts, times) = (self.job.samples.histogram_starts, self.job.samples.histogram_times);
        let overlap = |i: usize| starts_overlap(starts[i - 1], times[i - 1], starts[i]);
        if !starts.is_empty() && (first + 1..=last).any(overlap) {
            note_overlap(self.job.metric, self.job.site, notes);
        }
    }

    /// Passes on what an addition has to tell; `None` where the schemas do not fit.
    fn told(
        &self,
        done: Result<AddNotes, IncompatibleSchemas>,
        operation: &str,
        notes: &mut Notes,
    ) -> Option<()> {
        match done {
            Ok(told) => {
                if told.bounds_reconciled {
                    notes.info(self.job.site, bounds_reconciled(operation));
                }
                Some(())
            }
            Err(IncompatibleSchemas) => {
                notes.warn(self.job.site, mixed_schemas(self.job.metric));
                None
            }
        }
    }
}
