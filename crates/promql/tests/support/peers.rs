//! What the tests need from outside: the shared cases, and a real Prometheus asked over HTTP.
//!
//! Invariant: where something is missing the caller is told, and in CI that is a failure, never a silent pass.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use assay_testkit::http;

/// Every `.test` file of the conformance cases, sorted.
pub(crate) fn test_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<_> = entries.map(|e| e.expect("a directory entry").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "test"));
    files.sort();
    files
}

/// The expressions of all `eval` lines, each once.
pub(crate) fn expressions(dir: &Path) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for file in test_files(dir) {
        let text = std::fs::read_to_string(&file).expect("a readable case file");
        found.extend(text.lines().filter_map(|l| expression(l.trim())).map(str::to_owned));
    }
    found.into_iter().collect()
}

fn expression(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("eval")?;
    let rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    let skip = |text: &'static str| move |r: &str| r.starts_with(text);
    let words = match rest {
        r if skip("instant")(r) => 3,
        r if skip("range")(r) => 7,
        _ => return None,
    };
    let mut rest = rest;
    for _ in 0..words {
        rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    }
    Some(rest)
}

/// A Prometheus with the language's feature flags on.
pub(crate) struct Prometheus {
    server: assay_testkit::Prometheus,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts the server over a data directory, or an empty one; `None` without peers.
    pub(crate) fn start(data: Option<&Path>) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let own = dir.path().join("data");
        let config = "global: {scrape_interval: 1h}\n";
        let features = "--enable-feature=promql-experimental-functions,promql-duration-expr";
        let flags = [features, "--query.lookback-delta=5m"];
        let server = assay_testkit::Prometheus::start(data.unwrap_or(&own), config, &flags)?;
        Some(Self { server, _dir: dir })
    }

    /// The status and body of a POST with form values.
    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let pairs: Vec<_> = form.iter().map(|(k, v)| format!("{k}={}", http::encode(v))).collect();
        let answer = http::post_form(self.server.address(), path, &pairs.join("&")).expect("answers");
        (answer.status, answer.text())
    }
}
