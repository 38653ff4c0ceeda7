//! Prometheus rules: files, groups, the alert state machine, templates and unit tests.
//!
//! [`RuleFiles::load`] reads rule files as Prometheus does and reports every problem with its position;
//! [`replay::replay`] evaluates them over recorded series as Prometheus would have while they were recorded;
//! [`unittest::run_tests`] runs promtool's unit tests; [`lint::check`] finds what is legal and most likely not meant.

mod alert;
pub mod file;
mod glob;
pub mod lint;
pub mod overlay;
pub mod replay;
mod template;
pub mod unittest;

pub use file::{Alerting, Group, Rule, RuleFiles, RuleKind};
pub use replay::{ReplayOptions, ReplayResult, SlotMode, replay};
