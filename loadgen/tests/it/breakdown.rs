//! The program when something around it breaks: the disk, the receiver of metrics, the limits, the program itself.
//! What was recorded until then is readable.

#[cfg(target_os = "linux")]
mod limits;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use assay_model::Queryable as _;
use assay_run::Run;

use crate::{
    cli::{SCENARIO, loadgen, outcome, write},
    server::{Server, ok},
};

/// Enough steps that a record grows by some kilobytes each second; an hour, so that it does not end by itself.
fn long(dir: &Path) -> String {
    let steps: String = (0..8).map(|i| format!("  - {{name: s{i}, get: /{i}}}\n")).collect();
    let phases = "phases: {p: {executor: constant-vus, vus: 2, duration: 1h}}\n";
    write(dir, &format!("scenario: t\nflow:\n{steps}  - {{think: 5ms}}\n{phases}"))
}

/// The one run that was recorded under `runs`.
pub(crate) fn only_run(runs: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(runs).expect("a directory");
    let path = entries.next().expect("a run").expect("readable").path();
    assert!(entries.next().is_none(), "one run");
    path
}

/// A record that ended early is readable, says that it was cut short, and has requests in it.
#[track_caller]
fn assert_readable(dir: &Path) {
    let run = Run::open(dir).unwrap_or_else(|e| panic!("{e}"));
    assert!(run.cut_short.is_some());
    assert_eq!(run.manifest.expect("a description").outcome, None);
    let series = run.database.select(&[], i64::MIN, i64::MAX).expect("readable");
    let durations =
        series.iter().filter(|s| s.labels().metric_name() == "http_client_request_duration_seconds");
    let counts: f64 = durations
        .map(|s| {
            let mut column = assay_model::Column::default();
            s.read(i64::MIN, i64::MAX, &mut column).expect("readable");
            column.histograms.last().map_or(0.0, |h| h.count)
        })
        .sum();
    assert!(counts > 0.0, "requests are on record");
}

#[test]
fn a_killed_run_is_readable() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, runs) = (Server::start(|_| ok()), dir.path().join("runs"));
    let (scenario, place) = (long(dir.path()), runs.display().to_string());
    let mut child = loadgen(&["run", &scenario, "--target", &server.url(), "--record", &place, "--quiet"])
        .spawn()
        .expect("it runs");
    // What a second measured is on record with the commit after its end: of requests that have come by now, when the
    // log has grown three times more.
    let log = || std::fs::metadata(only_run(&runs).join("data/wal/00000000")).map_or(0, |m| m.len());
    let until = Instant::now() + Duration::from_secs(60);
    let wait_for = |is_there: &dyn Fn() -> bool| {
        while !is_there() {
            assert!(Instant::now() < until, "no record");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait_for(&|| server.seen().len() > 10);
    for _ in 0..3 {
        let before = log();
        wait_for(&|| log() > before);
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert_readable(&only_run(&runs));
}

#[test]
fn a_receiver_that_is_down_all_the_time_costs_no_request_and_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, scenario) = (Server::start(|_| ok()), write(dir.path(), SCENARIO));
    let target = server.url();
    let arguments = ["run", &scenario, "--target", &target, "--otlp", "http://127.0.0.1:1", "--quiet"];
    let (code, out, err) = outcome(&mut loadgen(&arguments));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("3 requests, 0 failed"), "{out}");
    assert!(out.contains("note: OTLP metrics: http://127.0.0.1:1/v1/metrics did not take them"), "{out}");
    assert!(out.contains("exports of measurements failed"), "{out}");
    assert!(err.contains("does not take exports, trying again") && err.lines().count() <= 2, "{err}");
}
