//! The judge's command line, and Prometheus' HTTP API over a run.
//!
//! Judging is `assay-verdict`'s and every format of a report `assay-report`'s. Invariant: nothing here measures or
//! decides anything.

pub mod cli;
pub mod heap;
pub mod serve;
