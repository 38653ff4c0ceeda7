//! `failures.jsonl`: the first examples of what failed, a line of JSON each, in the order of time.
//!
//! | key | holds |
//! |---|---|
//! | `time` | when the request ended, RFC 3339 in UTC |
//! | `phase`, `step` | where |
//! | `class` | the value of the label `error_type` |
//! | `status` | HTTP's, left out if there was no answer |
//! | `message` | what was seen |
//! | `body` | the beginning of the answer, left out if none was kept |
//!
//! Invariant: a reader takes every line that is one and passes over the others, so that a file that was cut short is readable.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{manifest::create_private, time};

/// The name of the file.
pub const FILE_NAME: &str = "failures.jsonl";
/// How many examples there are of a class and step.
pub const EACH: u32 = 3;
/// How much of the file is read.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The phase.
    pub phase: String,
    /// The step.
    pub step: String,
    /// How it failed, as the label `error_type` has it.
    pub class: String,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What was seen.
    pub message: String,
    /// The beginning of the answer; may be empty.
    pub body: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(rename = "time", with = "time::rfc3339")]
    at_ms: i64,
    phase: String,
    step: String,
    class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    body: String,
}

impl Failure {
    /// Its line in the file, with the line's end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { at_ms, phase, step, class, status, message, body } = self.clone();
        let line = Line { at_ms, phase, step, class, status, message, body };
        serde_json::to_string(&line).map_or_else(|_| String::new(), |text| text + "\n")
    }

    fn of_line(text: &str) -> Option<Self> {
        let Line { at_ms, phase, step, class, status, message, body } = serde_json::from_str(text).ok()?;
        Some(Self { at_ms, phase, step, class, status, message, body })
    }
}

/// The examples of a run, by time; none if it has no such file.
#[must_use]
pub fn read(run: &Path) -> Vec<Failure> {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(run.join(FILE_NAME)) {
        // What was read before an error is there all the same.
        let _ = file.take(MOST_BYTES as u64).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut list: Vec<Failure> = text.lines().filter_map(Failure::of_line).collect();
    list.sort_by_key(|f| f.at_ms);
    list
}

/// Writes the examples of several runs as those of one: of each class and step the first [`EACH`] of all. No examples make no file.
///
/// # Errors
/// If the file cannot be written.
pub fn join(runs: &[impl AsRef<Path>], into: &Path) -> io::Result<()> {
    let mut all: Vec<Failure> = runs.iter().flat_map(|run| read(run.as_ref())).collect();
    all.sort_by_key(|f| f.at_ms);
    let mut taken: BTreeMap<(String, String), u32> = BTreeMap::new();
    all.retain(|f| {
        let count = taken.entry((f.step.clone(), f.class.clone())).or_default();
        *count += 1;
        *count <= EACH
    });
    if all.is_empty() {
        return Ok(());
    }
    let text: String = all.iter().map(Failure::to_line).collect();
    create_private(&into.join(FILE_NAME))?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_whole_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let failure = Failure {
            at_ms: 1_700_000_000_250,
            phase: "steady".to_owned(),
            step: "query".to_owned(),
            class: "503".to_owned(),
            status: Some(503),
            message: "unexpected \"status\" 503".to_owned(),
            body: "a\nb".to_owned(),
        };
        let early = Failure { at_ms: 1, status: None, body: String::new(), ..failure.clone() };
        let text = failure.to_line() + "{}\n\u{fffd}\n" + &early.to_line() + "{\"time\": \"2023";
        fs::write(dir.path().join(FILE_NAME), text).expect("writes");
        assert_eq!(read(dir.path()), [early, failure]);
        assert!(read(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn of_several_runs_the_first_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let failure = |at_ms: i64, class: &str| Failure {
            at_ms,
            phase: "steady".to_owned(),
            step: "query".to_owned(),
            class: class.to_owned(),
            status: None,
            message: String::new(),
            body: String::new(),
        };
        let run = |name: &str, list: &[Failure]| {
            let path = dir.path().join(name);
            fs::create_dir(&path).expect("makes");
            let text: String = list.iter().map(Failure::to_line).collect();
            fs::write(path.join(FILE_NAME), text).expect("writes");
            path
        };
        let first = run("a", &[failure(1, "503"), failure(5, "503"), failure(9, "503")]);
        let second = run("b", &[failure(2, "503"), failure(3, "timeout"), failure(8, "503")]);
        let none = dir.path().join("c");
        fs::create_dir(&none).expect("makes");
        join(&[first, second, none.clone()], dir.path()).expect("writes");
        let of = |f: &Failure| (f.at_ms, f.class.clone());
        let want = [(1, "503"), (2, "503"), (3, "timeout"), (5, "503")].map(|(t, c)| (t, c.to_owned()));
        assert_eq!(read(dir.path()).iter().map(of).collect::<Vec<_>>(), want);
        let empty = dir.path().join("empty");
        fs::create_dir(&empty).expect("makes");
        join(&[none], &empty).expect("nothing to do");
        assert!(!empty.join(FILE_NAME).exists());
    }
}
