//! Recordings that are killed at any instant open in our reader and in Prometheus, with every sample that was
//! committed.
//!
//! The test runs its own binary as the recorder; a line on its output says that a commit returned.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use assay_tsdb::{Compression, Database, Head, HeadOptions, OpenOptions, Sync};
use common::{
    assert_same, histogram,
    peer::{Server, peer, promtool},
    read_all, series, without_bounds,
};

const DIRECTORY: &str = "ASSAY_TEST_RECORD_INTO";
const KILLS: u64 = 100;

/// Not a test of its own: what is killed. It finishes after 60 steps, so that some kills meet that too.
#[test]
fn recorder() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let options = HeadOptions { segment_bytes: 1 << 16, compression: Compression::Snappy, sync: Sync::Never };
    let mut head = Head::create(Path::new(&dir), options).expect("creates");
    let mut out = std::io::stdout();
    for step in 0..60u64 {
        for i in 0..200u64 {
            let labels = series("requests_total", &[("i", &i.to_string())]);
            head.append(&labels, common::time(step), (step * i) as f64).expect("appends");
        }
        head.append_histogram(&series("seconds", &[]), common::time(step), &histogram(step))
            .expect("appends");
        if step > 0 {
            head.append(&series("late", &[]), common::time(0) - step as i64, 1.0).expect("appends");
        }
        head.commit().expect("commits");
        writeln!(out, "committed {}", step + 1).and_then(|()| out.flush()).expect("says so");
    }
    head.finish().expect("finishes");
    writeln!(out, "finished").and_then(|()| out.flush()).expect("says so");
}

/// Runs the recorder, kills it `delay` spins after it committed `after` steps, and returns how many it said.
fn kill_one(dir: &Path, after: u64, delay: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "recorder", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines().map_while(Result::ok);
    let mut said = 0;
    let mut note = |line: String| {
        // The test harness may write before it on the same line.
        if let Some((_, n)) = line.split_once("committed ") {
            said = n.parse().unwrap_or(said);
        }
        said
    };
    while note(lines.next().unwrap_or_default()) < after {}
    for _ in 0..delay {
        std::hint::spin_loop();
    }
    child.kill().expect("is killed");
    child.wait().expect("ends");
    lines.map(note).last().unwrap_or(after)
}

#[test]
fn nothing_committed_is_lost() {
    let mut seed = 7u64;
    let root = tempfile::tempdir().expect("a directory");
    let (mut torn, mut finished) = (0, 0);
    for run in 0..KILLS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dir = root.path().join(format!("{run}/data"));
        // A delay of up to some milliseconds: several commits, or all of the finishing.
        let said = kill_one(&dir, 1 + (seed >> 40) % 60, (seed >> 20) % 1_000_000);
        let db = Database::open(&dir, OpenOptions::default()).unwrap_or_else(|e| panic!("run {run}: {e}"));
        torn += usize::from(!db.warnings().is_empty());
        finished += usize::from(db.blocks().count() > 0);
        let got = read_all(&db);
        assert_eq!(got.len(), 202 - usize::from(said < 2 && !got.contains_key("late")), "run {run}: series");
        for (name, samples) in &got {
            let least = if name == "late" { said - 1 } else { said };
            assert!(samples.len() as u64 >= least, "run {run}: {name}: {} samples of {least}", samples.len());
        }
        // Each twentieth one goes through Prometheus and promtool too.
        if run % 20 == 0 && peer("prometheus").is_some() {
            promtool(&["tsdb", "list", &dir.display().to_string()]);
            let server = Server::start(&dir, "", &[]).expect("has peers");
            assert_same(&without_bounds(&got), &server.read_all(), &format!("run {run}"));
            server.stop();
        }
    }
    eprintln!("{KILLS} kills: {torn} torn logs, {finished} after the block was there");
}
