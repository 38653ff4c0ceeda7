//! Baselines as files, several runs a side, and relative limits by them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use assay_run::Manifest;
use assay_testkit::files::copy;
use assay_verdict::{
    compare::{Change, CompareOptions, Comparison, compare},
    verdict::Status,
};

use crate::{
    cli::ruleseval,
    histories::valid,
    recording::{Recording, Trouble, root, rules, sla},
};

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn errors(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A baseline file of runs, next to the first.
fn baseline(runs: &[&Recording]) -> PathBuf {
    let paths: Vec<PathBuf> = runs.iter().map(|r| r.path()).collect();
    baseline_at(&paths, &runs[0].place("baseline.yaml"))
}

fn baseline_at(runs: &[PathBuf], file: &Path) -> PathBuf {
    let runs: Vec<String> = runs.iter().map(|r| text(r)).collect();
    let (sla, rules, output) = (text(&sla()), rules(), text(file));
    let mut arguments = vec!["baseline", "--by", "me", "--output", &output, "--rules", &rules];
    // Options that take several values end at the next one.
    arguments.extend(["--sla", &sla, "--"]);
    arguments.extend(runs.iter().map(String::as_str));
    let out = ruleseval(&arguments);
    assert_eq!(out.status.code(), Some(0), "{}", errors(&out));
    file.to_owned()
}

fn compared(base: &Path, new: &Path) -> Comparison {
    compare(&CompareOptions { slas: vec![sla()], ..CompareOptions::new(base, new) }).expect("compares")
}

#[test]
fn a_baseline_file_decides_as_its_run_does() {
    let base = Recording::new(Trouble::default());
    let slow = Recording::new(Trouble { slow_peak: true, seed: 3, ..Trouble::default() });
    let file = baseline(&[&base]);
    let (by_file, by_run) = (compared(&file, &slow.path()), compared(&base.path(), &slow.path()));
    assert_eq!((by_file.status, by_run.status), (Status::Fail, Status::Fail));
    assert_eq!(by_file.rows.len(), by_run.rows.len());
    valid("comparison", &serde_json::to_value(&by_file).expect("is JSON"));
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-5 * a.abs().max(1e-9),
        (a, b) => a == b,
    };
    for (a, b) in by_file.rows.iter().zip(&by_run.rows) {
        assert_eq!(
            (&a.name, &a.phase, &a.labels, a.change, a.runs, a.batches),
            (&b.name, &b.phase, &b.labels, b.change, b.runs, b.batches)
        );
        assert!(near(a.base, b.base) && near(a.new, b.new) && near(a.matters, b.matters), "{a:?}\n{b:?}");
    }
    // Either side may be a file, and both: what is measured is then what the new one has.
    let new = baseline(&[&slow]);
    for (base, new) in [(base.path(), new.clone()), (file, new)] {
        let found = compare(&CompareOptions::new(base, new)).expect("compares");
        assert_eq!((found.status, found.rows.len()), (Status::Fail, by_run.rows.len()));
    }
}

#[test]
fn the_file_describes_what_was_measured() {
    let base = Recording::new(Trouble::default());
    let read = fs::read_to_string(baseline(&[&base])).expect("reads");
    let document = assay_yaml::Document::parse("b.yaml", read).expect("is YAML").root().to_json();
    valid("baseline", &document);
    assert_eq!(document["metadata"]["measured_by"], "me");
    assert_eq!(document["metadata"]["verdict"], "pass");
    assert_eq!(document["components"][0]["name"], "generate");
    assert_eq!(document["scenarios"][0]["steps"][0]["name"], "query");
    assert_eq!(document["scaling"][1]["phase"], "peak");
    assert!(document["resources"].as_array().is_some_and(|rows| rows.len() > 5), "{}", document["resources"]);
}

#[test]
fn what_differs_from_run_to_run_counts_with_several_runs() {
    let all: Vec<Recording> =
        (0..3).map(|seed| Recording::new(Trouble { seed, ..Trouble::default() })).collect();
    let slow: Vec<Recording> =
        (3..6).map(|seed| Recording::new(Trouble { slow_peak: true, seed, ..Trouble::default() })).collect();
    let file = baseline(&all.iter().collect::<Vec<_>>());
    let runs = |list: &[Recording]| list.iter().map(Recording::path).collect::<Vec<_>>();
    let options = |base: Vec<PathBuf>, new: Vec<PathBuf>| CompareOptions {
        base,
        new,
        slas: vec![sla()],
        ..CompareOptions::new("", "")
    };
    for base in [vec![file], runs(&all)] {
        let worse = compare(&options(base.clone(), runs(&slow))).expect("compares");
        let row = worse
            .rows
            .iter()
            .find(|r| r.name == "Query latency p99" && r.phase.as_deref() == Some("peak"))
            .expect("is there");
        assert_eq!((row.change, row.runs), (Change::Regression, (3, 3)));
        assert_eq!((worse.base.len(), worse.new.len()), (3, 3));
        let same = compare(&options(base, runs(&all[..2]))).expect("compares");
        assert_ne!(same.status, Status::Fail);
    }
    let out = ruleseval(&[
        "compare",
        &text(&all[0].path()),
        &text(&slow[0].path()),
        "--sla",
        &text(&sla()),
        "--base",
        &text(&all[1].path()),
        &text(&all[2].path()),
        "--new",
        &text(&slow[1].path()),
        "--junit",
        &text(&all[0].place("c.xml")),
        "--html",
        &text(&all[0].place("c.html")),
    ]);
    assert_eq!(out.status.code(), Some(1), "{}", errors(&out));
    assert!(String::from_utf8_lossy(&out.stdout).contains("(2 runs against 3 runs)"));
    for file in ["c.xml", "c.html"] {
        assert!(
            fs::read_to_string(all[0].place(file)).expect("reads").contains("Query latency p99"),
            "{file}"
        );
    }
}

