//! Folders that chores work in. Invariant: a folder that was made fresh holds nothing of an earlier call.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Makes a folder, empty, with the folders above it.
pub(crate) fn fresh(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())
}

/// The one entry of a folder.
pub(crate) fn only_entry(dir: &Path) -> Result<PathBuf> {
    let entries: Vec<_> =
        fs::read_dir(dir).with_context(|| dir.display().to_string())?.collect::<Result<_, _>>()?;
    ensure!(entries.len() == 1, "{} entries in {}", entries.len(), dir.display());
    Ok(entries[0].path())
}
