//! Drives load at an HTTP service as a scenario describes it, and measures it truly.
//!
//! A [`Scenario`] says what virtual users do and in which phases how many of them are there; [`run`] drives
//! them and gives a [`Summary`]; while it runs, [`sink::MetricsSink`]s get every series once a second and a
//! [`view::View`] shows how it stands.
//!
//! Invariants of the whole crate:
//! - Times are taken where bytes move, from a monotonic clock. Response time runs from the first byte sent,
//!   latency from the instant that the schedule intended; both are kept, for failed requests too.
//! - A failed request has exactly one error class and is in every rate.
//! - Memory does not grow with the run.
//! - Whatever a server does ends in an error class, within the step's timeout.

pub mod capacity;
mod client;
mod engine;
pub mod guard;
pub mod import;
pub mod measure;
pub mod progress;
mod scenario;
pub mod sink;
pub mod summary;
mod trace;
pub mod view;

pub use client::{ErrorClass, Failure};
pub use engine::{
    options::{Control, RunError, RunOptions},
    run::run,
    shard::Shard,
};
pub use scenario::{Arrivals, Executor, Mode, PACKS, Pack, Phase, Scenario, Stage, UserKind};
pub use summary::Summary;
pub use trace::Tracer;
