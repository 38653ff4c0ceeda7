//! Directories that Prometheus writes read the same as that server answers, bit for bit.

mod common;

use std::path::Path;

use assay_model::{CounterResetHint, Histogram, Labels, Queryable, stale_nan};
use assay_tsdb::{Database, OpenOptions};
use common::{
    Data, assert_same, histogram,
    peer::{Sent, Server, peer, promtool},
    read_all, read_dir, series, time, without_bounds,
};

/// Samples of every kind for `steps` steps from `from` on.
fn batch(from: u64, steps: u64) -> Vec<(Labels, i64, Sent)> {
    let mut out = Vec::new();
    for step in from..from + steps {
        let t = time(step);
        for i in 0..8u64 {
            let labels = series("requests_total", &[("path", &format!("/{i}")), ("job", "shop")]);
            let v = if step % 60 == 59 { stale_nan() } else { (step * i) as f64 * 0.7 };
            out.push((labels, t, Sent::Float(v)));
        }
        let h = if step % 45 == 44 {
            Histogram { sum: stale_nan(), ..Histogram::default() }
        } else {
            histogram(step % 200)
        };
        out.push((series("float_seconds", &[]), t, Sent::FloatHistogram(h.to_float())));
        let gauge =
            Histogram { counter_reset_hint: CounterResetHint::Gauge, ..histogram(1000 - step % 1000) };
        out.push((series("gauge_seconds", &[]), t, Sent::Histogram(gauge)));
        out.push((series("duration_seconds", &[]), t, Sent::Histogram(h)));
        if step % 100 < 50 {
            out.push((series("now_and_then", &[]), t, Sent::Float(step as f64)));
        }
    }
    out
}

/// Compares our reading of a live server's directory with its answer, then again after it stopped.
fn check_live_and_stopped(server: Server, data: &Path, what: &str) -> Data {
    let want = server.read_all();
    assert!(want.len() >= 4, "{what}: {} series", want.len());
    assert_same(&without_bounds(&read_dir(data)), &want, &format!("{what}, live"));
    server.stop();
    assert_same(&without_bounds(&read_dir(data)), &want, &format!("{what}, stopped"));
    want
}

fn has_block(data: &Path) -> bool {
    std::fs::read_dir(data).expect("lists").flatten().any(|e| e.path().join("meta.json").is_file())
}

#[test]
fn a_log_alone() {
    for flags in
        [&[][..], &["--storage.tsdb.wal-compression-type=zstd"], &["--no-storage.tsdb.wal-compression"]]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let Some(server) = Server::start(&data, "", flags) else { return };
        for from in [0, 150, 300] {
            server.push(&batch(from, 150));
        }
        check_live_and_stopped(server, &data, "a log");
        assert!(!has_block(&data));
        // It goes on after a restart, and is killed.
        let server = Server::start(&data, "", flags).expect("has peers");
        server.push(&batch(450, 20));
        let want = server.read_all();
        drop(server);
        let db = Database::open(&data, OpenOptions::default()).expect("opens");
        assert_same(&without_bounds(&read_all(&db)), &want, "killed");
    }
}

#[test]
fn blocks_checkpoints_and_head_chunks() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let flags = [
        "--storage.tsdb.min-block-duration=10m",
        "--storage.tsdb.max-block-duration=40m",
        "--storage.tsdb.wal-segment-size=10MB",
    ];
    let Some(server) = Server::start(&data, "", &flags) else { return };
    let head_ms = |s: &Server| {
        let (_, text) = s.get("/metrics");
        let metric = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
            line.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0)
        };
        metric("prometheus_tsdb_head_max_time ") - metric("prometheus_tsdb_head_min_time ")
    };
    // 600 steps are 150 minutes; each compaction of the head also shortens the log.
    for step in (0..600).step_by(20) {
        server.push(&batch(step, 20));
        // Whatever it is just moving from where to where, nothing is missing. A chunk that is half written is
        // worth a warning, and is in the log.
        let db = Database::open(&data, OpenOptions::default()).expect("opens");
        assert_same(&without_bounds(&read_all(&db)), &server.read_all(), "while it compacts");
        server.wait("compacts", |s| head_ms(s) < 16.0 * 60e3);
    }
    assert!(has_block(&data));
    check_live_and_stopped(server, &data, "blocks and head");
    let names = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("lists").flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    };
    assert!(!names(&data.join("chunks_head")).is_empty());
    assert!(names(&data.join("wal")).iter().any(|name| name.starts_with("checkpoint.")));
}

