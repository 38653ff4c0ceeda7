//! `loadgen merge`.

use std::path::{Path, PathBuf};

use assay_text::{Clean, console};

use super::exit;

/// Merges the runs of shards.
pub(super) fn merge(runs: &[PathBuf], out: &Path) -> u8 {
    match assay_run::merge::merge(runs, out) {
        Ok(merged) => {
            warn(&merged);
            let (series, samples) = (merged.stats.series, merged.stats.samples);
            let parts = merged.manifest.parts.len();
            let dir = Clean(merged.dir.display());
            let text = format!("{dir}: {parts} runs, {series} series, {samples} samples\n");
            super::print(&text, exit::DONE)
        }
        Err(e) => {
            console::say(format_args!("loadgen: {e}"));
            exit::BAD_INPUT
        }
    }
}

/// Says what did not fit together as it should.
pub(super) fn warn(merged: &assay_run::merge::Merged) {
    for warning in &merged.warnings {
        console::say(format_args!("loadgen: {warning}"));
    }
}
