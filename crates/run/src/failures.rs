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

use std::{fs, io::Read as _, path::Path};

use serde::{Deserialize, Serialize};

use crate::time;

/// The name of the file.
pub const FILE_NAME: &str = "failures.jsonl";
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
}
