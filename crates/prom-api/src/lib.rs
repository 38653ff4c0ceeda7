//! Prometheus' HTTP API from both sides: one client for every server that speaks it (Prometheus, Thanos, Mimir,
//! VictoriaMetrics), and the API's JSON, written ([`json`]) and read ([`read`]).
//!
//! Invariant: an answer is whole or an error, its size and the time that it may take are bounded, and no message has
//! a credential in it.

mod auth;
mod client;
mod error;
pub mod http;
pub mod json;
pub mod read;

pub use auth::Auth;
pub use client::{Blocking, Client, ClientOptions, Request};
pub use error::ApiError;
