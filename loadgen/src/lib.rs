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

mod background;
pub mod capacity;
mod client;
mod control;
mod engine;
pub mod examples;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod import;
mod listen;
pub mod measure;
pub mod profile;
pub mod progress;
pub mod recorded;
mod scenario;
mod seed;
pub mod sink;
pub mod summary;
mod timer;
mod trace;
pub mod view;

pub use client::{
    ErrorClass, Failure,
    origin::OriginError,
    probe::ProbeError,
    proxy::ProxyError,
    route::{Route, RouteError, SocketError},
    tls::TlsError,
};
pub use control::Control;
pub use engine::{
    check::Checked,
    error::{OptionsError, RunError},
    exchange::Exchange,
    options::{Outputs, RunOptions},
    shard::{Shard, ShardError},
};
pub use scenario::{
    Executor, Mode, PACKS, Pack, Phase, Scenario, UnknownName, UserKind, executor, keys, pack, reference,
    schema,
};
pub use summary::Summary;
pub use trace::Tracer;

/// Checks the options, runs the phases, and gives the summary, also if the run was stopped early.
///
/// # Errors
/// See [`RunError`].
pub async fn run(options: RunOptions) -> Result<Summary, RunError> {
    options.check().await?.run().await
}
