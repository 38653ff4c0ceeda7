//! A run: a Prometheus data directory with a description beside it.
//!
//! ```text
//! runs/clinical-rag-20261123T134500Z/
//!   run.json     the Manifest: scenario, phases, seed, host, versions, outcome
//!   data/        a Prometheus data directory: a WAL while it is recorded, one block when it is done
//! ```
//!
//! Invariant: what is on disk is readable at any instant. The manifest is replaced whole, the samples go
//! through a write-ahead log, and an import becomes a run only when it is done.

pub mod host;
pub mod manifest;
pub mod time;

pub use manifest::{Manifest, ManifestError, Outcome, Phase};
