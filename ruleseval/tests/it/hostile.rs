//! A run whose labels, annotations and names come from someone who means ill, in every output of every command; and
//! standard outputs that are closed or full.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use assay_model::Labels;
use assay_report::FORMATS;
use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Row};
use assay_testkit::hostile::{HOSTILE, assert_clean};

use crate::{
    cli::ruleseval,
    recording::{Recording, T0_MS, Trouble},
};

const RULES: &str = r#"
groups:
  - name: g
    interval: 5s
    rules:
      - alert: Busy
        expr: m > 1
        for: 5s
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.a }} is busy", description: "{{ $labels.a }}"}
"#;
const SLA: &str = "
sla: s
judge: {phases: [PHASE], fail_on_alerts: [critical]}
objectives:
  - {name: HOSTILE, category: HOSTILE, unit: s, require: m < 1, description: HOSTILE}
";
const TESTS: &str = r#"
rule_files: [rules.yml]
tests:
  - interval: 5s
    name: HOSTILE
    input_series: [{series: 'm{a="x"}', values: 2 2 2 2}]
    alert_rule_test:
      - {eval_time: 15s, alertname: Busy, exp_alerts: [{exp_labels: {severity: critical, a: HOSTILE}}]}
"#;

/// A name by which a phase is found, so without a secret that would be taken out of it.
fn phase() -> &'static str {
    HOSTILE.split(" [g]").next().expect("has a first part")
}

/// The texts in YAML, with the hostile one in the places for it.
fn write(dir: &Path, name: &str, text: &str) -> String {
    let quoted = |text: &str| {
        let json = serde_json::to_string(text).expect("JSON");
        json.replace('\u{7f}', "\\u007f").replace('\u{85}', "\\u0085")
    };
    let path = dir.join(name);
    let text = text.replace("HOSTILE", &quoted(HOSTILE)).replace("PHASE", &quoted(phase()));
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn record(dir: &Path) {
    let recorder =
        Recorder::create(dir, Manifest::new(HOSTILE, T0_MS), &RecorderOptions::default()).expect("begins");
    recorder.phase_started(phase(), false, T0_MS).expect("notes");
    let labels = Labels::from_pairs([("__name__", "m"), ("a", HOSTILE), ("job", "j"), ("instance", "i")]);
    let up = Labels::from_pairs([("__name__", "up"), ("job", "j"), ("instance", "i")]);
    for s in 0..=60 {
        let row = |labels: &Labels, value| Row::float(labels.clone(), T0_MS + s * 1000, value);
        recorder.sink().append(vec![row(&labels, 2.0), row(&up, 1.0)]).expect("takes in");
    }
    recorder.phase_ended(phase(), T0_MS + 60_000).expect("notes");
    let mut done =
        recorder.finish(Outcome::Aborted { reason: HOSTILE.to_owned() }).expect("finishes").manifest;
    done.end_ms = Some(T0_MS + 60_000);
    done.write(dir).expect("writes");
}

#[test]
fn no_output_of_any_command_steers_its_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = dir.path().join("run");
    record(&run);
    let run = run.display().to_string();
    let (rules, sla) = (write(dir.path(), "rules.yml", RULES), write(dir.path(), "sla.yml", SLA));
    let (tests, bad) =
        (write(dir.path(), "tests.yml", TESTS), write(dir.path(), "bad.yml", "HOSTILE: HOSTILE\n"));
    let check = |code: i32, arguments: &[&str]| {
        let out = ruleseval(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
        assert!(
            format!("{stdout}{stderr}").contains("0;title"),
            "{arguments:?} shows nothing of it: {stdout}{stderr}"
        );
        assert_clean(&format!("{arguments:?}"), &stdout);
        assert_clean(&format!("{arguments:?}"), &stderr);
    };
    let eval = ["eval", &run, "--rules", &rules, "--sla", &sla, "--allow-incomplete"];
    check(1, &eval);
    for format in FORMATS {
        check(1, &[&eval[..], &[&format!("--{}", format.name), "-"]].concat());
    }
    check(0, &["backtest", &run, "--rules", &rules]);
    check(0, &["backtest", &run, "--rules", &rules, "--json", "-"]);
    for format in ["table", "csv", "json"] {
        check(0, &["query", &run, "m", "--format", format]);
        check(
            0,
            &[
                "query",
                &run,
                "label_replace(m, \"b\", \"$1\", \"a\", \"(.*)\")",
                "--format",
                format,
                "--step",
                "10s",
            ],
        );
    }
    check(0, &["compare", &run, &run, "--sla", &sla]);
    check(0, &["compare", &run, &run, "--sla", &sla, "--json", "-"]);
    check(1, &["test", &tests]);
    check(1, &["test", &tests, "--diff", "--coverage"]);
    check(1, &["test", &tests, "--junit", "-"]);
    check(2, &["check", &bad]);
    check(2, &["eval", &run, "--rules", &rules, "--sla", &bad]);
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
    let recording = Recording::new(Trouble { killed_after_s: Some(20), ..Trouble::default() });
    let run = recording.path().display().to_string();
    for arguments in [
        &["query", run.as_str(), "{__name__=~\".+\"}"][..],
        &["check", "--list"],
        &["backtest", &run, "--rules", &crate::recording::rules()],
    ] {
        let program = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ruleseval"));
            command.args(arguments).stderr(Stdio::piped());
            command
        };
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let out = program().stdout(writer).output().expect("runs");
        assert_eq!((out.status.code(), out.stderr.is_empty()), (Some(0), true), "{arguments:?}: {out:?}");
        let Some(full) = assay_testkit::files::full() else { continue };
        let out = program().stdout(full).output().expect("runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.starts_with("standard output: No space left on device") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn no_report_has_a_secret_of_the_run_or_of_the_command_line() {
    let recording = Recording::new(Trouble::default());
    let description = recording.path().join("run.json");
    // As a program that took nothing out would have written it.
    let text = std::fs::read_to_string(&description).expect("reads");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["target"] = "http://me:pl4nted@h:1/?token=pl4nted".into();
    manifest["command"] = serde_json::json!(["loadgen", "run", "--scrape", "a=http://me:pl4nted@h/"]);
    manifest["source"] = serde_json::json!(["https://pl4nted@h/prometheus?sig=pl4nted"]);
    std::fs::write(&description, manifest.to_string()).expect("written");
    let (run, sla) = (recording.path().display().to_string(), crate::recording::sla().display().to_string());
    let rules = crate::recording::rules();
    let eval = ["eval", &run, "--rules", &rules, "--sla", &sla, "--header", "X-Scope-OrgID: pl4nted"];
    for format in [None].into_iter().chain(FORMATS.iter().map(|f| Some(f.name))) {
        let option = format.map(|name| [format!("--{name}"), "-".to_owned()]);
        let arguments = option.iter().flatten().map(String::as_str);
        let out = ruleseval(&eval.into_iter().chain(arguments).collect::<Vec<_>>());
        let text = String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(0), "{text}");
        assert!(!text.contains("pl4nted") && out.stderr.is_empty(), "{format:?}: {text}");
        let shows_command = matches!(format, Some("json" | "markdown" | "html"));
        assert!(!shows_command || text.contains("X-Scope-OrgID: xxxxx"), "{format:?}: {text}");
    }
    for url in ["http://me:pl4nted@127.0.0.1:1/?token=pl4nted", "http://me:pl4nted@127.0.0.1:x/"] {
        let at =
            ["eval", "--prometheus", url, "--start", "0", "--end", "60", "--sla", &sla, "--rules", &rules];
        let out = ruleseval(&at);
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && !text.contains("pl4nted"), "{text}");
    }
}
