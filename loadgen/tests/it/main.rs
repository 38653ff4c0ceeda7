//! The load generator against servers that do as they are told, on loopback.

mod abort;
mod capacity;
mod cli;
mod executors;
mod faults;
mod flow;
mod http2;
mod multipart;
mod proxy;
mod record;
mod server;
mod shards;
mod summary;
mod tls;