#[test]
fn a_relative_limit_is_judged_by_a_baseline_file_and_never_without() {
    let base = Recording::new(Trouble::default());
    let file = text(&baseline(&[&base]));
    let limits = base.place("relative.yml");
    fs::write(
        &limits,
        "sla: clinical-rag\njudge: {phases: [peak], fail_on_alerts: []}\nobjectives:\n  - name: Query latency p99\n    unit: s\n    \
         require: histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 50\n    relative: {max: +10%}\n",
    )
    .expect("writes");
    let slow = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let same = Recording::new(Trouble { seed: 5, ..Trouble::default() });
    let check = |run: &Recording, baseline: &[&str], code: i32, says: &str| {
        let run = text(&run.path());
        let limits = text(&limits);
        let mut arguments = vec!["eval", &run, "--sla", &limits, "--json", "-"];
        arguments.extend(baseline);
        let out = ruleseval(&arguments);
        let json = String::from_utf8_lossy(&out.stdout).into_owned();
        assert_eq!(out.status.code(), Some(code), "{json}{}", errors(&out));
        assert!(json.contains(says), "{says:?} is not in {json}");
    };
    check(&same, &["--baseline", &file], 0, "Query latency p99 against the baseline");
    check(&slow, &["--baseline", &file], 1, "the baseline 1.");
    check(&same, &[], 3, "not judged: no baseline is given");
    // One that does not know the objective decides nothing.
    let other = text(&base.place("other.yaml"));
    let renamed = fs::read_to_string(&file).expect("reads").replace("name: Query latency p99", "name: Other");
    fs::write(&other, renamed).expect("writes");
    check(&same, &["--baseline", &other], 3, "has no value for it");
}

#[test]
fn a_value_that_is_no_number_decides_nothing() {
    let base = Recording::new(Trouble::default());
    let limits = text(&base.place("no-number.yml"));
    fs::write(
        &limits,
        "sla: clinical-rag\njudge: {phases: [peak], fail_on_alerts: []}\nobjectives:\n  - name: Broken\n    unit: s\n    \
         require: 0 / (0 * sum(load_users)) < 50\n    relative: {max: +10%}\n",
    )
    .expect("writes");
    let (run, file) = (text(&base.path()), text(&base.place("no-number.yaml")));
    let check = |arguments: &[&str], code: i32, says: &str| {
        let out = ruleseval(&[arguments, &["--sla", &limits]].concat());
        let all = String::from_utf8_lossy(&out.stdout).into_owned() + &errors(&out);
        assert_eq!(out.status.code(), Some(code), "{all}");
        assert!(all.contains(says), "{says:?} is not in {all}");
    };
    check(&["baseline", &run, "--output", &file], 0, "");
    assert!(fs::read_to_string(&file).expect("reads").contains("name: Broken"));
    check(&["eval", &run, "--baseline", &file, "--json", "-"], 3, "no-number.yaml has no value for it");
    check(&["compare", &file, &run], 3, "neither side has data");
}

#[test]
fn a_run_with_one_sample_is_measured_and_decides_nothing() {
    let base = Recording::new(Trouble::default());
    let one = Recording::new(Trouble { killed_after_s: Some(0), ..Trouble::default() });
    let (whole, file) = (baseline(&[&base]), baseline(&[&one]));
    for (base, new) in [(&whole, &one.path()), (&whole, &file), (&file, &base.path())] {
        let found = compare(&CompareOptions { force: true, ..CompareOptions::new(base, new) });
        let found = found.expect("compares");
        assert_eq!(found.status, Status::Inconclusive, "{} and {}", base.display(), new.display());
        assert!(found.rows.iter().all(|r| r.p.is_none()), "{:?}", found.rows);
        assert!(found.warnings.iter().any(|w| w.contains("did not run to its end")), "{:?}", found.warnings);
    }
    let (run, sla, rules, file) = (text(&base.path()), text(&sla()), rules(), text(&file));
    let arguments = ["eval", &run, "--sla", &sla, "--rules", &rules, "--baseline", &file, "--json", "-"];
    let out = ruleseval(&arguments);
    let all = String::from_utf8_lossy(&out.stdout).into_owned() + &errors(&out);
    assert!(all.contains("yaml: run did not run to its end"), "{:?}: {all}", out.status.code());
}

