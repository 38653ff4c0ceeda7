//! Prometheus rules: files, groups, the alert state machine, templates, unit tests and lints.
//!
//! - [`RuleFiles::load`] reads rule files as Prometheus does and reports every problem of all of them with its position.
//! - [`replay()`] evaluates them over recorded series as Prometheus would have while they were recorded: what it writes
//!   is, sample for sample, what a server writes that has its rules from the start. (A server that restarts holds
//!   `ALERTS` back for two evaluations, until it has restored its alerts; a replay has nothing to restore.)
//! - [`live::Live`] evaluates them over a run in progress.
//! - [`unittest::run_tests`] runs promtool's unit tests, and [`unittest::record_test`] writes one from a run.
//! - [`lint::check`] finds what is legal and most likely not meant.
//!
//! Invariant: nothing here knows a clock; times come from the caller and from the data.

mod alert;
pub mod file;
mod glob;
pub mod lint;
pub mod live;
pub mod overlay;
pub mod replay;
mod template;
pub mod unittest;

pub use file::{Alerting, Group, Rule, RuleFiles, RuleId, RuleKind};
pub use replay::{ReplayOptions, ReplayResult, SlotMode, replay};
