//! `loadgen merge`.

use std::path::{Path, PathBuf};

use super::exit;

/// Merges the runs of shards.
pub(super) fn merge(runs: &[PathBuf], out: &Path) -> u8 {
    match assay_run::merge::merge(runs, out) {
        Ok(merged) => {
            for warning in &merged.warnings {
                eprintln!("loadgen: {warning}");
            }
            let (series, samples) = (merged.stats.series, merged.stats.samples);
            let parts = merged.manifest.parts.len();
            println!("{}: {parts} runs, {series} series, {samples} samples", merged.dir.display());
            exit::DONE
        }
        Err(e) => {
            eprintln!("loadgen: {e}");
            exit::BAD_INPUT
        }
    }
}
