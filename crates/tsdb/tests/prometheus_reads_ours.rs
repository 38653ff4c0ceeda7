//! What we write is opened by Prometheus and promtool as their own.

mod common;

use assay_tsdb::{BlockWriter, Compression, Head, HeadOptions};
use common::{
    Data, assert_same, fill, histogram,
    peer::{Server, peer, promtool},
    read_dir, series, without_bounds,
};

/// Prometheus must answer exactly what was written, and must still leave a directory that we read the same.
fn check(dir: &std::path::Path, want: &Data, what: &str) {
    let server = Server::start(dir, "", &[]).expect("the caller asked for peers");
    assert_same(&server.read_all(), &without_bounds(want), what);
    if want.contains_key("custom_seconds") {
        let t = common::time(298) / 1000 + 1;
        let (_, answer) = server.get(&format!("/api/v1/query?query=custom_seconds&time={t}"));
        let buckets = r#""buckets":[[3,"-Inf","0.005","298"],[0,"0.005","2.5","298"]]"#;
        assert!(answer.contains(buckets), "{answer}");
    }
    let log = server.log();
    let complaint = log.lines().find(|l| {
        (l.contains("level=ERROR") || l.contains("level=WARN")) && !l.contains("Overlapping blocks")
    });
    assert_eq!(complaint, None, "{what}");
    server.stop();
    assert_same(&read_dir(dir), want, &format!("{what}, after Prometheus"));
}

#[test]
fn a_recording_at_every_stage() {
    if peer("prometheus").is_none() {
        return;
    }
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let options = HeadOptions { segment_bytes: 1 << 17, compression, ..HeadOptions::default() };
        let mut head = Head::create(&data, options).expect("creates");
        let mut want = fill(&mut head, 300);
        // Late samples, which Prometheus takes from the out-of-order log.
        let late = series("late", &[]);
        for i in (0..50i64).rev() {
            let t = common::time(0) + i;
            head.append(&late, t, i as f64).expect("appends");
            want.entry("late".to_owned())
                .or_default()
                .insert(0, (t, format!("{:016x}", (i as f64).to_bits())));
        }
        head.commit().expect("commits");
        let copy = dir.path().join("copy");
        assay_testkit::files::copy(&data, &copy).expect("copies");
        check(&copy, &want, &format!("{compression:?}: a recording that goes on"));
        let meta = head.finish().expect("finishes").expect("has samples");
        let path = data.display().to_string();
        let list = promtool(&["tsdb", "list", &path]);
        let line = list.lines().find(|l| l.contains(&meta.ulid)).expect("is listed");
        let counts =
            format!("{} {} {}", meta.stats.num_samples, meta.stats.num_chunks, meta.stats.num_series);
        assert!(line.split_whitespace().collect::<Vec<_>>().join(" ").contains(&counts), "{line}, {counts}");
        assert!(promtool(&["tsdb", "analyze", &path]).contains("Total Series: 14"));
        let dump = promtool(&["tsdb", "dump", &path]);
        assert_eq!(dump.lines().filter(|l| l.contains("requests_total")).count(), 3000);
        check(&data, &want, &format!("{compression:?}: a finished recording"));
    }
}

#[test]
fn an_import() {
    if peer("prometheus").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut want = Data::new();
    for (part, kind) in ["first", "second"].into_iter().enumerate() {
        let mut writer = BlockWriter::create(&data).expect("creates");
        for i in 0..300u64 {
            let labels = series("imported", &[("i", &i.to_string()), ("kind", kind), ("utf8 näme", "ü\n\"")]);
            let s = writer.series(&labels).expect("is new");
            for k in 0..200u64 {
                let (t, v) = (common::time(k * 7 % 200 + 100 * part as u64), (k * i) as f64 / 3.0);
                writer.append(s, t, v).expect("appends");
                want.entry(labels.to_string()).or_default().push((t, format!("{:016x}", v.to_bits())));
            }
        }
        let labels = series("histogram_seconds", &[("kind", kind)]);
        let s = writer.series(&labels).expect("is new");
        for k in 0..200 {
            writer.append_histogram(s, common::time(k), &histogram(k)).expect("appends");
            let line = common::line(&histogram(k).to_float());
            want.entry(labels.to_string()).or_default().push((common::time(k), line));
        }
        writer.finish().expect("finishes");
    }
    want.values_mut().for_each(|list| list.sort());
    check(&data, &want, "two imports that overlap");
}
