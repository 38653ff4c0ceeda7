//! A run: a Prometheus data directory with a description.
//!
//! ```text
//! runs/clinical-rag-20261123T134500Z/
//!   run.json     the Manifest: scenario, phases, seed, host, versions, outcome
//!   failures.jsonl  the first examples of what failed, where anything did
//!   traces.jsonl    spans, where traces were made
//!   data/        a Prometheus data directory: a WAL while it is recorded, one block when it is done
//! ```
//!
//! A [`Recorder`] writes one while a load runs: its owner appends series through a [`Sink`], and targets are
//! scraped with it. [`Run::open`] reads one, and as well any data directory or snapshot that a Prometheus
//! left. [`import::import`] makes one of exposition text, of answers of the HTTP API or of VictoriaMetrics' lines,
//! [`pull::pull`] fetches one from a server, [`merge::merge`] makes one of the runs of shards, and
//! [`export::to_openmetrics`] writes one as text.
//!
//! Invariant: what is on disk is readable at any instant. The manifest is replaced whole, the samples go
//! through a write-ahead log, and an import becomes a run only when it is done.

pub mod export;
pub mod failures;
pub mod folder;
pub mod host;
pub mod import;
pub mod manifest;
pub mod merge;
mod nhcb;
mod open;
pub mod plan;
pub mod pull;
pub mod recorder;
pub mod time;
pub mod traces;

pub use assay_prom_api::Auth;
pub use manifest::{Manifest, ManifestError, Outcome, Phase};
pub use open::{OpenError, Run};
pub use plan::{LoadOutcome, PhaseOutcome, Plan, PlannedPhase};
pub use recorder::{RecordError, Recorder, RecorderOptions, Row, RowValue, Sink, Target};
