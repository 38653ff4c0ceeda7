//! Verdicts over recorded runs: SLA objectives and alerting rules against a run's series, and the reports that
//! tell of them.
//!
//! The way of a run through this crate: [`sla`] reads what must hold, [`windows`] picks what is judged,
//! [`judge`] measures it over a [`source`] and fills a [`verdict`], [`charts`] fetches what is drawn, and
//! [`report`] has one renderer for each format.
//!
//! Invariant: no data is never a pass.

pub mod api;
pub mod backtest;
pub mod charts;
pub mod cli;
pub mod compare;
pub mod eval;
pub mod judge;
pub mod report;
pub mod serve;
pub mod sla;
pub mod source;
pub mod units;
pub mod verdict;
pub mod windows;

#[cfg(test)]
mod testing;
