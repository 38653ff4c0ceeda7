//! What is measured, from a request to a series.
//!
//! Invariant: memory does not grow with the run. A worker tallies into histograms of its own; once a second
//! the tallies are merged into one total for each phase, from which series and summary are made.

pub(crate) mod families;
pub mod names;
pub(crate) mod percentiles;
pub(crate) mod plan;
pub(crate) mod tally;
