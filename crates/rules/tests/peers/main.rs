//! Holds the crate to the programs that it follows: promtool and Prometheus.
//!
//! The binaries are found through `ASSAY_PEERS`, a directory; without it these tests are left out, except in CI, where
//! they must run.

mod prometheus;
mod promtool;
mod scenarios;
mod templates;

use assay_testkit::peer;