/// A copy of a run whose manifest is changed.
fn changed(run: &Recording, name: &str, change: impl FnOnce(&mut Manifest)) -> PathBuf {
    let path = run.place(name);
    copy(&run.path(), &path).expect("copies");
    let mut manifest = Manifest::read(&path).expect("reads");
    change(&mut manifest);
    manifest.write(&path).expect("writes");
    path
}

#[test]
fn what_makes_a_comparison_doubtful_is_said() {
    let base = Recording::new(Trouble::default());
    let file = baseline(&[&base]);
    let check = |base: &Path, new: &Path, code: i32, says: &str| {
        let out = ruleseval(&["compare", &text(base), &text(new), "--sla", &text(&sla())]);
        let all = String::from_utf8_lossy(&out.stdout).into_owned() + &errors(&out);
        assert_eq!(out.status.code(), Some(code), "{all}");
        assert!(all.contains(says), "{says:?} is not in {all}");
    };
    let other = changed(&base, "other", |m| m.scenario = "checkout".to_owned());
    check(&file, &other, 2, "different scenarios, clinical-rag and checkout; --force");
    let machine = changed(&base, "machine", |m| {
        m.host = Some(assay_run::host::Host { cpus: 96, memory_bytes: 1 << 40, ..Default::default() });
    });
    let twice = baseline_at(std::slice::from_ref(&machine), &base.place("machine.yaml"));
    check(
        &twice,
        &changed(&base, "small", |m| {
            m.host = Some(assay_run::host::Host { cpus: 2, memory_bytes: 1 << 30, ..Default::default() });
        }),
        0,
        "different numbers of processors, 96 and 2",
    );
    // A run that was killed has no peak: it is compared as far as it went.
    let killed = Recording::new(Trouble { killed_after_s: Some(50), ..Trouble::default() });
    check(&file, &killed.path(), 3, "did not run to its end");
    check(&file, &killed.path(), 3, "the new run has no phase peak");
    check(&file, &killed.path(), 3, "Query latency p99 in peak");
    let broken = base.place("broken.yaml");
    check(&killed.path(), &base.path(), 0, "the baseline has no phase peak");
    fs::write(&broken, "format_version: 1\nmetadata: {scenario: [\n").expect("writes");
    check(&broken, &base.path(), 2, "broken.yaml:3:1: ");
    let mut read = fs::read_to_string(&file).expect("reads");
    read.insert(read.rfind("value: ").expect("has a value") + "value: ".len(), 'x');
    fs::write(&broken, read).expect("writes");
    check(&broken, &base.path(), 2, ": expected a number, found \"x");
    check(&base.place("none.yaml"), &base.path(), 2, "there is no such");
    // Made of runs that are not of the same.
    let out = ruleseval(&["baseline", &text(&base.path()), &text(&other)]);
    assert_eq!(out.status.code(), Some(2));
    assert!(errors(&out).contains("are not runs of the same"), "{}", errors(&out));
}

#[test]
#[cfg(unix)]
fn the_commands_of_the_guide_run() {
    let recordings = [0, 1].map(|seed| Recording::new(Trouble { seed, ..Trouble::default() }));
    let dir = tempfile::tempdir().expect("a directory");
    for (i, day) in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"].iter().enumerate() {
        let run = dir.path().join("runs").join(day);
        copy(&recordings[i % 2].path(), &run).expect("copies");
        fs::create_dir(run.join("sla")).expect("makes");
        fs::copy(sla(), run.join("sla/sla.yml")).expect("copies");
        copy(&root().join("prometheus/rules"), &run.join("rules")).expect("copies");
    }
    let page = fs::read_to_string(root().join("docs/history.md")).expect("reads");
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|b| b.strip_prefix("sh\n"));
    let is_ours = |line: &&str| line.starts_with("ruleseval ") && !line.starts_with("ruleseval serve");
    let mut count = 0;
    for line in blocks.flat_map(str::lines).filter(is_ours) {
        let program = format!("'{}'", env!("CARGO_BIN_EXE_ruleseval"));
        let command = line.replacen("ruleseval", &program, 1);
        let out = Command::new("sh").args(["-c", &command]).current_dir(dir.path()).output().expect("starts");
        assert!(matches!(out.status.code(), Some(0 | 1 | 3)), "{line}: {}", errors(&out));
        count += 1;
    }
    assert!(count >= 6, "{count} commands");
    for file in [
        "baseline.yaml",
        "comparison.md",
        "comparison.xml",
        "comparison.html",
        "history.html",
        "history.json",
    ] {
        assert!(dir.path().join(file).is_file(), "{file} was not written");
    }
}
