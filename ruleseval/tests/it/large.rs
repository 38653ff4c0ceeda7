//! Very many series, and runs of a day: reports, baselines, comparisons and histories of them. Invariant: each command has a bounded
//! address space, so that one that takes memory without bound fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use assay_model::{ExponentialHistogram, Labels};
use assay_run::{Manifest, Outcome, Phase, PhaseOutcome};
use assay_tsdb::{Head, HeadOptions};
use serde_json::Value;

use crate::recording::T0_MS;

/// What any of the commands may take, in KiB of address space.
const MOST_KIB: u32 = 2_000_000;

/// A run of so many seconds with a sample every so often, and so many queues of the service.
fn record(dir: &Path, seconds: i64, step_s: i64, queues: usize, factor: f64) {
    let mut head = Head::create(&dir.join("data"), HeadOptions::default()).expect("begins");
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let service = |name: &str, queue: &str| {
        labels(&[("__name__", name), ("job", "app"), ("instance", "a"), ("queue", queue)])
    };
    let load = |name: &str| {
        labels(&[
            ("__name__", name),
            ("job", "loadgen"),
            ("instance", "l"),
            ("load_step", "query"),
            ("load_phase", "main"),
        ])
    };
    let series: Vec<_> = (0..queues).map(|i| service("app_queue_seconds", &format!("q{i}"))).collect();
    let (mut times, mut state) = (ExponentialHistogram::new(160), 7u64);
    for s in (0..=seconds).step_by(usize::try_from(step_s).expect("positive")) {
        let t_ms = T0_MS + s * 1000;
        for _ in 0..20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            times.record(factor * (0.2 + 0.1 * ((state >> 11) as f64 / (1u64 << 53) as f64)));
        }
        head.append_histogram(&load("http_client_request_duration_seconds"), t_ms, &times.snapshot())
            .expect("appends");
        head.append(&load("load_users"), t_ms, 5.0).expect("appends");
        head.append(&labels(&[("__name__", "up"), ("job", "app"), ("instance", "a")]), t_ms, 1.0)
            .expect("appends");
        for (i, labels) in series.iter().enumerate() {
            let wave = 1.0 + 0.02 * ((s / step_s + i as i64) % 7) as f64;
            head.append(labels, t_ms, factor * wave).expect("appends");
        }
    }
    head.finish().expect("finishes");
    let mut manifest = Manifest::new("large", T0_MS);
    manifest.end_ms = Some(T0_MS + seconds * 1000);
    manifest.outcome = Some(Outcome::Finished);
    manifest.phases.push(Phase {
        name: "main".to_owned(),
        start_ms: T0_MS,
        end_ms: Some(T0_MS + seconds * 1000),
        warmup: false,
        outcome: Some(PhaseOutcome::Finished),
    });
    manifest.write(dir).expect("writes");
    fs::create_dir(dir.join("sla")).expect("makes");
    let sla = "sla: large\njudge: {phases: [main], fail_on_alerts: []}\nobjectives:\n  - name: Latency p99\n    unit: s\n    require: \
               histogram_quantile(0.99, sum(increase(http_client_request_duration_seconds[$__range]))) < 1\n  - name: Queue\n    \
               unit: s\n    require: avg_over_time(app_queue_seconds[$__range]) < 1.5\n";
    fs::write(dir.join("sla/sla.yml"), sla).expect("writes");
}

/// The program with a limited address space, where the system has such a limit.
fn limited(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_ruleseval");
    let mut command = if cfg!(target_os = "linux") {
        let script = format!("ulimit -v {MOST_KIB}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, program]);
        shell
    } else {
        Command::new(program)
    };
    command.args(arguments);
    command.env("NO_COLOR", "1").env("RAYON_NUM_THREADS", "2").output().expect("starts")
}

fn done(arguments: &[&str], codes: &[i32]) -> String {
    let out = limited(arguments);
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let code = out.status.code().unwrap_or(-1);
    assert!(codes.contains(&code), "{arguments:?}: {code}: {text:.2000}");
    text
}

fn bytes(path: &Path) -> u64 {
    path.metadata().expect("is written").len()
}

/// Judges, describes, compares and follows a run and one in which all takes 30 % longer; yields what was said of the baseline.
fn all_of_it(seconds: i64, step_s: i64, queues: usize) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let text = |path: &Path| path.display().to_string();
    let runs = at("runs");
    for (name, factor) in [("base", 1.0), ("slow", 1.3)] {
        record(&runs.join(name), seconds, step_s, queues, factor);
        let (run, html, json) =
            (text(&runs.join(name)), at("report.html"), runs.join(name).join("verdict.json"));
        done(&["eval", &run, "--quiet", "--html", &text(&html), "--json", &text(&json)], &[0]);
        assert!(bytes(&html) < 1_000_000, "the report has {} bytes", bytes(&html));
        let verdict: Value = serde_json::from_slice(&fs::read(&json).expect("reads")).expect("is JSON");
        assert_eq!(verdict["objectives"].as_array().map(Vec::len), Some(queues + 1));
    }
    let file = at("baseline.yaml");
    let said = done(&["baseline", &text(&runs.join("base")), "--output", &text(&file)], &[0]);
    let page = at("compare.html");
    let (slow, same) = (text(&runs.join("slow")), text(&runs.join("base")));
    let worse = done(&["compare", &text(&file), &slow, "--html", &text(&page)], &[1]);
    assert!(worse.contains("Latency p99") && bytes(&page) > 1_000, "{worse:.2000}");
    done(&["compare", &text(&file), &same], &[0]);
    let page = at("history.html");
    let history = done(&["history", &text(&runs), "--html", &text(&page)], &[0]);
    assert!(history.contains("large: 2 runs"), "{history:.2000}");
    assert!(bytes(&page) < 1_000_000, "the history has {} bytes", bytes(&page));
    said
}

#[test]
fn five_thousand_series_are_judged_compared_and_kept() {
    let said = all_of_it(120, 2, 5_000);
    assert!(said.contains("an objective has very many series; sum them"), "{said:.2000}");
}

#[test]
fn a_run_of_a_day_is_judged_compared_and_kept() {
    let said = all_of_it(86_400, 15, 5);
    assert!(!said.contains("warning"), "{said:.2000}");
}
