//! What is known of a run. Invariant: no phase ends after the run, and none before it begins.

use assay_run::Run;

use crate::verdict::{PhaseInfo, RunInfo};

/// The run as reports tell of it.
#[must_use]
pub fn run_info(run: &Run) -> RunInfo {
    let manifest = run.manifest.as_ref();
    let (start_ms, end_ms) = run.span().unwrap_or_default();
    let phases = manifest.map_or_else(Vec::new, |m| {
        m.phases
            .iter()
            .map(|p| PhaseInfo {
                name: p.name.clone(),
                start_ms: p.start_ms,
                end_ms: p.end_ms.unwrap_or(end_ms).min(end_ms).max(p.start_ms),
                warmup: p.warmup,
            })
            .collect()
    });
    RunInfo {
        source: crate::eval::display(&run.path),
        scenario: manifest.map(|m| m.scenario.clone()),
        start_ms,
        end_ms,
        cut_short_ms: run.cut_short,
        phases,
        manifest: manifest.and_then(|m| serde_json::to_value(m).ok()).unwrap_or_default(),
    }
}
