//! What leaves the program: OTLP, traces and percentile files from the command line and the environment.

use std::path::Path;

use crate::{
    cli::{SCENARIO, loadgen, outcome, run, write},
    receiver::{Answer, Receiver},
    server::{Server, ok},
};

#[test]
fn options_and_variables_choose_transport_and_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let (metrics, traces) = (Receiver::grpc(|_| Answer::Take), Receiver::http(|_| Answer::Take));
    let (target, otlp) = (server.url(), metrics.url());
    let arguments =
        ["run", &scenario, "--target", &target, "--otlp", &otlp, "--trace-sample", "1", "--quiet"];
    let mut command = loadgen(&arguments);
    command
        .env("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}/in/v1/traces", traces.url()));
    let (code, out, err) = outcome(&mut command);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(metrics.metrics().len() >= 3);
    assert!(metrics.attempts()[0].head.contains("assay-loadgen/"), "{}", metrics.attempts()[0].head);
    let head = &traces.attempts()[0].head;
    assert!(head.starts_with("POST /in/v1/traces HTTP/1.1"), "{head}");
    // Three iterations, with a request each.
    let spans: usize = traces
        .traces()
        .iter()
        .flat_map(|t| &t.resource_spans)
        .flat_map(|r| &r.scope_spans)
        .map(|s| s.spans.len())
        .sum();
    assert_eq!(spans, 6);
}

#[test]
fn exports_take_the_proxy_of_the_environment_but_never_to_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let (proxy, receiver) = (Server::start(|_| ok()), Receiver::http(|_| Answer::Take));
    let (target, here) = (server.url(), receiver.url());
    let push = |otlp: &str| {
        let mut command = loadgen(&["run", &scenario, "--target", &target, "--otlp", otlp, "--quiet"]);
        command.env("HTTP_PROXY", proxy.url()).env("http_proxy", proxy.url());
        for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        assert_eq!(outcome(&mut command).0, 0);
    };
    push(&here);
    assert!(!receiver.attempts().is_empty());
    assert_eq!(proxy.seen().len(), 0);
    push("http://otlp.example.test:4318");
    assert_eq!(proxy.seen()[0].line(), "POST http://otlp.example.test:4318/v1/metrics");
    // The load itself never takes it.
    assert!(proxy.seen().iter().all(|s| s.line().contains("/v1/metrics")));
}

#[test]
fn what_cannot_work_ends_with_2_and_one_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let (scenario, server) = (write(dir.path(), SCENARIO), Server::start(|_| ok()));
    let target = server.url();
    let check = |more: &[&str], variables: &[(&str, &str)], want: &str| {
        let mut command = loadgen(&[&["run", &scenario, "--target", &target], more].concat());
        command.envs(variables.iter().copied());
        let (code, out, err) = outcome(&mut command);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(want), "{err}");
    };
    check(
        &["--trace-sample", "1"],
        &[],
        "there is no place for the traces; give --record, --otlp or --otlp-traces",
    );
    check(&["--trace-sample", "1.5"], &[], "a share of all iterations from 0 to 1");
    check(&["--otlp", "ftp://x"], &[], "--otlp: the OTLP endpoint \"ftp://x\" is neither http nor https");
    check(&["--otlp-protocol", "http/json"], &[], "possible values: http/protobuf, grpc");
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s")];
    check(&[], &env, "OTEL_EXPORTER_OTLP_TIMEOUT: \"1s\" is not a number of milliseconds");
    assert!(server.seen().iter().all(|s| s.line() == "GET /health"), "no load was driven");
}

#[test]
fn percentile_files_have_all_requests_of_each_step_and_phase() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "scenario: t\nflow: [{name: a, get: /}, {name: b, get: /}]\nphases:\n  one: {executor: per-vu-iterations, iterations: 40}\n  two: {executor: per-vu-iterations, iterations: 25}\n";
    let (scenario, server) = (write(dir.path(), text), Server::start(|_| ok()));
    let files = dir.path().join("new/hgrm");
    let place = files.display().to_string();
    let (code, out, err) =
        run(&["run", &scenario, "--target", &server.url(), "--quiet", "--summary", "json", "--hgrm", &place]);
    assert_eq!((code, err.as_str()), (0, ""));
    let summary: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    for (phase, requests) in [(0, 40), (1, 25)] {
        for (step, kind) in [(0, "duration"), (0, "latency"), (1, "duration"), (1, "latency")] {
            let phase = &summary["phases"][phase];
            let step = &phase["steps"][step];
            let word = |v: &serde_json::Value| v.as_str().expect("a name").to_owned();
            let name = format!("{}-{}-{kind}.hgrm", word(&phase["name"]), word(&step["name"]));
            check_file(&files.join(name), requests, step[kind]["max"].as_f64().expect("a number"));
        }
    }
    assert_eq!(std::fs::read_dir(&files).expect("a directory").count(), 8);
}

fn check_file(path: &Path, requests: u64, max_s: f64) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let rows: Vec<Vec<f64>> = text
        .lines()
        .skip(2)
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split_whitespace().map(|c| c.parse().expect("a number")).collect())
        .collect();
    let last = rows.last().expect("a row");
    assert_eq!((last[1], last[2]), (1.0, requests as f64), "{text}");
    assert!((last[0] - max_s * 1e3).abs() < 0.001, "{text}");
    assert!(rows.windows(2).all(|w| w[0][0] <= w[1][0] && w[0][1] < w[1][1] && w[0][2] <= w[1][2]), "{text}");
    assert!(text.contains(&format!("Total count    = {requests:>12}]")), "{text}");
}
