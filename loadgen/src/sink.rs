//! Where measurements go while the load runs. Invariant: every sink gets the same families at the same
//! instants, with the same names and labels.

pub mod exposition;
pub mod otlp;
pub mod recorder;
pub mod requests;

use std::time::Duration;

use assay_model::expo::MetricFamily;

use crate::scenario::Phase;

/// A problem of a sink that the run cannot continue with, such as a full disk.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What is wrong, and where.
    pub message: String,
}

impl SinkError {
    /// An error from anything that can be printed.
    pub fn new(cause: impl std::fmt::Display) -> Self {
        Self { message: cause.to_string() }
    }
}

/// Takes measurements. Times are milliseconds since the Unix epoch and ascend from call to call.
pub trait MetricsSink: Send {
    /// A phase begins: no request of it was sent before this.
    ///
    /// # Errors
    /// Where the run cannot continue.
    fn phase_started(&mut self, _phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        Ok(())
    }

    /// A phase has ended, the last of its requests among it.
    ///
    /// # Errors
    /// Where the run cannot continue.
    fn phase_ended(&mut self, _phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        Ok(())
    }

    /// All series as they stand.
    ///
    /// # Errors
    /// Where the run cannot continue.
    fn push(&mut self, t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError>;

    /// Exports that failed for good so far.
    fn failures(&self) -> u64 {
        0
    }

    /// How long the oldest values that are not exported yet have waited.
    fn delay(&self) -> Duration {
        Duration::ZERO
    }

    /// What a reader of the summary should know, each one line: that a receiver was away, say.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The load is over. Called for all sinks before any finishes, so that those that take time take it together.
    fn end(&mut self) {}

    /// The load is over: what is not out yet goes out now. May block.
    ///
    /// # Errors
    /// Where something was lost.
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
