//! Histories of folders: from verdicts, from runs that were not judged, and from baseline files.

use std::{fs, path::Path};

use assay_run::{Manifest, Outcome};
use assay_testkit::files::copy;
use serde_json::Value;

use crate::{
    cli::ruleseval,
    recording::{Recording, T0_MS, Trouble, root, rules, sla},
};

const DAY_MS: i64 = 86_400_000;

/// A folder of judged runs, one a day, with these latencies.
fn folder(latencies: impl Iterator<Item = f64>) -> tempfile::TempDir {
    let recording = Recording::new(Trouble::default());
    let verdict = recording.place("verdict.json").display().to_string();
    let (run, sla, rules) = (recording.path().display().to_string(), sla().display().to_string(), rules());
    let out = ruleseval(&["eval", &run, "--rules", &rules, "--sla", &sla, "--json", &verdict, "--quiet"]);
    assert_eq!(out.status.code(), Some(0));
    let verdict: Value = serde_json::from_str(&fs::read_to_string(verdict).expect("reads")).expect("is JSON");
    let dir = tempfile::tempdir().expect("a directory");
    for (day, latency) in latencies.enumerate() {
        let path = dir.path().join(format!("run-{day:02}"));
        let start_ms = T0_MS + day as i64 * DAY_MS;
        let mut manifest = Manifest::read(&recording.path()).expect("reads");
        manifest.start_ms = start_ms;
        manifest.end_ms = Some(start_ms + 130_000);
        manifest.phases.clear();
        manifest.outcome = Some(Outcome::Finished);
        fs::create_dir(&path).expect("makes");
        manifest.write(&path).expect("writes");
        let mut verdict = verdict.clone();
        for row in verdict["objectives"].as_array_mut().expect("rows") {
            if row["name"] == "Query latency p99" {
                row["value"] = Value::from(latency);
            }
        }
        fs::write(path.join("verdict.json"), verdict.to_string()).expect("writes");
    }
    dir
}

/// A level with a little that is never the same, and a step.
fn stepped(runs: usize, step_at: usize) -> impl Iterator<Item = f64> {
    (0..runs).map(move |run| {
        let noise = ((run * 7) % 11) as f64 / 11.0 - 0.5;
        (1.0 + 0.05 * noise) * if run >= step_at { 1.3 } else { 1.0 }
    })
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let out = ruleseval(arguments);
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr),
    )
}

#[test]
fn a_step_is_found_shown_and_fails_if_asked() {
    let dir = folder(stepped(24, 18));
    let path = dir.path().display().to_string();
    let (json, html) = (format!("{path}/h.json"), format!("{path}/h.html"));
    let (code, text) = run(&["history", &path, "--json", &json, "--html", &html]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("worse by +29.4 % from run-18"), "{text}");
    assert_eq!(run(&["history", &path, "--fail-on-regression"]).0, Some(1));
    assert_eq!(run(&["history", &path, "--fail-on-regression=6"]).0, Some(1));
    assert_eq!(run(&["history", &path, "--fail-on-regression=5"]).0, Some(0), "it is older");
    assert_eq!(run(&["history", &path, "--fail-on-regression", "--min-effect", "50%"]).0, Some(0));
    assert_eq!(run(&["history", &path, "--fail-on-regression", "--newest", "6"]).0, Some(0));
    let document: Value = serde_json::from_str(&fs::read_to_string(&json).expect("reads")).expect("is JSON");
    valid("history", &document);
    let series = document["groups"][0]["series"].as_array().expect("series");
    let changed: Vec<_> =
        series.iter().filter(|s| s["changes"].as_array().is_some_and(|c| !c.is_empty())).collect();
    assert_eq!(changed.len(), 2, "the latency in both phases");
    assert_eq!(changed[0]["changes"][0]["run"], 18);
    let page = fs::read_to_string(&html).expect("reads");
    assert!(page.contains("class=\"mark worse\"") && !page.contains("http"), "{page}");
    // The same again is the same.
    let again = format!("{path}/again.json");
    run(&["history", &path, "--json", &again]);
    assert_eq!(fs::read(&json).expect("reads"), fs::read(&again).expect("reads"));
}

/// Asserts that a document satisfies its published schema, which knows all keys.
pub(crate) fn valid(name: &str, document: &Value) {
    let schema = fs::read_to_string(root().join(format!("docs/{name}.schema.json"))).expect("reads");
    let schema: Value = serde_json::from_str(&schema).expect("is JSON");
    let validator = jsonschema::validator_for(&schema).expect("is a schema");
    let problems: Vec<_> =
        validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let mut broken = document.clone();
    broken["unheard_of"] = Value::from(1);
    assert!(!validator.is_valid(&broken), "the schema must refuse what it does not know");
}

#[test]
fn runs_that_were_not_judged_are_measured_and_others_are_left_out_with_a_note() {
    let one = Recording::new(Trouble::default());
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str| dir.path().join(name);
    copy(&one.path(), &place("with-sla")).expect("copies");
    fs::create_dir(place("with-sla/sla")).expect("makes");
    fs::copy(sla(), place("with-sla/sla/sla.yml")).expect("copies");
    copy(&one.path(), &place("without")).expect("copies");
    let killed = Recording::new(Trouble { killed_after_s: Some(30), ..Trouble::default() });
    copy(&killed.path(), &place("killed")).expect("copies");
    // A baseline that is kept with the runs, and a file that is not one.
    let file = place("baseline.yaml").display().to_string();
    let other = Recording::new(Trouble { seed: 2, ..Trouble::default() });
    let sla = sla().display().to_string();
    let made = run(&[
        "baseline",
        &other.path().display().to_string(),
        "--rules",
        &rules(),
        "--sla",
        &sla,
        "--output",
        &file,
    ]);
    assert_eq!(made.0, Some(0), "{}", made.1);
    fs::write(place("compose.yml"), "services: [").expect("writes");
    let path = dir.path().display().to_string();
    let (code, text) = run(&["history", &path]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "clinical-rag: 2 runs",
        "2 runs: a change shows from about 10 on",
        "killed is left out: it has not ended, or was killed",
        "without is left out: it was not judged and has no SLA: give one with --sla",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let with = run(&["history", &path, "--sla", &sla]);
    assert!(with.1.contains("clinical-rag: 3 runs"), "{}", with.1);
    let broken = fs::read_to_string(&file).expect("reads").replacen("part: objective", "part: x", 1);
    fs::write(&file, broken).expect("writes");
    let (code, text) = run(&["history", &path]);
    assert!(
        code == Some(2) && text.contains("baseline.yaml:") && text.contains("expected objective"),
        "{text}"
    );
}

#[test]
fn a_folder_without_runs_is_bad_input() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |path: &Path, says: &str| {
        let (code, text) = run(&["history", &path.display().to_string()]);
        assert!(code == Some(2) && text.contains(says), "{text}");
    };
    check(dir.path(), "has neither runs nor baseline files");
    check(&dir.path().join("none"), "cannot be read");
}
