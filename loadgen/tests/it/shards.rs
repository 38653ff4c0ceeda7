//! Three shards do together what one run does without them, and their runs merge into one.

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_model::{Column, Queryable as _};
use assay_run::{Outcome, Run};

use crate::server::{Server, ok};

const SCENARIO: &str = r#"
scenario: t
data: {rows: rows.txt}
users:
  - {name: a, weight: 2, vars: {kind: a}}
  - {name: b, weight: 1, vars: {kind: b}}
flow:
  - {name: get, get: "/{{ kind }}/{{ vu }}", query: {row: "{{ rows.unique }}"}, check: {status: 200}}
phases:
  each: {executor: per-vu-iterations, vus: 6, iterations: 3}
  shared: {executor: shared-iterations, vus: 4, iterations: 12}
  rate: {executor: constant-arrival-rate, rate: 100/s, duration: 1s, arrivals: poisson, pre_allocated_vus: 6, max_vus: 90}
  uneven: {executor: per-vu-iterations, vus: 7, iterations: 2}
  few: {executor: shared-iterations, vus: 2, iterations: 5}
modes:
  default: [each, shared, rate]
  odd: [uneven, few]
"#;

fn files(dir: &Path) -> String {
    let rows: String = (0..400).map(|n| format!("r{n}\n")).collect();
    std::fs::write(dir.join("rows.txt"), rows).expect("written");
    let path = dir.join("s.yml");
    std::fs::write(&path, SCENARIO).expect("written");
    path.display().to_string()
}

/// Runs the scenario and gives its record and what the program said.
fn load(server: &Server, dir: &Path, more: &[&str]) -> (Run, String) {
    let (scenario, url, runs) = (files(dir), server.url(), dir.join("runs").display().to_string());
    let mut arguments = vec!["run", &scenario, "--target", &url, "--record", &runs, "--quiet", "--seed", "7"];
    arguments.extend_from_slice(more);
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let out = command.args(&arguments).env_remove("RUST_LOG").output().expect("it runs");
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{err}");
    let path = err.lines().find_map(|l| l.strip_prefix("recorded: ")).expect("a record");
    (
        Run::open(Path::new(path)).unwrap_or_else(|e| panic!("{e}")),
        String::from_utf8_lossy(&out.stdout).into_owned(),
    )
}

/// The requests of each kind and user, and the rows, over the whole load.
fn requests(servers: &[&Server]) -> (BTreeMap<String, usize>, Vec<String>) {
    let (mut by_user, mut rows) = (BTreeMap::new(), Vec::new());
    for seen in servers.iter().flat_map(|s| s.seen()) {
        let line = seen.line().to_owned();
        let (path, row) = line.split_once("?row=").expect("a row");
        *by_user.entry(path.to_owned()).or_default() += 1;
        rows.push(row.to_owned());
    }
    rows.sort();
    (by_user, rows)
}

/// The last values of the generator's series that count, without `instance`.
fn totals(run: &Run) -> BTreeMap<String, f64> {
    let mut totals = BTreeMap::new();
    for series in run.database.select(&[], i64::MIN, i64::MAX).expect("readable") {
        let mut column = Column::default();
        series.read(i64::MIN, i64::MAX, &mut column).expect("readable");
        let mut labels = series.labels().to_builder();
        labels.del("instance").del("server_port").del("load_run");
        let name = series.labels().metric_name().to_owned();
        let last = match column.histograms.last() {
            Some(h) => h.count,
            None if name.ends_with("_total") => *column.values.last().expect("a sample"),
            None => continue,
        };
        *totals.entry(labels.build().to_string()).or_default() += last;
    }
    totals
}

