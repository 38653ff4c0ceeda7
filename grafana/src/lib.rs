//! Grafana dashboards and provisioning, generated from typed values.
//!
//! [`files`] yields every file under `grafana/` that Grafana reads. Invariant: the same code writes the same
//! bytes, so CI compares what is committed with what this crate writes, and fails where they differ.
//!
//! The model is Grafana's classic dashboard JSON, `schemaVersion` 42; no maintained crate offers it, which is
//! why [`model`] holds the few types that the dashboards need.

pub mod dashboards;
pub mod model;
mod panels;
mod provisioning;

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
/// Where a dashboard can't be serialised, which would be a defect of the model.
pub fn files() -> Result<Vec<GeneratedFile>, serde_json::Error> {
    let mut files = provisioning::files();
    for dashboard in dashboards::all() {
        let text = serde_json::to_string_pretty(&dashboard)? + "\n";
        files.push(GeneratedFile { path: format!("dashboards/{}.json", dashboard.uid).into(), text });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Every expression of every dashboard beside its panel's title, the variables at what "All" stands for and
/// `$__rate_interval` at `window`: what a server can be asked as it is.
#[must_use]
pub fn expressions(window: &str) -> Vec<(String, String)> {
    let substitute = |expr: &str| {
        let expr = expr.replace("$__rate_interval", window);
        ["$job", "$instance", "$scenario", "$step"].iter().fold(expr, |e, v| e.replace(v, ".+"))
    };
    let dashboards = dashboards::all();
    let panels = dashboards.iter().flat_map(|d| &d.panels);
    panels.flat_map(|p| p.targets.iter().map(|t| (p.title.to_owned(), substitute(&t.expr)))).collect()
}
