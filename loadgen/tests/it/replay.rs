//! The replay of traces: what is sent when, by the server's own clock.

use std::{path::Path, sync::Arc, time::Duration};

use crate::server::{Seen, Server, ok};

/// Runs a scenario with a trace next to it.
fn run_in(
    dir: &Path,
    server: &Server,
    trace: (&str, &str),
    flow: &str,
    phase: &str,
    change: impl FnOnce(&mut loadgen::RunOptions),
) -> loadgen::Summary {
    std::fs::write(dir.join(trace.0), trace.1).expect("written");
    let text = format!(
        "scenario: t\nflow: {flow}\nphases: {{p: {{executor: replay, trace: {}, {phase}}}}}\n",
        trace.0
    );
    std::fs::write(dir.join("s.yml"), text).expect("written");
    let scenario =
        loadgen::Scenario::load(&dir.join("s.yml").display().to_string()).unwrap_or_else(|e| panic!("{e}"));
    let mut options = loadgen::RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    change(&mut options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"))
}

fn lines(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|s| s.line().to_owned()).collect()
}

const LOG: &str = r#"1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /a?x=1 HTTP/1.1" 200 1
1.2.3.4 - - [10/Oct/2000:13:55:37 +0000] "GET /b HTTP/1.1" 200 1
1.2.3.4 - - [10/Oct/2000:13:55:38 +0000] "GET /c HTTP/1.1" 200 1
"#;

#[test]
fn each_request_of_a_log_is_made_once_in_order_and_again_when_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    for workers in [1, 2] {
        let server = Server::start(|_| ok());
        let flow = "[{name: page, get: '{{ trace.path }}', headers: {x-at: '{{ trace.at }}'}}]";
        let summary = run_in(dir.path(), &server, ("a.log", LOG), flow, "speed: 20, repeat: 2", |o| {
            o.workers = Some(workers);
        });
        assert_eq!((summary.requests, summary.errors, summary.dropped_iterations), (6, 0, 0));
        let seen = server.seen();
        assert_eq!(lines(&seen), ["GET /a?x=1", "GET /b", "GET /c", "GET /a?x=1", "GET /b", "GET /c"]);
        assert_eq!(seen[1].header("x-at"), Some("1.0"));
        // Two passes of three seconds, twenty times as fast: a phase is never shorter than its plan.
        assert!(summary.phases[0].duration_s >= 0.299, "{}", summary.phases[0].duration_s);
    }
}

#[test]
fn shards_and_workers_share_a_trace_without_overlap() {
    let dir = tempfile::tempdir().expect("a directory");
    let trace: String = (0..1000).map(|i| format!("{{\"timestamp\": {i}, \"n\": {i}}}\n")).collect();
    let server = Server::start(|_| ok());
    let mut dropped = 0;
    for shard in 0..3 {
        let summary = run_in(
            dir.path(),
            &server,
            ("a.jsonl", &trace),
            "[{get: '/{{ trace.n }}', name: n}]",
            "unit: ms",
            |o| {
                o.workers = Some(2);
                o.shard = format!("{shard}/3").parse().expect("a shard");
            },
        );
        dropped += summary.dropped_iterations;
    }
    let mut paths: Vec<String> = lines(&server.seen());
    paths.sort_unstable();
    paths.dedup();
    // A busy machine may find the end of the phase before the last of them.
    assert_eq!((server.seen().len(), paths.len() as u64 + dropped), (paths.len(), 1000));
    assert!(dropped < 500, "{dropped}");
}

#[test]
fn latency_runs_from_the_instants_of_the_trace() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| {
        let mut actions = vec![crate::server::Do::Wait(Duration::from_millis(100))];
        actions.extend(ok());
        actions
    });
    // Ten at once, and one user.
    let trace: String = "{\"timestamp\": 0}\n".repeat(10) + "{\"timestamp\": 1500}\n";
    let phase = "unit: ms, pre_allocated_vus: 1, max_vus: 1";
    let summary = run_in(dir.path(), &server, ("a.jsonl", &trace), "[{get: /}]", phase, |_| {});
    let step = &summary.phases[0].steps[0];
    assert_eq!(step.requests, 11);
    assert!(step.latency.max > 0.9 && step.duration.p50 < 0.2, "{:?} {:?}", step.latency, step.duration);
}

#[test]
fn once_takes_the_first_line_and_a_wrong_trace_is_refused_with_its_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let scenario = dir.path().join("s.yml");
    std::fs::write(dir.path().join("a.log"), LOG).expect("written");
    let text = "scenario: t\nflow: [{name: page, get: '{{ trace.path }}'}]\nphases: {p: {executor: replay, trace: a.log}}\n";
    std::fs::write(&scenario, text).expect("written");
    let loadgen = |arguments: &[&str]| {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output();
        let run = run.expect("runs");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (run.status.code(), text(&run.stdout) + &text(&run.stderr))
    };
    let path = scenario.display().to_string();
    let (code, _) = loadgen(&["run", &path, "--once", "--target", &server.url()]);
    assert_eq!((code, lines(&server.seen())), (Some(0), vec!["GET /a?x=1".to_owned()]));
    let (code, out) = loadgen(&["run", &path, "--dry-run"]);
    assert!(code == Some(0) && out.contains("3 requests of a.log over 3s"), "{out}");
    std::fs::write(dir.path().join("a.log"), format!("{LOG}no\n{LOG}nor this\n")).expect("written");
    let (code, out) = loadgen(&["check", &path]);
    assert_eq!(code, Some(2));
    assert!(
        out.contains("s.yml:3:")
            && out.contains("a.log:4: not a line")
            && out.contains("a.log:8: not a line"),
        "{out}"
    );
}

#[test]
fn the_name_of_the_line_is_there_only_where_a_trace_is() {
    let check = |text: &str, want: &str| {
        let e = loadgen::Scenario::from_text("s.yml", text, &[]).expect_err(text).to_string();
        assert!(e.contains(want), "{e}");
    };
    let phases = "phases: {p: {executor: per-vu-iterations}}";
    check(
        &format!("scenario: t\nflow: [{{get: '{{{{ trace.path }}}}', name: a}}]\n{phases}\n"),
        "unknown name in a template: \"trace\"",
    );
    check(
        &format!("scenario: t\nflow: [{{get: /, capture: {{trace: $.a}}}}]\n{phases}\n"),
        "that of the line of a trace",
    );
}
