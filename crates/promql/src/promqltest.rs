//! Tests of PromQL in Prometheus' `.test` language, and what they are made of: the notation of series and a
//! storage in memory, which rule unit tests use, too.
//!
//! Invariant: nothing here knows a file system or a clock; a run depends on its text alone.

mod histogram;
mod scan;
mod series;
mod storage;

pub use histogram::notation;
pub use series::{SequenceValue, SeriesError, parse_metric, parse_series_line, parse_series_values};
pub use storage::{AppendError, MemStorage};
