//! The load generator against servers that do as they are told, on loopback.

mod executors;
mod faults;
mod flow;
mod server;
