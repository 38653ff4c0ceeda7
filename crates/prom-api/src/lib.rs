//! Prometheus' HTTP API from both sides: one client for every server that speaks it (Prometheus, Thanos, Mimir,
//! VictoriaMetrics), the API's JSON, written ([`json`]) and read ([`read`]), and a server's part of [`remote_read`].
//!
//! Invariant: an answer is whole or an error, its size and the time that it may take are bounded, and no message has
//! a credential in it.

mod auth;
mod client;
mod error;
pub mod http;
pub mod json;
pub mod read;
pub mod remote_read;

pub use auth::Auth;
pub use client::{Blocking, Client, ClientOptions, Request};
pub use error::ApiError;
