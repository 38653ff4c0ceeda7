//! An alert that fires ends the run; the record is whole.

use std::{
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use assay_model::{Column, Matcher, Queryable as _};
use assay_run::{Outcome, Run};

use crate::server::{Server, ok, respond};

const SCENARIO: &str = "
scenario: t
flow: [{name: get, get: /, check: {status: 200}}, {think: 20ms}]
phases:
  warm: {executor: constant-vus, vus: 2, duration: 3s, warmup: true}
  main: {executor: constant-vus, vus: 2, duration: 1h}
";

const RULES: &str = r#"
groups:
- name: load
  interval: 1s
  rules:
  - record: load:failed:count
    expr: sum by (load_step) (histogram_count(http_client_request_duration_seconds{error_type="503"}))
  - alert: ManyFail
    expr: load:failed:count > 3
    labels: {severity: critical}
  - alert: Users
    expr: load_users{load_phase="main"} >= 0
    labels: {severity: info}
  - alert: Huge
    expr: max_over_time(vector(1)[30d:1ms]) > 0
    labels: {severity: critical}
  - alert: InWarmUp
    expr: load_users{load_phase="warm"} > 0
    labels: {severity: warning}
"#;

fn run(dir: &Path, server: &Server, more: &[&str]) -> (i32, String, String) {
    let write = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).expect("written");
        dir.join(name).display().to_string()
    };
    let (scenario, rules) = (write("s.yml", SCENARIO), write("r.yml", RULES));
    let (runs, url) = (dir.join("runs").display().to_string(), server.url());
    let arguments = ["run", &scenario, "--target", &url, "--record", &runs, "--quiet", "--rules", &rules];
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let Output { status, stdout, stderr } =
        command.args(arguments).args(more).env_remove("RUST_LOG").output().expect("it runs");
    let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn a_critical_alert_ends_the_run_and_the_record_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let answered = AtomicUsize::new(0);
    // It serves for a while and then fails: by its own count, not by a clock.
    let server = Server::start(move |_| match answered.fetch_add(1, Ordering::Relaxed) {
        0..300 => ok(),
        _ => respond(503, "", "broken"),
    });
    let began = Instant::now();
    let (code, out, err) = run(dir.path(), &server, &["--abort-on", "critical", "--summary", "json"]);
    assert_eq!(code, 1, "{err}");
    assert!(began.elapsed() < Duration::from_secs(300), "an hour was asked for");
    assert!(
        err.contains("aborted: the alert ManyFail fires with load_step=\"get\", severity=\"critical\""),
        "{err}"
    );
    // A rule that would need 60 GB is refused, and the others go on.
    assert!(err.contains("query processing would need more than"), "{err}");
    let summary: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&summary["outcome"], &summary["aborted_by"]["name"]),
        (&"aborted".into(), &"ManyFail".into())
    );
    assert!(summary["aborted_by"]["value"].as_f64().is_some_and(|v| v > 3.0));
    assert_eq!(summary["aborted_by"]["labels"]["load_step"], "get");
    assert_eq!(summary["phases"].as_array().map(Vec::len), Some(2), "and nothing fired in the warm-up");

    let path = err.lines().find_map(|l| l.strip_prefix("recorded: ")).expect("a record");
    let record = Run::open(Path::new(path)).unwrap_or_else(|e| panic!("{e}"));
    let manifest = record.manifest.as_ref().expect("a description");
    let Some(Outcome::Aborted { reason }) = &manifest.outcome else { panic!("{:?}", manifest.outcome) };
    assert!(reason.contains("ManyFail") && reason.contains("its value is"), "{reason}");
    assert!(record.cut_short.is_none() && manifest.phases[1].end_ms.is_some());
    // Every request that the summary counts is on record.
    let matcher = Matcher::equal("__name__", "http_client_request_duration_seconds");
    let mut count = 0.0;
    for series in record.database.select(&[matcher], i64::MIN, i64::MAX).expect("readable") {
        let mut column = Column::default();
        series.read(i64::MIN, i64::MAX, &mut column).expect("readable");
        count += column.histograms.last().map_or(0.0, |h| h.count);
    }
    assert_eq!(Some(count), summary["requests"].as_f64());
}

#[test]
fn what_could_never_end_the_run_is_said_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let (code, _, err) = run(dir.path(), &server, &["--abort-on", "page"]);
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("no alert of the rules has severity \"page\"; there are: critical, info, warning"),
        "{err}"
    );
    std::fs::write(dir.path().join("bad.yml"), "groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]")
        .expect("written");
    let bad = dir.path().join("bad.yml").display().to_string();
    let (code, _, err) = run(dir.path(), &server, &[&bad, "--abort-on", "critical"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("bad.yml:1:"), "{err}");
    assert!(!dir.path().join("runs").exists() && server.seen().is_empty());
    let (scenario, url) = (dir.path().join("s.yml").display().to_string(), server.url());
    let arguments = ["run", &scenario, "--target", &url, "--quiet", "--abort-on", "critical"];
    let out = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().expect("it runs");
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--rules <FILE>"));
    assert!(server.seen().is_empty());
}
