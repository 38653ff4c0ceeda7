//! Grafana dashboards and provisioning, generated from typed values.
//!
//! [`files`] yields every file under `grafana/` that Grafana reads. Invariant: the same code writes the same
//! bytes, so CI compares what is committed with what this crate writes, and fails where they differ.
//!
//! The model is Grafana's classic dashboard JSON, `schemaVersion` 42; no maintained crate offers it, which is
//! why [`model`] holds the few types that the dashboards need.

mod board;
pub mod boards;
pub mod expressions;
mod limits;
pub mod model;
mod panel;
mod provisioning;
mod query;

use std::path::PathBuf;

/// The fixed uid of the Prometheus data source that provisioning makes.
pub const PROMETHEUS_UID: &str = "prometheus";

/// A file that the generator writes: its path under `grafana/` and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// The path, relative to `grafana/`.
    pub path: PathBuf,
    /// The text, ending in a newline.
    pub text: String,
}

/// Every file that the generator writes, sorted by path.
///
/// # Errors
/// If a dashboard can't be serialised, which would be a defect of the model.
pub fn files() -> Result<Vec<GeneratedFile>, serde_json::Error> {
    let mut files = provisioning::files();
    for dashboard in boards::all() {
        let text = serde_json::to_string_pretty(&dashboard)? + "\n";
        files.push(GeneratedFile { path: format!("dashboards/{}.json", dashboard.uid).into(), text });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
