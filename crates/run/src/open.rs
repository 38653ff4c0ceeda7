//! Opens a run, or any Prometheus data directory as one.
//!
//! Invariant: nothing is written, and a directory that is in use is read as it is.

use std::path::{Path, PathBuf};

use assay_model::{Column, QueryError, Queryable as _};
use assay_tsdb::{Database, OpenOptions};

use crate::{Manifest, ManifestError, manifest, time};

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
    /// It is not the run that was asked for.
    #[error("{}: {what}", path.display())]
    Choice {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The description cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The samples cannot be read.
    #[error("{0}")]
    Unreadable(String),
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
            return Err(fail("has a run.json but no data/ next to it"));
        } else if is_data_directory(path) {
            path.to_owned()
        } else {
            return Err(fail(
                "holds neither run.json nor the blocks or the WAL of a Prometheus data directory",
            ));
        };
        let database = Database::open(&data, OpenOptions::default())?;
        let cut_short = match &manifest {
            Some(m) if m.outcome.is_none() => Some(last_sample(&database, m.start_ms)?.max(m.start_ms)),
            _ => None,
        };
        Ok(Self { path: path.to_owned(), manifest, database, cut_short })
    }

    /// The span of the run, both ends in, in milliseconds since the Unix epoch: what the description says, else the
    /// span of the samples. A stray sample long before or after the run does not make it any longer.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        let Some(manifest) = &self.manifest else { return self.time_range() };
        let last_ms = manifest.end_ms.or(self.cut_short).unwrap_or(manifest.start_ms);
        Some((manifest.start_ms, last_ms.max(manifest.start_ms)))
    }

    /// The span of the samples, both ends in, in milliseconds since the Unix epoch; `None` where there are none.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.database.time_range()
    }
}

/// The time of the last sample from `start_ms` on that is not ahead of the clock; a stray one may be.
fn last_sample(database: &Database, start_ms: i64) -> Result<i64, OpenError> {
    let now_ms = time::now_ms();
    let last_ms = database.time_range().map_or(start_ms, |(_, last)| last);
    if last_ms <= now_ms {
        return Ok(last_ms);
    }
    let (mut found, mut column) = (start_ms, Column::default());
    let unreadable = |e: QueryError| OpenError::Unreadable(e.to_string());
    for series in database.select(&[], start_ms, now_ms).map_err(unreadable)? {
        column.clear();
        series.read(start_ms, now_ms, &mut column).map_err(unreadable)?;
        let last = column.times.last().max(column.histogram_times.last());
        found = found.max(last.copied().unwrap_or(start_ms));
    }
    Ok(found)
}

/// Whether a directory has the parts of a data directory: a WAL, or at least one block.
pub(crate) fn is_data_directory(path: &Path) -> bool {
    if path.join("wal").is_dir() || path.join("chunks_head").is_dir() {
        return true;
    }
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    entries.filter_map(Result::ok).any(|e| e.path().join("meta.json").is_file())
}
