//! Tests of PromQL in Prometheus' `.test` language, and what they are made of: the notation of series and a
//! storage in memory, which rule unit tests use, too.
//!
//! Invariant: nothing here knows a file system or a clock; a run depends on its text alone.

mod almost;
mod expect;
mod histogram;
mod nhcb;
mod run;
mod scan;
mod script;
mod series;
mod start_timestamps;
mod storage;

pub use almost::{almost_equal, histograms_agree};
pub use histogram::notation;
pub use run::{Evaluator, Failure, Report, run};
pub use script::ScriptError;
pub use series::{SequenceValue, SeriesError, parse_metric, parse_series_line, parse_series_values};
pub use storage::{AppendError, MemStorage, stored_hint};
