//! Makes a run of series that come from elsewhere.
//!
//! Read are OpenMetrics and Prometheus text with times (what `promtool tsdb dump-openmetrics` prints among
//! them), answers of the HTTP API (`query_range`, and `query` with a range), and VictoriaMetrics' JSON lines.
//! Files of any size are read in pieces; memory grows with the number of series alone.
//!
//! Invariant: the run's directory appears when everything is in it. Before, and after a failure, there is
//! none; and no sample is left out without being counted.

mod blocks;
mod detect;
mod lines;
mod store;
mod text;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use assay_model::expo::{Dialect, ParseErrors};
use assay_prom_api::read::{JsonError, ReadError, read_series};
pub use store::ImportStats;
pub(crate) use store::Store;

use assay_tsdb::{Database, OpenOptions};

use crate::{LoadOutcome, Manifest, ManifestError, Outcome, Phase, Plan, nhcb};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// OpenMetrics text.
    OpenMetrics,
    /// Prometheus text.
    Text,
    /// An answer of Prometheus' HTTP API.
    PrometheusJson,
    /// VictoriaMetrics' `/api/v1/export`: one JSON object on each line.
    VictoriaMetrics,
}

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The format of all files; `None` looks into each.
    pub format: Option<ImportFormat>,
    /// The scenario's name in the description; `None` takes the first file's name.
    pub scenario: Option<String>,
    /// Whether classic histograms are stored as native ones with custom buckets, too.
    pub convert_classic_histograms: bool,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The refusal.
        source: io::Error,
    },
    /// Text that is not of its format: one line for each error.
    #[error("{}", in_file(path, errors))]
    Text {
        /// The file.
        path: PathBuf,
        /// The errors with their positions.
        errors: ParseErrors,
    },
    /// JSON that is not what it should be.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Json {
        /// The file, or the address.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// The destination already exists.
    #[error("{}: already exists; choose a new directory", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// There is no sample in any of the files.
    #[error("{}: holds no samples", path.display())]
    Empty {
        /// The first of the files.
        path: PathBuf,
    },
    /// The block could not be written.
    #[error(transparent)]
    Storage(#[from] assay_tsdb::Error),
    /// The description could not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

fn in_file(path: &Path, errors: &ParseErrors) -> String {
    let lines: Vec<_> = errors.0.iter().map(|e| format!("{}:{e}", path.display())).collect();
    lines.join("\n")
}

impl ImportError {
    fn json(path: &Path, error: JsonError) -> Self {
        let JsonError { line, column, message } = error;
        Self::Json { path: path.to_owned(), line, column, message }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}

/// A run that was made of series from elsewhere.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its directory.
    pub dir: PathBuf,
    /// Its description.
    pub manifest: Manifest,
    /// What was taken in.
    pub stats: ImportStats,
}

/// Imports files into the new run directory `out`.
///
/// # Errors
/// Where a file cannot be read or is malformed, with every position up to a limit, or where the run cannot
/// be written. Nothing is left behind then.
pub fn import(files: &[PathBuf], out: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    let mut draft = Draft::create(out)?;
    for path in files {
        read_file(path, options.format, &mut draft.store)?;
    }
    let first = files.first().cloned().unwrap_or_default();
    let scenario = options.scenario.clone().unwrap_or_else(|| {
        first.file_stem().map_or("import".into(), |stem| stem.to_string_lossy().into_owned())
    });
    draft.convert_classic_histograms = options.convert_classic_histograms;
    let source = files.iter().map(|f| f.display().to_string()).collect();
    draft.finish(|start_ms| Manifest { source, ..Manifest::new(scenario, start_ms) }, &first)
}

fn read_file(path: &Path, format: Option<ImportFormat>, store: &mut Store) -> Result<(), ImportError> {
    let mut file = File::open(path).map_err(ImportError::io("open", path))?;
    let format = match format {
        Some(format) => format,
        None => detect::format(&mut file).map_err(ImportError::io("read", path))?,
    };
    match format {
        ImportFormat::OpenMetrics => text::read(path, file, Dialect::OpenMetrics, store),
        ImportFormat::Text => text::read(path, file, Dialect::Text, store),
        ImportFormat::PrometheusJson => read_answer(path, io::BufReader::with_capacity(1 << 18, file), store),
        ImportFormat::VictoriaMetrics => lines::read(path, file, store),
    }
}

/// Reads a whole answer of the HTTP API into the store. `path` is what errors name.
pub(crate) fn read_answer(path: &Path, answer: impl io::Read, store: &mut Store) -> Result<(), ImportError> {
    let result = read_series(answer, |found| {
        let series = store.series(&found.labels)?;
        store.push_all(series, &found.floats)?;
        let mut histograms = found.histograms.into_iter();
        histograms.try_for_each(|(t_ms, h)| store.push_value(series, t_ms, &h))
    });
    result.map_err(|e| match e {
        ReadError::Json(e) => ImportError::json(path, e),
        ReadError::Taken(e) => e,
    })
}

/// A run in the making, in a directory of its own next to the one that it will have.
pub(crate) struct Draft {
    dir: PartialDir,
    pub(crate) store: Store,
    pub(crate) convert_classic_histograms: bool,
}

/// A directory that goes when it is dropped, unless it was renamed.
struct PartialDir {
    path: PathBuf,
    out: PathBuf,
}

impl Draft {
    pub(crate) fn create(out: &Path) -> Result<Self, ImportError> {
        let is_empty = |dir: &Path| fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
        if out.exists() && !is_empty(out) {
            return Err(ImportError::Exists { path: out.to_owned() });
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(out.file_name().unwrap_or_default());
        name.push(format!(".{}.partial", std::process::id()));
        let dir = PartialDir { path: out.with_file_name(name), out: out.to_owned() };
        let data = dir.path.join(crate::open::DATA);
        fs::create_dir_all(&data).map_err(ImportError::io("create the directory", &data))?;
        let store = Store::create(&data)?;
        Ok(Self { dir, store, convert_classic_histograms: false })
    }

    /// Writes the block and the description, and gives the directory its name. `input` is what to name where
    /// there was no sample; `describe` gets the time of the first one.
    pub(crate) fn finish(
        self,
        describe: impl FnOnce(i64) -> Manifest,
        input: &Path,
    ) -> Result<Imported, ImportError> {
        let Self { dir, store, convert_classic_histograms } = self;
        let stats = store.finish()?;
        if stats.duplicates > 0 {
            let duplicates = stats.duplicates;
            tracing::warn!(duplicates, "samples left out: their series had one at the same time already");
        }
        let Some((start_ms, end_ms)) = stats.range else {
            return Err(ImportError::Empty { path: input.to_owned() });
        };
        if convert_classic_histograms {
            nhcb::convert(&dir.path.join(crate::open::DATA))?;
        }
        let mut manifest = describe(start_ms);
        manifest.end_ms.get_or_insert(end_ms);
        if manifest.outcome.is_none() {
            describe_load(&mut manifest, &dir.path.join(crate::open::DATA))?;
        }
        manifest.write(&dir.path)?;
        // An empty directory is replaced; anything else that came meanwhile makes it fail.
        let action = "give the finished run its name";
        fs::rename(&dir.path, &dir.out).map_err(ImportError::io(action, &dir.out))?;
        Ok(Imported { dir: dir.out.clone(), manifest, stats })
    }
}

/// The phases and the outcome of the load in imported series, if they tell; else what was imported is all there is.
fn describe_load(manifest: &mut Manifest, data: &Path) -> Result<(), ImportError> {
    let database = Database::open(data, OpenOptions::default())?;
    let plan = Plan::read(&database).map_err(|e| ImportError::Io {
        path: data.to_owned(),
        action: "read what was imported",
        source: io::Error::other(e.to_string()),
    })?;
    let Some(plan) = plan else {
        manifest.outcome = Some(Outcome::Finished);
        return Ok(());
    };
    manifest.outcome = match plan.outcome {
        LoadOutcome::Finished => Some(Outcome::Finished),
        LoadOutcome::Interrupted => Some(Outcome::Interrupted),
        LoadOutcome::Aborted => Some(Outcome::Aborted { reason: "the load ended itself".to_owned() }),
        LoadOutcome::Running => None,
    };
    manifest.mode = plan.mode;
    let begun = plan.phases.into_iter().filter_map(|p| {
        let outcome = Some(p.outcome);
        Some(Phase { name: p.name, start_ms: p.start_ms?, end_ms: p.end_ms, warmup: p.warmup, outcome })
    });
    manifest.phases.extend(begun);
    for phase in manifest.drop_impossible_phases() {
        tracing::warn!(phase, "phase left out: by its series it began or ended at an impossible time");
    }
    Ok(())
}

impl Drop for PartialDir {
    fn drop(&mut self) {
        // After the rename it is gone.
        fs::remove_dir_all(&self.path).ok();
    }
}

#[cfg(test)]
mod tests;
