//! Prometheus rules: files, groups, the alert state machine, templates and unit tests.
//!
//! [`RuleFiles::load`] reads rule files as Prometheus does and reports every problem with its position.

// The templates and the overlay serve the replay, which is not here yet.
#![allow(dead_code, unused_imports)]

pub mod file;
mod glob;
pub mod overlay;
mod template;

pub use file::{Alerting, Group, Rule, RuleFiles, RuleKind};
