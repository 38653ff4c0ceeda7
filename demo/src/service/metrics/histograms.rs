//! Histograms that are native and classic at once, with exemplars.
//!
//! These are crates/model's and not prometheus-client's, because a native histogram there has no exemplars, and one
//! without classic buckets breaks its text format.
//!
//! Invariant: a cell's classic counts and its native histogram have seen the same observations.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use assay_model::{
    Exemplar, ExponentialHistogram, Labels,
    expo::{HistogramValue, Metric, MetricFamily, MetricValue},
};

/// Semantic conventions' advice for durations of HTTP requests, and for those of models up to 82 s.
const BOUNDS_S: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0,
];

/// The trace that a measurement belongs to, when it is sampled.
pub(crate) type Trace = Option<Arc<str>>;

/// A histogram for each label set.
pub(super) struct Histograms {
    name: &'static str,
    help: &'static str,
    cells: Mutex<BTreeMap<Labels, Cell>>,
}

#[derive(Default)]
struct Cell {
    native: ExponentialHistogram,
    /// By classic bucket, each by itself, with its newest exemplar.
    classic: [u64; BOUNDS_S.len() + 1],
    exemplars: [Option<Exemplar>; BOUNDS_S.len() + 1],
}

impl Histograms {
    /// Empty, with the series that can be foreseen at zero.
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        foreseen: impl IntoIterator<Item = Labels>,
    ) -> Self {
        let cells = foreseen.into_iter().map(|labels| (labels, Cell::default())).collect();
        Self { name, help, cells: Mutex::new(cells) }
    }

    pub(super) fn record(&self, labels: Labels, duration: Duration, trace: &Trace) {
        let value = duration.as_secs_f64();
        let bucket = BOUNDS_S.partition_point(|bound| *bound < value);
        let exemplar = trace.as_ref().map(|trace| Exemplar {
            labels: Labels::from_pairs([("trace_id", trace)]),
            value,
            t_ms: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|d| d.as_millis() as i64),
        });
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(labels).or_default();
        cell.native.record(value);
        cell.classic[bucket] += 1;
        if exemplar.is_some() {
            cell.exemplars[bucket] = exemplar;
        }
    }

    pub(super) fn family(&self, with_classic: bool) -> MetricFamily {
        let mut family = MetricFamily::histogram(self.name, self.help);
        for (labels, cell) in self.cells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            family.push(cell.metric(labels.clone(), with_classic));
        }
        family
    }
}

impl Cell {
    fn metric(&self, labels: Labels, with_classic: bool) -> Metric {
        let mut value = HistogramValue::native(self.native.snapshot());
        if with_classic {
            value.buckets = HistogramValue::classic(&BOUNDS_S, &self.classic, self.native.sum()).buckets;
            for (bucket, exemplar) in value.buckets.iter_mut().zip(&self.exemplars) {
                bucket.exemplar = exemplar.clone();
            }
        }
        let mut metric = Metric::new(labels, MetricValue::Histogram(value));
        metric.exemplars = self.exemplars.iter().flatten().cloned().collect();
        metric.exemplars.sort_by_key(|e| e.t_ms);
        metric
    }
}
