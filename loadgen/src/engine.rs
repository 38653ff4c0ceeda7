//! The engine: workers that drive virtual users, and the coordinator that tells them what to do and merges
//! what they measured.
//!
//! Invariant: nothing on the way of a request waits for anything but the request: a worker shares its tally
//! alone with the coordinator, for the moment of a swap each second.

mod alarm;
pub(crate) mod arrivals;
pub(crate) mod closed;
pub(crate) mod control;
pub(crate) mod iteration;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod request;
pub(crate) mod run;
mod second;
pub(crate) mod shard;
pub(crate) mod timer;
pub(crate) mod user;
pub(crate) mod worker;
