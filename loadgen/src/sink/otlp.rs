//! Pushes over OTLP (http/protobuf or gRPC): metrics, cumulative, as exponential histograms; traces, as spans.
//!
//! The measurements are aggregated already when they come here, one histogram for each series, so the
//! messages are built from them directly; an SDK would aggregate every observation a second time, under a
//! lock. Invariant: while the receiver is away, what was measured waits in memory, up to a limit; what is
//! given up is counted as a failed export, never silently lost.

mod encode;
mod exporter;
mod grpc;
mod http;
mod resource;
mod sender;
mod settings;
mod spans;
mod transport;

use std::time::Duration;

use assay_model::expo::MetricFamily;

use self::exporter::Exporter;
pub use self::{
    settings::{Given, Protocol, Settings, SettingsError, Signal},
    spans::SpanSink,
};
use super::{MetricsSink, SinkError};

/// Pushes what a run measures.
pub struct OtlpSink {
    exporter: Exporter,
    instance: String,
}

impl OtlpSink {
    /// Starts pushing.
    ///
    /// # Errors
    /// Where a file that the settings name cannot be read, or the system gives no thread.
    pub fn start(settings: &Settings, instance: &str) -> Result<Self, SinkError> {
        Ok(Self { exporter: Exporter::start(settings)?, instance: instance.to_owned() })
    }
}

impl MetricsSink for OtlpSink {
    fn push(&mut self, t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        self.exporter.send(encode::request(t_ms, families, &self.instance));
        Ok(())
    }

    fn failures(&self) -> u64 {
        self.exporter.failures()
    }

    fn delay(&self) -> Duration {
        self.exporter.delay()
    }

    fn notes(&self) -> Vec<String> {
        self.exporter.notes()
    }

    fn end(&mut self) {
        self.exporter.end();
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.exporter.finish()
    }
}
