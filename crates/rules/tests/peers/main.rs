//! Holds the crate to the programs that it follows: promtool and Prometheus.
//!
//! The binaries are found through `ASSAY_PEERS`, a directory; without it these tests are left out, except in CI, where
//! they must run.

mod prometheus;
mod promtool;
mod scenarios;
mod templates;

use std::path::PathBuf;

/// The path of a peer's binary, or `None` where tests with peers are left out.
fn peer(name: &str) -> Option<PathBuf> {
    match std::env::var_os("ASSAY_PEERS") {
        Some(dir) => Some(PathBuf::from(dir).join(name)),
        None if std::env::var_os("CI").is_some() => panic!("ASSAY_PEERS is not set, and CI runs every test"),
        None => {
            eprintln!("left out: ASSAY_PEERS is not set");
            None
        }
    }
}
