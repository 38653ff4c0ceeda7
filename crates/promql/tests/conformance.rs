//! The conformance cases of Prometheus 3.13, and our own.
//!
//! Invariant: every evaluation of every file gives what it should; none is left out.

#[path = "support/peers.rs"]
mod peers;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use assay_promql::{Engine, EngineOptions, ast::Function, promqltest};

/// Our own cases.
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");

/// How many evaluations the cases of Prometheus 3.13.2 have.
const EVALUATIONS: usize = 2_183;

/// Runs files, and gives the number of evaluations that passed.
fn run(files: &[PathBuf]) -> usize {
    let engine = Engine::new(EngineOptions::default());
    let (mut passed, mut failures) = (0, Vec::new());
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        match promqltest::run(&text, &engine) {
            Ok(report) => {
                passed += report.passed;
                failures.extend(
                    report.failures.iter().map(|f| format!("{name}:{}: {}: {}", f.line, f.what, f.message)),
                );
            }
            Err(errors) => failures.extend(errors.iter().map(|e| format!("{name}:{e}"))),
        }
    }
    assert!(failures.is_empty(), "{passed} passed, {} failed:\n{}", failures.len(), failures.join("\n"));
    passed
}

#[test]
fn all_cases_of_prometheus_pass() {
    let Some(data) = assay_testkit::data("promqltest") else { return };
    assert_eq!(run(&peers::test_files(&data)), EVALUATIONS);
}

/// Where the cases of Prometheus 3.14 are that this engine, which follows 3.13, does not pass, and why.
const NEWER: [(&str, usize, &str); 3] = [
    ("functions.test", 1, "mad_over_time of a range with a NaN is NaN"),
    ("operators.test", 1, "errors about duplicates write the metric's name as a label"),
    (
        "start_timestamps.test",
        16,
        "rates over start timestamps are extrapolated otherwise, and histograms have them too",
    ),
];

/// With `ASSAY_PROMQLTEST` set to the `promql/promqltest/testdata` of Prometheus 3.14.
#[test]
fn cases_of_a_newer_version_pass_but_for_the_listed_ones() {
    let Some(dir) = std::env::var_os("ASSAY_PROMQLTEST") else {
        eprintln!("left out: ASSAY_PROMQLTEST is not set");
        return;
    };
    let engine = Engine::new(EngineOptions::default());
    for file in peers::test_files(Path::new(&dir)) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let report = promqltest::run(&text, &engine).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let listed = NEWER.iter().find(|(of, ..)| *of == name).map_or(0, |(_, count, _)| *count);
        let failed: Vec<_> =
            report.failures.iter().map(|f| format!("{name}:{}: {}: {}", f.line, f.what, f.message)).collect();
        assert_eq!(failed.len(), listed, "{}", failed.join("\n"));
    }
}

#[test]
fn all_cases_of_our_own_pass() {
    assert!(run(&peers::test_files(Path::new(OURS))) > 30);
}

#[test]
fn every_function_has_a_case() {
    let Some(data) = assay_testkit::data("promqltest") else { return };
    let files = [peers::test_files(&data), peers::test_files(Path::new(OURS))].concat();
    let cases: String =
        files.iter().map(|file| std::fs::read_to_string(file).expect("a case file")).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let called: BTreeSet<_> =
        cases.split('(').filter_map(|before| before.trim_end().rsplit(|c| !is_word(c)).next()).collect();
    let without: Vec<_> =
        Function::all().iter().map(|f| f.name).filter(|name| !called.contains(name)).collect();
    assert!(without.is_empty(), "no case in {OURS} calls {without:?}");
}

/// The runner must not pass what is wrong: each of these fails, with the message that says why.
#[test]
fn what_is_wrong_fails() {
    let check = |expectation: &str, message: &str| {
        let text = format!("load 1m\n  up{{i=\"a\"}} 1 2 3\n  up{{i=\"b\"}} 1 2 9\n\n{expectation}\n");
        let report = promqltest::run(&text, &Engine::default()).expect("a script");
        assert_eq!((report.passed, report.failures.len()), (0, 1), "{expectation}");
        let got = &report.failures[0].message;
        assert!(got.contains(message), "{expectation}\n{got}");
    };
    check("eval instant at 1m sum(up)\n  {} 5", "expected 5 for {}, but got 4");
    check("eval instant at 1m up\n  up{i=\"a\"} 2", "unexpected series up{i=\"b\"} with 2");
    check("eval instant at 1m sum(up)\n  {} 4\n  {i=\"c\"} 1", "expected {i=\"c\"}, which is not there");
    check("eval instant at 1m sum(up)\n  {} {{count:4}}", "expected {{count:4}} for {}, but got 4");
    check("eval instant at 1m sum(up)\n  expect fail\n  {} 4", "expected an error, but there was none");
    check("eval instant at 1m up + on () up\n  expect fail msg:nope", "expected the error \"nope\"");
    check(
        "eval instant at 1m sum(up)\n  expect warn\n  {} 4",
        "expected warning annotations, but there are none",
    );
    check(
        "eval instant at 2m rate(up[2m])\n  expect no_info\n  {i=\"a\"} 1\n  {i=\"b\"} 1",
        "unexpected info",
    );
    check("eval instant at 2m sort(up)\n  expect ordered\n  up{i=\"b\"} 9\n  up{i=\"a\"} 3", "position");
    check("eval instant at 1m 1 + 1\n  3", "expected the scalar 3, but got 2");
    check("eval instant at 1m \"a\"\n  expect string \"b\"", "expected the string \"b\"");
    check("eval range from 0 to 2m step 1m sum(up)\n  {} 2 4 11", "but got 2@0 4@60000 12@120000");
    check("eval range from 0 to 1m step 1m sum(up)\n  {} 2 4 12", "more values");
}

/// An annotation stands at the argument that it is about, where Prometheus has it.
#[test]
fn annotations_have_their_place() {
    let mut storage = promqltest::MemStorage::new();
    let metric = promqltest::parse_metric("gauge{le=\"x\"}").expect("a metric");
    for t in 0..5 {
        storage.append(&metric, t * 15_000, t as f64).expect("in order");
    }
    let check = |text: &str, at: &str| {
        let expr = assay_promql::parse(text).expect("an expression");
        let result = Engine::default().instant(&storage, &expr, 60_000).expect("a value");
        let spans: Vec<_> = result.annotations.iter().map(|a| &text[a.span.clone()]).collect();
        assert_eq!(spans, [at], "{text}: {:?}", result.annotations);
    };
    check("1 + quantile_over_time(2, gauge[1m])", "2");
    check("sum(quantile(3, gauge))", "3");
    check("abs(rate(gauge[1m]))", "gauge[1m]");
    check("histogram_quantile(0.5, gauge)", "gauge");
}
