//! Opens a run, or any Prometheus data directory as one.
//!
//! Invariant: nothing is written, and a directory that is in use is read as it stands.

use std::path::{Path, PathBuf};

use assay_model::Queryable as _;
use assay_tsdb::{Database, OpenOptions};

use crate::{Manifest, ManifestError, manifest};

/// The data directory within a run directory.
pub(crate) const DATA: &str = "data";

/// A run that can be queried.
pub struct Run {
    /// The path that was given.
    pub path: PathBuf,
    /// The description, where the directory has one.
    pub manifest: Option<Manifest>,
    /// The series.
    pub database: Database,
    /// The time of the last sample, in milliseconds since the Unix epoch, of a run that has a description and
    /// no outcome: it was killed, or is still on.
    pub cut_short: Option<i64>,
}

/// Why a path is not a run.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing of the kind.
    #[error("{}: {what}", path.display())]
    NotARun {
        /// The path.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: &'static str,
    },
    /// The description cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The data directory cannot be read.
    #[error(transparent)]
    Storage(#[from] assay_tsdb::Error),
}

impl Run {
    /// Opens a run directory, a bare data directory, or a snapshot.
    ///
    /// # Errors
    /// Where the path is none of these, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |what| OpenError::NotARun { path: path.to_owned(), what };
        if !path.is_dir() {
            return Err(fail(if path.exists() {
                "is a file; a run is a directory with run.json and data/, or a Prometheus data directory"
            } else {
                "there is no such directory"
            }));
        }
        let manifest =
            if path.join(manifest::FILE_NAME).is_file() { Some(Manifest::read(path)?) } else { None };
        let nested = path.join(DATA);
        let data = if nested.is_dir() {
            nested
        } else if manifest.is_some() {
            return Err(fail("has a run.json but no data/ beside it"));
        } else if is_data_directory(path) {
            path.to_owned()
        } else {
            return Err(fail(
                "holds neither run.json nor the blocks or the WAL of a Prometheus data directory",
            ));
        };
        let database = Database::open(&data, OpenOptions::default())?;
        let last_ms = database.time_range().map(|(_, last)| last);
        let cut_short = manifest
            .as_ref()
            .filter(|m| m.outcome.is_none())
            .map(|m| last_ms.map_or(m.start_ms, |last| last.max(m.start_ms)));
        Ok(Self { path: path.to_owned(), manifest, database, cut_short })
    }

    /// The span of the samples, both ends in, in milliseconds since the Unix epoch; `None` where there are none.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.database.time_range()
    }
}

/// Whether a directory has the parts of a data directory: a WAL, or at least one block.
fn is_data_directory(path: &Path) -> bool {
    if path.join("wal").is_dir() || path.join("chunks_head").is_dir() {
        return true;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    entries.filter_map(Result::ok).any(|e| e.path().join("meta.json").is_file())
}
