//! The engine: workers that drive virtual users, and the coordinator that directs them and merges
//! what they measured.
//!
//! Invariant: nothing on the way of a request waits for anything but the request: a worker shares its tally
//! alone with the coordinator, for the moment of a swap each second.

pub(crate) mod check;
pub(crate) mod closed;
pub(crate) mod error;
pub(crate) mod exchange;
pub(crate) mod feed;
pub(crate) mod iteration;
pub(crate) mod once;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod phase_state;
pub(crate) mod pool;
mod publisher;
pub(crate) mod request;
pub(crate) mod run;
mod second;
pub(crate) mod shard;
pub(crate) mod user;
pub(crate) mod worker;
