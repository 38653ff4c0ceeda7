//! What the tests of several crates share: the programs of others that they are held against, HTTP without a client
//! of ours, a server that answers by a script, and golden files.
//!
//! Invariants: nothing here shares code with what it judges (no crate of this workspace is a dependency), and a
//! program that a test started ends with the test. For tests only: a fault panics with what happened.

#![allow(clippy::unwrap_used, reason = "for tests only")]

pub mod files;
pub mod golden;
pub mod hostile;
pub mod http;
pub mod interrupt;
pub mod peers;
pub mod process;
pub mod prometheus;
pub mod server;
pub mod wait;

pub use golden::golden;
pub use peers::{data, peer};
pub use process::Program;
pub use prometheus::Prometheus;
pub use server::{Action, Request, Server};
pub use wait::wait_for;
