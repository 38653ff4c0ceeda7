//! Which files a log has. Invariant: segments come in ascending order without a gap.

use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

/// A segment file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) index: u64,
    pub(crate) path: PathBuf,
}

/// The name of a log's segment. The format's description says six digits; Prometheus looks for eight.
pub(crate) fn file_name(index: u64) -> String {
    format!("{index:08}")
}

/// The segments of a log, ascending; none where the directory does not exist.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>> {
    let mut found: Vec<_> = names(dir)?
        .into_iter()
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|name| Some(Segment { index: name.parse().ok()?, path: dir.join(name) }))
        .collect();
    found.sort_by_key(|s| s.index);
    for pair in found.windows(2) {
        if pair[0].index + 1 != pair[1].index {
            let what =
                format!("segment {} is missing, expected it before {}", pair[0].index + 1, pair[1].index);
            return Err(Error::Directory { path: dir.to_owned(), what: what.into() });
        }
    }
    Ok(found)
}

/// The newest checkpoint: its directory and the index of the last segment that it replaces.
pub(crate) fn last_checkpoint(dir: &Path) -> Result<Option<(PathBuf, u64)>> {
    let checkpoints = names(dir)?.into_iter().filter_map(|name| {
        let index: u64 = name.strip_prefix("checkpoint.")?.parse().ok()?;
        Some((dir.join(name), index))
    });
    Ok(checkpoints.max_by_key(|(_, index)| *index))
}

/// The newest snapshot of head chunks (`chunk_snapshot.SEGMENT.OFFSET`), with the place in the log up to
/// which it holds everything.
pub(crate) fn last_snapshot(dir: &Path) -> Result<Option<(PathBuf, u64, u64)>> {
    let snapshots = names(dir)?.into_iter().filter_map(|name| {
        let (segment, offset) = name.strip_prefix("chunk_snapshot.")?.split_once('.')?;
        Some((dir.join(&name), segment.parse().ok()?, offset.parse().ok()?))
    });
    Ok(snapshots.max_by_key(|(_, segment, offset)| (*segment, *offset)))
}

/// The names in a directory; none where it does not exist.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context("list", dir),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.context("list", dir)?.file_name().into_string().ok());
    }
    Ok(names)
}
