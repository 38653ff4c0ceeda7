//! Unit tests of rules, in promtool's format.
//!
//! Source: Prometheus `cmd/promtool/unittest.go` v3.13. Invariant: a test passes here exactly where it passes with
//! promtool, unless an option asks for something that promtool does not have.

mod compare;
mod coverage;
mod read;
mod record;
mod run;

use std::time::Duration;

use assay_promql::EngineOptions;
use assay_yaml::Diagnostics;

pub use coverage::RuleCoverage;
pub use record::{RecordError, RecordOptions, record_test};

/// How to run unit tests.
#[derive(Clone, Debug, Default)]
pub struct TestOptions {
    /// Run only the tests with a name in which this matches.
    pub run: Option<regex::Regex>,
    /// Evaluate a group at its own interval, where it has one. promtool does not.
    pub own_intervals: bool,
    /// Let an expected alert match one that has more labels or annotations. promtool does not.
    pub partial_labels: bool,
    /// How expressions are evaluated.
    pub engine: EngineOptions,
}

/// The outcome of test files.
#[derive(Clone, Debug, Default)]
pub struct TestReport {
    /// The files, in the order given.
    pub files: Vec<FileReport>,
}

/// The outcome of one test file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file, as it was given.
    pub file: String,
    /// Why no test could be run, if none could.
    pub aborted: Option<Diagnostics>,
    /// What is worth saying although it is no failure.
    pub warnings: Vec<String>,
    /// The tests that were run.
    pub cases: Vec<CaseReport>,
    /// The rules of the file's rule files, and what the tests made of them.
    pub coverage: Vec<RuleCoverage>,
}

/// The outcome of one test.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// Its name; `unnamed#N` (from 0) where it has none.
    pub name: String,
    /// What went wrong; empty where it passed.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where in the test file the expectation stands: line and column, from 1.
    pub position: Option<assay_yaml::Position>,
    /// What went wrong, without what was expected.
    pub message: String,
    /// What was expected, a line each, where something was.
    pub expected: Vec<String>,
    /// What was there instead, a line each.
    pub got: Vec<String>,
}

impl TestReport {
    /// Whether every file could be run and every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.files.iter().all(FileReport::passed)
    }
}

impl FileReport {
    /// Whether the file could be run and every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.aborted.is_none() && self.cases.iter().all(|c| c.failures.is_empty())
    }
}

impl Failure {
    fn plain(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into(), expected: Vec::new(), got: Vec::new() }
    }

    /// What was expected and what was there as one list of lines: those with `-` were expected and missing, those
    /// with `+` were there and not expected.
    #[must_use]
    pub fn diff(&self) -> Vec<String> {
        compare::diff(&self.expected, &self.got)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if self.expected.is_empty() && self.got.is_empty() {
            return Ok(());
        }
        for (title, lines) in [("exp", &self.expected), ("got", &self.got)] {
            write!(f, "\n    {title}:")?;
            if lines.is_empty() {
                f.write_str(" nothing")?;
            }
            for line in lines {
                write!(f, "\n        {line}")?;
            }
        }
        Ok(())
    }
}

/// Runs test files.
#[must_use]
pub fn run_tests<P: AsRef<str>>(files: &[P], options: &TestOptions) -> TestReport {
    let run = |file: &P| run::file(file.as_ref(), options);
    TestReport { files: files.iter().map(run).collect() }
}