#[test]
fn blocks_from_promtool_that_overlap() {
    if peer("promtool").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    for offset in [0u64, 100] {
        let mut text = String::new();
        for i in 0..20u64 {
            for step in offset..offset + 1000 {
                let v = (step * i) as f64 / 7.0;
                text.push_str(&format!("made_up{{i=\"{i}\"}} {v} {}\n", time(step) as f64 / 1000.0));
            }
        }
        text.push_str("# EOF\n");
        let file = dir.path().join("in.om");
        std::fs::write(&file, text).expect("writes");
        promtool(&[
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            &file.display().to_string(),
            &data.display().to_string(),
        ]);
    }
    let ours = read_dir(&data);
    let server = Server::start(&data, "", &["--storage.tsdb.max-block-duration=2h"]).expect("has peers");
    assert_same(&ours, &server.read_all(), "overlapping blocks");
    server.stop();
    assert_same(&read_dir(&data), &ours, "after the server");
}

#[test]
fn out_of_order_samples() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let config = "storage: {tsdb: {out_of_order_time_window: 10h}}";
    let flags = ["--storage.tsdb.min-block-duration=30m", "--storage.tsdb.max-block-duration=2h"];
    let Some(server) = Server::start(&data, config, &flags) else { return };
    // Late ones far enough apart that some fill head chunks of their own.
    for from in [200, 100, 150, 0, 350, 300, 250, 50, 400] {
        server.push(&batch(from, 50));
    }
    let labels = series("shuffled", &[]);
    for step in 0..400u64 {
        server.push(&[(labels.clone(), time(step * 157 % 400), Sent::Float(step as f64))]);
    }
    check_live_and_stopped(server, &data, "out of order");
    assert!(data.join("wbl").is_dir());
    let server = Server::start(&data, config, &flags).expect("has peers");
    let want = server.read_all();
    assert_same(&without_bounds(&read_dir(&data)), &want, "after a restart");
    drop(server);
    assert_same(&without_bounds(&read_dir(&data)), &want, "killed after a restart");
}

#[test]
fn deletions_in_head_and_blocks() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let flags = ["--storage.tsdb.min-block-duration=10m", "--storage.tsdb.max-block-duration=20m"];
    let Some(server) = Server::start(&data, "", &flags) else { return };
    for from in 0..12 {
        server.push(&batch(from * 20, 20));
    }
    server.wait("compacts", |_| has_block(&data));
    let delete = |selector: &str, from: u64, to: u64| {
        let (start, end) = (time(from) as f64 / 1e3, time(to) as f64 / 1e3);
        server.post(&format!("/api/v1/admin/tsdb/delete_series?match[]={selector}&start={start}&end={end}"));
    };
    let before = server.read_all();
    delete("duration_seconds", 5, 7);
    delete("duration_seconds", 6, 30);
    delete("float_seconds", 200, 239);
    delete("now_and_then", 0, 1000);
    delete("requests_total%7Bpath=%22/3%22%7D", 20, 230);
    server.push(&batch(240, 3));
    let want = check_live_and_stopped(server, &data, "deletions");
    assert!(want["duration_seconds"].len() < before["duration_seconds"].len());
    assert_eq!(want["now_and_then"].len(), 3, "only what came after the deletion");
    let server = Server::start(&data, "", &flags).expect("has peers");
    assert_same(&without_bounds(&read_dir(&data)), &server.read_all(), "after a restart");
}

#[test]
fn a_snapshot_on_shutdown() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let flags = ["--enable-feature=memory-snapshot-on-shutdown,exemplar-storage"];
    let Some(server) = Server::start(&data, "", &flags) else { return };
    server.push(&batch(0, 200));
    server.post("/api/v1/admin/tsdb/delete_series?match[]=now_and_then&start=1700000000&end=1700000100");
    check_live_and_stopped(server, &data, "a snapshot");
    let snapshot = |e: std::fs::DirEntry| e.file_name().to_string_lossy().starts_with("chunk_snapshot.");
    assert!(std::fs::read_dir(&data).expect("lists").flatten().any(snapshot));
    let server = Server::start(&data, "", &flags).expect("has peers");
    server.push(&batch(200, 10));
    let want = server.read_all();
    assert_same(&without_bounds(&read_dir(&data)), &want, "a snapshot and a log");
    drop(server);
    assert_same(&without_bounds(&read_dir(&data)), &want, "killed after a snapshot");
    // The snapshot alone is enough for what it holds.
    let db = Database::open(&data, OpenOptions::default()).expect("opens");
    assert_eq!(db.label_values("__name__", &[]).expect("reads").len(), 5);
}
