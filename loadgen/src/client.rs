//! The HTTP client of one virtual user: its own connections, driven by the task that waits for the response.
//!
//! Invariant: times come from the socket (see [`stamped`]), and whatever a server does ends in an
//! [`ErrorClass`] within the step's timeout and the limits on memory.

#[cfg(target_os = "linux")]
mod arrival;
pub(crate) mod coding;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod credentials;
mod error;
mod events;
pub(crate) mod http1;
mod http2;
pub(crate) mod origin;
pub(crate) mod outgoing;
pub(crate) mod probe;
pub(crate) mod protocol;
pub(crate) mod proxy;
pub(crate) mod reply;
pub(crate) mod route;
mod socket;
pub(crate) mod sse;
pub(crate) mod stamped;
pub(crate) mod tls;

pub use error::{ErrorClass, Failure};
