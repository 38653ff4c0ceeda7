//! Which run a path means. Invariant: a folder of runs means the newest that has ended, and nothing older than was asked
//! for is taken in its place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Manifest, ManifestError, OpenError, manifest, open, time::to_rfc3339};

/// A path that was looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The run.
    pub path: PathBuf,
    /// What should be known of the choice.
    pub note: Option<String>,
}

/// Whether a path is a folder that runs are kept in, which may be empty, and not a run or a data directory itself.
#[must_use]
pub fn is_folder_of_runs(path: &Path) -> bool {
    let is_run = path.join(manifest::FILE_NAME).is_file() || path.join(open::DATA).is_dir();
    path.is_dir() && !is_run && !open::is_data_directory(path)
}

/// The runs of a folder, each with its description, in no order.
pub fn runs(path: &Path) -> impl Iterator<Item = (PathBuf, Result<Manifest, ManifestError>)> {
    let paths = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|run| run.join(manifest::FILE_NAME).is_file()).map(|run| {
        let manifest = Manifest::read(&run);
        (run, manifest)
    })
}

/// The run that a path means: itself, or the newest that has ended of a folder of runs. A run that began before
/// `since_ms` (milliseconds since the Unix epoch) is refused.
///
/// # Errors
/// If the folder has no run that has ended, or the run is too old.
pub fn choose(path: &Path, since_ms: Option<i64>) -> Result<Chosen, OpenError> {
    let fail = |path: &Path, what: String| OpenError::Choice { path: path.to_owned(), what };
    let old = |path: &Path, start_ms: i64| match since_ms {
        Some(since_ms) if start_ms < since_ms => {
            let (start, since) = (to_rfc3339(start_ms), to_rfc3339(since_ms));
            Err(fail(path, format!("began at {start}, before {since} (--since)")))
        }
        _ => Ok(()),
    };
    if path.join(manifest::FILE_NAME).is_file() {
        old(path, Manifest::read(path)?.start_ms)?;
        return Ok(Chosen { path: path.to_owned(), note: None });
    }
    if !is_folder_of_runs(path) {
        // Not a folder of runs: opening it says what it is.
        return Ok(Chosen { path: path.to_owned(), note: None });
    }
    let mut found: Vec<(i64, bool, PathBuf)> = Vec::new();
    for (run, manifest) in runs(path) {
        let manifest = manifest?;
        found.push((manifest.start_ms, manifest.outcome.is_some(), run));
    }
    if found.is_empty() {
        return Ok(Chosen { path: path.to_owned(), note: None });
    }
    found.sort();
    let Some(at) = found.iter().rposition(|(_, has_ended, _)| *has_ended) else {
        return Err(fail(path, format!("none of its {} runs has ended", found.len())));
    };
    let (start_ms, _, chosen) = &found[at];
    old(chosen, *start_ms)?;
    let newer = found.len() - 1 - at;
    let note = (newer > 0).then(|| {
        let newest = found.last().map_or_else(String::new, |r| r.2.display().to_string());
        format!(
            "{} is not the newest run of its folder: {newest} has not ended (it is on, or was killed)",
            chosen.display()
        )
    });
    Ok(Chosen { path: chosen.clone(), note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[test]
    fn the_newest_run_that_has_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let run = |name: &str, start_ms: i64, outcome: Option<Outcome>| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).expect("made");
            let mut manifest = Manifest::new("s", start_ms);
            manifest.outcome = outcome;
            manifest.write(&path).expect("written");
            path
        };
        let old = run("b", 1_000, Some(Outcome::Finished));
        assert_eq!(choose(&old, None).expect("itself").path, old);
        let ended = run("a", 2_000, Some(Outcome::Interrupted));
        assert_eq!(choose(dir.path(), None).expect("chosen"), Chosen { path: ended.clone(), note: None });
        run("c", 3_000, None);
        let chosen = choose(dir.path(), Some(2_000)).expect("chosen");
        assert_eq!(chosen.path, ended);
        assert!(chosen.note.expect("a newer one is there").contains("has not ended"));
        for path in [dir.path(), &ended] {
            let refused = choose(path, Some(2_001)).expect_err("too old").to_string();
            assert!(refused.contains("began at 1970-01-01T00:00:02.000Z, before"), "{refused}");
        }
    }
}
