//! The load generator against servers that do as they are told, on loopback.

mod breakdown;
mod cli;
mod executors;
mod faults;
mod flow;
mod http2;
mod otlp;
mod peer;
mod receiver;
mod record;
mod server;
mod telemetry;
mod three_ways;
mod tls;
mod traces;
