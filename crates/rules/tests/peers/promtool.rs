//! Unit tests of rules: the same verdict as promtool, case by case.

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_rules::unittest::{TestOptions, run_tests};

use crate::{peer, scenarios};

/// The verdicts on one file: `None` where it could not be run, else by case.
type Verdicts = Option<BTreeMap<String, bool>>;

/// What promtool says of test files.
fn promtool(binary: &Path, files: &[String], dir: &Path, run: Option<&str>) -> Vec<Verdicts> {
    let report = dir.join("junit.xml");
    let mut command = Command::new(binary);
    command.arg("test").arg("--junit").arg(&report).arg("rules");
    if let Some(run) = run {
        command.arg("--run").arg(run);
    }
    let output = command.args(files).output().expect("promtool starts");
    let xml = std::fs::read_to_string(&report).expect("promtool writes its report");
    let suites: Vec<&str> = xml.split("<testsuite ").skip(1).collect();
    assert_eq!(suites.len(), files.len(), "{}", String::from_utf8_lossy(&output.stderr));
    suites.into_iter().map(suite).collect()
}

fn suite(xml: &str) -> Verdicts {
    let head = xml.split('>').next().unwrap_or_default();
    if !head.contains("errors=\"0\"") {
        return None;
    }
    let case = |text: &str| {
        let name = text.split('"').nth(1).unwrap_or_default().to_owned();
        let body = text.split("</testcase>").next().unwrap_or_default();
        (name, !body.contains("<failure"))
    };
    Some(xml.split("<testcase ").skip(1).map(case).collect())
}

fn ours(files: &[String], options: &TestOptions) -> Vec<Verdicts> {
    let report = run_tests(files, options);
    let verdicts = |file: &assay_rules::unittest::FileReport| match &file.aborted {
        Some(_) => None,
        None => Some(file.cases.iter().map(|c| (c.name.clone(), c.failures.is_empty())).collect()),
    };
    report.files.iter().map(verdicts).collect()
}

/// Prints what both say of a case on which they differ, and panics.
fn compare(binary: &Path, files: &[String], dir: &Path, run: Option<&str>) -> (usize, usize, usize) {
    let options =
        TestOptions { run: run.map(|r| regex::Regex::new(r).expect("compiles")), ..TestOptions::default() };
    let (theirs, ours) = (promtool(binary, files, dir, run), ours(files, &options));
    let (mut passed, mut failed, mut aborted) = (0, 0, 0);
    let mut differing = Vec::new();
    for ((file, theirs), ours) in files.iter().zip(&theirs).zip(&ours) {
        if theirs != ours {
            let report = run_tests(&[file], &options);
            differing.push(format!(
                "{file}\npromtool: {theirs:?}\nours: {ours:?}\n{:?}\n{:?}",
                report.files[0].aborted, report.files[0].cases
            ));
        }
        match ours {
            None => aborted += 1,
            Some(cases) => {
                passed += cases.values().filter(|p| **p).count();
                failed += cases.values().filter(|p| !**p).count();
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
    (passed, failed, aborted)
}

#[test]
fn the_same_verdict_on_generated_tests() {
    let Some(binary) = peer("promtool") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut files = Vec::new();
    for (i, scenario) in scenarios::all().iter().enumerate() {
        let path = |kind: &str| dir.path().join(format!("{i:03}-{}.{kind}.yml", scenario.name));
        if let Some(rules) = &scenario.rules {
            std::fs::write(path("rules"), rules).expect("written");
        }
        let name = path("rules").file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        std::fs::write(path("test"), scenario.test.replace("RULES", &name)).expect("written");
        files.push(path("test").display().to_string());
    }
    let (passed, failed, aborted) = compare(&binary, &files, dir.path(), None);
    eprintln!("{} files, {passed} cases passed, {failed} failed, {aborted} files refused", files.len());
    assert!(passed > 100 && failed > 100 && aborted > 10, "{passed} {failed} {aborted}");
    // Names choose cases, as regular expressions that match anywhere.
    for run in ["none", "^t1", "firing$|t3"] {
        compare(&binary, &files[..4], dir.path(), Some(run));
    }
}

#[test]
fn the_same_verdict_on_the_tests_of_the_shipped_rules() {
    let Some(binary) = peer("promtool") else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../prometheus/tests");
    let mut files: Vec<String> = std::fs::read_dir(&tests)
        .expect("the shipped tests")
        .map(|e| e.expect("an entry").path().display().to_string())
        .collect();
    files.sort();
    let dir = tempfile::tempdir().expect("a directory");
    let (passed, failed, aborted) = compare(&binary, &files, dir.path(), None);
    assert!(passed > 0 && failed == 0 && aborted == 0, "{passed} {failed} {aborted}");
}
