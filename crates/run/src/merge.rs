//! Merges the runs of shards into one whose counts and histograms are their sums.
//!
//! Shards of a load record the same series, told apart by `instance`. Each of the generator's series
//! (`job="loadgen"`) becomes one with `instance="merged"`: at every instant at which a shard has a sample, the sum of
//! what the shards had then; the run's plan has the earliest start, the latest end and the worst outcome. All other
//! series (scraped targets) are taken as they are, from the first run that has them. Invariant: no sample of the generator is left out; at the end of the merged run every counter and
//! histogram is the sum of its parts' last values.

mod description;
mod plan;
mod sum;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    path::{Path, PathBuf},
};

use assay_model::{Column, Labels, QueryError, Queryable as _, Series};

use crate::{
    Manifest, OpenError, Run, failures, folder,
    import::{Draft, ImportError, ImportStats, Store},
    traces,
};

/// The label that distinguishes shards.
const INSTANCE: &str = "instance";
/// Its value in a merged run.
const MERGED: &str = "merged";
/// The label that distinguishes the series of one run from those of another.
const RUN: &str = "load_run";
/// The label that says which part of a load a run is, and its value for all of it.
const SHARD: &str = "load_shard";
const WHOLE: &str = "0/1";
/// The job of what a load generator measures itself.
const GENERATOR: &str = "loadgen";

/// Why runs could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// They are not parts of one load.
    #[error("{}: {what}", path.display())]
    Mismatch {
        /// The run that does not fit those before it.
        path: PathBuf,
        /// What does not fit, and what would.
        what: String,
    },
    /// The series of one cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The run.
        path: PathBuf,
        /// Why.
        source: QueryError,
    },
    /// The merged run cannot be written.
    #[error(transparent)]
    Write(#[from] ImportError),
}

/// A merged run.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Its directory.
    pub dir: PathBuf,
    /// Its description.
    pub manifest: Manifest,
    /// What it holds.
    pub stats: ImportStats,
    /// What should be known, such as shards that are missing.
    pub warnings: Vec<String>,
}

/// A series, and the run that it is of.
type OfPart<'r> = (usize, Box<dyn Series + 'r>);

/// The shards in a folder of the load that was begun last, by their numbers; `None` if it has no runs of shards.
fn newest(path: &Path) -> Option<Vec<PathBuf>> {
    if !folder::is_folder_of_runs(path) {
        return None;
    }
    let runs = folder::runs(path).filter_map(|(run, manifest)| {
        let manifest = manifest.ok()?;
        Some((manifest.shard?, manifest, run))
    });
    let mut runs: Vec<_> = runs.collect();
    runs.sort_by_key(|(_, manifest, _)| std::cmp::Reverse(manifest.start_ms));
    let (shard, last, _) = runs.first()?;
    let is_same = |count: u32, run: &Manifest| {
        count == shard.count
            && (&run.scenario, &run.mode, run.seed) == (&last.scenario, &last.mode, last.seed)
            // What had ended before is another load.
            && run.end_ms.is_none_or(|end_ms| end_ms >= last.start_ms)
    };
    let mut found = BTreeMap::new();
    for (own, manifest, path) in &runs {
        if is_same(own.count, manifest) {
            found.entry(own.index).or_insert_with(|| path.clone());
        }
    }
    Some(found.into_values().collect())
}