#[test]
fn three_shards_do_what_one_run_does_and_their_records_add_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = Server::start(|_| ok());
    let (one, _) = load(&whole, dir.path(), &["--workers", "2"]);
    let server = Server::start(|_| ok());
    let runs: Vec<Run> = (0..3)
        .map(|i| {
            let workers = (i + 1).to_string();
            let shard = format!("{i}/3");
            load(&server, dir.path(), &["--shard", &shard, "--workers", &workers]).0
        })
        .collect();
    // The same requests of the same users with the same rows, none twice.
    let ((want, want_rows), (got, rows)) = (requests(&[&whole]), requests(&[&server]));
    assert_eq!(rows.len(), want_rows.len());
    assert_eq!(rows, want_rows);
    // Who is free takes what arrives, so the first six alone are sure to be there; a user is of the same kind.
    let sure = |m: &BTreeMap<String, usize>| -> Vec<String> {
        let user = |path: &str| path.rsplit('/').next()?.parse::<u32>().ok();
        m.keys().filter(|path| user(path).is_some_and(|user| user <= 6)).cloned().collect()
    };
    assert_eq!(sure(&got), sure(&want));
    assert_eq!(sure(&got).len(), 6);

    let out = dir.path().join("merged");
    let mut arguments = vec!["merge".to_owned(), "--out".to_owned(), out.display().to_string()];
    arguments.extend(runs.iter().map(|r| r.path.display().to_string()));
    let merged = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(&arguments).output().expect("it runs");
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    let run = Run::open(&out).unwrap_or_else(|e| panic!("{e}"));
    let manifest = run.manifest.as_ref().expect("a description");
    assert_eq!((manifest.parts.len(), &manifest.outcome), (3, &Some(Outcome::Finished)));
    let shards: Vec<_> = manifest.parts.iter().filter_map(|p| p.shard).map(|s| (s.index, s.count)).collect();
    assert_eq!(shards, [(0, 3), (1, 3), (2, 3)]);
    let names: Vec<_> = manifest.phases.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["each", "shared", "rate"]);

    let (whole, sum) = (totals(&one), totals(&run));
    let mut parts: BTreeMap<String, f64> = BTreeMap::new();
    for part in &runs {
        let instances = part.database.label_values("instance", &[]).expect("readable");
        assert_eq!(instances.len(), 1, "{instances:?}");
        for (labels, n) in totals(part) {
            *parts.entry(labels).or_default() += n;
        }
    }
    assert!(sum.len() > 40);
    for (labels, n) in &sum {
        // What depends on the time it took, and on the machines' connections, adds up and is not the same.
        let is_exact = !["cpu", "connecting", "bytes"].iter().any(|w| labels.contains(w));
        assert!((parts[labels] - n).abs() < 1e-6, "{labels}: the parts have {}, the sum {n}", parts[labels]);
        assert!(!is_exact || whole[labels] == *n, "{labels}: one run has {}, the shards {n}", whole[labels]);
    }
}

#[test]
fn what_does_not_divide_is_shared_all_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    for shard in ["0/3", "1/3", "2/3"] {
        load(&server, dir.path(), &["--mode", "odd", "--shard", shard]);
    }
    let (by_user, mut rows) = requests(&[&server]);
    // Seven users twice each, and five iterations that two of them share.
    assert_eq!(by_user.values().sum::<usize>(), 7 * 2 + 5);
    assert_eq!(by_user.len(), 7);
    assert!(by_user.values().all(|n| *n >= 2), "{by_user:?}");
    rows.dedup();
    assert_eq!(rows.len(), 19, "no row twice");
}

#[test]
fn what_cannot_be_shared_is_said_before_the_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let (scenario, url) = (files(dir.path()), server.url());
    let check = |arguments: &[&str], want: &str| {
        let all = [&["run", &scenario, "--target", &url, "--quiet"], arguments].concat();
        let out = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(all).output().expect("it runs");
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{err}");
        assert!(err.contains(want), "{err}");
    };
    check(&["--shard", "3/3"], "shards count from 0: of 3 they are 0/3 to 2/3");
    check(&["--shard", "0/91"], "rate: 90 users are too few for 91 shards");
    check(&["--start-at", "soon"], "expected a time such as 2026-11-25T14:00:00Z");
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_run_starts_when_it_is_told_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|_| ok());
    let at_ms = assay_run::time::now_ms() + 1500;
    let at = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let (run, _) = load(&server, dir.path(), &["--phase", "few", "--start-at", &at]);
    let phase = run.manifest.expect("a description").phases.remove(0);
    assert!(phase.start_ms >= at_ms, "{} ms early", at_ms - phase.start_ms);
}

#[test]
fn the_shards_of_one_command_do_what_one_process_would_do() {
    let server = Server::start(|_| ok());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s.yml").display().to_string();
    let text = "scenario: t\nflow: [{get: /a}]\nphases: {p: {executor: shared-iterations, vus: 6, iterations: 31}}\n";
    std::fs::write(&path, text).expect("written");
    let runs = dir.path().join("runs").display().to_string();
    let (code, out, err) =
        crate::cli::run(&["run", &path, "--shards", "3", "--target", &server.url(), "--record", &runs]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("3 shards: 31 requests, 0 failed"), "{out}");
    assert_eq!(server.seen().iter().filter(|s| s.line() == "GET /a").count(), 31);
    let merged = err.lines().find_map(|l| l.strip_prefix("merged: ")).unwrap_or_else(|| panic!("{err}"));
    let run = assay_run::Run::open(std::path::Path::new(merged)).expect("a run");
    assert_eq!(run.manifest.as_ref().map(|m| m.parts.len()), Some(3));
    // What is wrong is reported by each, and the exit code is that of bad input.
    let (code, _, err) = crate::cli::run(&["run", "/nowhere.yml", "--shards", "2", "--quiet"]);
    assert!(code == 2 && err.contains("shard 0: ") && err.contains("shard 1: "), "{err}");
}
