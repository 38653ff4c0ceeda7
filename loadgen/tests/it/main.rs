//! The load generator against servers that do as they are told, on loopback.

mod abort;
mod breakdown;
mod capacity;
mod cli;
mod counting;
mod executors;
mod faults;
mod flow;
mod hostile;
mod http2;
mod init;
mod judge;
mod multipart;
mod otlp;
mod proxy;
mod receiver;
mod record;
mod secrets;
mod server;
mod shards;
mod stalls;
mod summary;
mod telemetry;
mod three_ways;
mod tls;
mod traces;
