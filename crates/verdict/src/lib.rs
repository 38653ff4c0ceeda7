//! Verdicts over recorded runs: SLA objectives and alerting rules against a run's series.
//!
//! The way of a run through this crate: [`sla`] reads what must hold, [`windows`] picks what is judged,
//! [`judge`] measures it over a [`source`] and fills a [`verdict`]; [`charts`] fetches what is drawn with it.
//! Nothing here prints: `assay-report` has one renderer for each format.
//!
//! Invariant: no data is never a pass.

mod alerts;
pub mod backtest;
pub mod baseline;
pub mod charts;
pub mod compare;
pub mod data;
pub mod eval;
pub mod findings;
mod histogram;
pub mod history;
pub mod judge;
pub mod leak;
pub mod measure;
mod parallel;
mod random;
pub mod scaling;
pub mod sla;
pub mod source;
pub mod standards;
pub mod tables;
pub mod units;
pub mod verdict;
pub mod windows;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