/// Merges runs into the new run directory `out`; of a folder of runs those are taken that are shards of the load that was begun last. The result has the rules and SLAs of the first, and the examples of failures and traces of all.
///
/// # Errors
/// Where a run cannot be read, where the runs are not parts of one load, or where `out` cannot be written or
/// already exists. Nothing is left behind then.
pub fn merge(runs: &[PathBuf], out: &Path) -> Result<Merged, MergeError> {
    let named = runs.iter().flat_map(|path| newest(path).unwrap_or_else(|| vec![path.clone()]));
    let runs = &named.collect::<Vec<_>>()[..];
    let opened = runs.iter().map(|path| Run::open(path)).collect::<Result<Vec<_>, _>>()?;
    let (mut manifest, warnings) = description::merged(&opened)?;
    let paths = runs.iter().map(|run| run.display().to_string());
    manifest.command = ["loadgen", "merge", "--out"].map(str::to_owned).into();
    manifest.command.push(out.display().to_string());
    manifest.command.splice(2..2, paths);
    let mut draft = Draft::create(out)?;
    let mut sums: BTreeMap<Labels, Vec<OfPart<'_>>> = BTreeMap::new();
    let mut others: BTreeMap<Labels, OfPart<'_>> = BTreeMap::new();
    for (part, run) in opened.iter().enumerate() {
        let found = run.database.select(&[], i64::MIN, i64::MAX).map_err(|e| unreadable(run, e))?;
        for series in found {
            let labels = series.labels();
            if labels.get("job") == Some(GENERATOR) {
                let mut merged = labels.to_builder();
                merged.set(INSTANCE, MERGED);
                if let Some(id) = &manifest.id {
                    merged.set(RUN, id);
                }
                if labels.get(SHARD).is_some() {
                    merged.set(SHARD, WHOLE);
                }
                sums.entry(merged.build()).or_default().push((part, series));
            } else if let Entry::Vacant(free) = others.entry(labels.clone()) {
                free.insert((part, series));
            }
        }
        describe(run, &mut draft.store);
    }
    let mut plan = BTreeMap::new();
    for (labels, parts) in sums {
        let columns = parts.iter().map(|(part, s)| column(&opened[*part], &**s));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        if plan::is_plan(&labels) {
            let of_parts: Vec<_> = parts.iter().map(|(part, _)| *part).zip(columns).collect();
            plan.insert(labels, of_parts);
            continue;
        }
        sum::write(&labels, &columns, &mut draft.store)?;
    }
    plan::write(&plan, &mut draft.store)?;
    for (labels, (part, series)) in others {
        let column = column(&opened[part], &*series)?;
        sum::copy(&labels, &column, &mut draft.store)?;
    }
    let first = runs.first().cloned().unwrap_or_default();
    let done = draft.finish(|_| manifest, &first)?;
    for folder in ["rules", "sla"] {
        copy_files(&first.join(folder), &done.dir.join(folder))?;
    }
    let joined = |file: &str, result: io::Result<()>| {
        let failed = |source| ImportError::Io { path: done.dir.join(file), action: "write", source };
        result.map_err(|e| MergeError::Write(failed(e)))
    };
    joined(failures::FILE_NAME, failures::join(runs, &done.dir))?;
    joined(traces::FILE_NAME, traces::join(runs, &done.dir))?;
    Ok(Merged { dir: done.dir, manifest: done.manifest, stats: done.stats, warnings })
}

/// Copies a folder of files, if it is there: what the parts were to be judged by, the whole is.
fn copy_files(from: &Path, to: &Path) -> Result<(), MergeError> {
    let failed = |path: &Path, source| {
        MergeError::Write(ImportError::Io { path: path.to_owned(), action: "copy", source })
    };
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to).map_err(|e| failed(to, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| failed(from, e))?;
        fs::copy(entry.path(), to.join(entry.file_name())).map_err(|e| failed(&entry.path(), e))?;
    }
    Ok(())
}

fn column(run: &Run, series: &dyn Series) -> Result<Column, MergeError> {
    let mut column = Column::default();
    series.read(i64::MIN, i64::MAX, &mut column).map_err(|e| unreadable(run, e))?;
    Ok(column)
}

/// Keeps what the run knows of its metric families.
fn describe(run: &Run, store: &mut Store) {
    for name in run.database.label_values(assay_model::METRIC_NAME, &[]).unwrap_or_default() {
        if let Some(metadata) = run.database.metadata(&name) {
            store.describe(&name, &metadata);
        }
    }
}

fn unreadable(run: &Run, source: QueryError) -> MergeError {
    MergeError::Read { path: run.path.clone(), source }
}

#[cfg(test)]
mod tests;
