//! The embedded recorder as a sink: a run directory that rules can be judged over.
//!
//! Invariant: a series on record has the name and labels that Prometheus would give it, `job` and `instance`
//! among them.

use std::{collections::HashMap, sync::Arc};

use assay_model::{
    Labels, METRIC_NAME, MetricMetadata,
    expo::{MetricFamily, MetricValue, NativeHistogram},
};
use assay_run::{Recorder, Row, RowValue, Sink};

use super::{MetricsSink, SinkError};
use crate::scenario::Phase;

/// Records what a run measures.
pub struct RecorderSink {
    recorder: Arc<Recorder>,
    sink: Sink,
    job: String,
    instance: String,
    /// The series' labels as measured, and as on record.
    known: HashMap<(String, Labels), Labels>,
    is_described: bool,
}

impl RecorderSink {
    /// A sink that records under `job="loadgen"`.
    #[must_use]
    pub fn new(recorder: Arc<Recorder>, instance: impl Into<String>) -> Self {
        Self {
            sink: recorder.sink(),
            recorder,
            job: "loadgen".to_owned(),
            instance: instance.into(),
            known: HashMap::new(),
            is_described: false,
        }
    }

    fn labels(&mut self, name: &str, labels: &Labels) -> Labels {
        let (job, instance) = (&self.job, &self.instance);
        let key = (name.to_owned(), labels.clone());
        let known = self.known.entry(key).or_insert_with(|| {
            let mut all = labels.to_builder();
            all.set(METRIC_NAME, name).set("job", job).set("instance", instance);
            all.build()
        });
        known.clone()
    }
}

impl MetricsSink for RecorderSink {
    fn phase_started(&mut self, phase: &Phase, t_ms: i64) -> Result<(), SinkError> {
        self.recorder.phase_started(&phase.name, phase.warmup, t_ms).map_err(SinkError::new)
    }

    fn phase_ended(&mut self, phase: &Phase, t_ms: i64) -> Result<(), SinkError> {
        self.recorder.phase_ended(&phase.name, t_ms).map_err(SinkError::new)
    }

    fn push(&mut self, t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        if !self.is_described {
            self.is_described = true;
            let metadata = families
                .iter()
                .map(|f| {
                    let help = f.help.clone();
                    (f.name.clone(), MetricMetadata { metric_type: f.metric_type, unit: String::new(), help })
                })
                .collect();
            self.sink.describe(metadata).map_err(SinkError::new)?;
        }
        let mut rows = Vec::new();
        for family in families {
            for metric in &family.metrics {
                let value = match &metric.value {
                    MetricValue::Float(v) => RowValue::Float(*v),
                    MetricValue::Histogram(h) => match h.native.as_deref() {
                        Some(NativeHistogram::Integer(h)) => RowValue::Histogram(h.clone()),
                        Some(NativeHistogram::Float(h)) => RowValue::FloatHistogram(h.clone()),
                        None => continue,
                    },
                    MetricValue::Summary(_) => continue,
                };
                let row = Row::new(self.labels(&family.name, &metric.labels), t_ms, value);
                rows.push(match metric.start_ms {
                    Some(start_ms) => row.since(start_ms),
                    None => row,
                });
            }
        }
        self.sink.append(rows).map_err(SinkError::new)
    }
}

/// The machine's name: the `instance` of what is measured here.
#[must_use]
pub fn default_instance() -> String {
    assay_platform::host_name::get()
}
