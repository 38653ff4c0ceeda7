//! Two runs, merged, and what does not fit.

use assay_model::{Histogram, Span};

use super::*;
use crate::{Outcome, Recorder, RecorderOptions, Row, RowValue, manifest::Shard};

const START_MS: i64 = 1_700_000_000_000;

fn histogram(count: u64) -> RowValue {
    RowValue::Histogram(Histogram {
        schema: 3,
        zero_threshold: 1e-128,
        count,
        sum: count as f64 * 1.5,
        positive_spans: vec![Span { offset: 4, length: 1 }],
        positive_buckets: vec![count as i64],
        ..Histogram::default()
    })
}

fn labels(name: &str, job: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", job), ("instance", instance)])
}

/// A shard's run: a counter, a gauge and a histogram each second from `first_s` on, and a scraped series.
fn shard(dir: &Path, index: u32, first_s: i64, seconds: i64) -> PathBuf {
    let dir = dir.join(format!("shard-{index}"));
    let mut manifest = Manifest::new("t", START_MS + first_s * 1000);
    manifest.seed = Some(1);
    manifest.id = Some(format!("run-{index}"));
    manifest.shard = Some(Shard { index, count: 3 });
    let recorder = Recorder::create(&dir, manifest, &RecorderOptions::default()).expect("created");
    let phase_start = START_MS + first_s * 1000;
    recorder.phase_started("p", false, phase_start).expect("noted");
    let instance = format!("h-{index}");
    for s in 0..=seconds {
        let t_ms = phase_start + s * 1000 + i64::from(index);
        let row = |name, value| Row::new(labels(name, "loadgen", &instance), t_ms, value);
        let outcome = |name: &str, holds: bool| {
            let mut labels = labels("load_phase_outcome", "loadgen", &instance).to_builder();
            labels.set("outcome", name).set("load_run", &format!("run-{index}"));
            Row::float(labels.build(), t_ms, f64::from(u8::from(holds)))
        };
        let rows = vec![
            row("load_iterations_total", RowValue::Float((s * 10) as f64)),
            row("load_users", RowValue::Float(f64::from(index + 1))),
            row("load_phase_start_time_seconds", RowValue::Float((first_s + 1) as f64)),
            row(
                "load_phase_end_time_seconds",
                RowValue::Float(if s == seconds { (first_s + s) as f64 } else { 0.0 }),
            ),
            outcome("running", s < seconds),
            outcome(if index == 0 { "finished" } else { "cut_short" }, s == seconds),
            row("load_request_latency_seconds", histogram(s as u64 * 5)),
            Row::float(labels("up", "demo", "d"), t_ms, f64::from(index)),
        ];
        recorder.sink().append(rows).expect("taken");
    }
    recorder.phase_ended("p", phase_start + seconds * 1000 + 10).expect("noted");
    recorder.finish(Outcome::Finished).expect("finished");
    dir
}

fn read(run: &Run, name: &str) -> Vec<(Labels, Column)> {
    let matcher = assay_model::Matcher::equal("__name__", name);
    let found = run.database.select(&[matcher], i64::MIN, i64::MAX).expect("readable");
    found.iter().map(|s| (s.labels().clone(), column(run, &**s).expect("readable"))).collect()
}

#[test]
fn sums_are_the_sums_of_the_parts_at_every_instant() {
    let dir = tempfile::tempdir().expect("a directory");
    // The second begins two seconds later and ends earlier.
    let parts = [shard(dir.path(), 0, 0, 30), shard(dir.path(), 1, 2, 4)];
    let merged = merge(&parts, &dir.path().join("all")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(merged.warnings, ["of 3 shards these are missing: 2; the sums are without them"]);
    let m = &merged.manifest;
    assert_eq!((m.parts.len(), &m.outcome, m.shard), (2, &Some(Outcome::Finished), None));
    assert_eq!(m.parts[1].shard, Some(Shard { index: 1, count: 3 }));
    let phase = &m.phases[0];
    assert_eq!((phase.start_ms, phase.end_ms), (START_MS, Some(START_MS + 30_010)));

    let run = Run::open(&merged.dir).unwrap_or_else(|e| panic!("{e}"));
    let counters = read(&run, "load_iterations_total");
    assert_eq!(counters.len(), 1);
    assert_eq!(counters[0].0.get("instance"), Some("merged"));
    let c = &counters[0].1;
    assert_eq!((c.times.len(), c.values.last()), (31 + 5, Some(&340.0)));
    assert!(c.values.windows(2).all(|w| w[0] <= w[1]), "a counter never falls: {:?}", c.values);
    let at = |c: &Column, t: i64| c.times.iter().rposition(|x| *x <= t).map(|i| c.values[i]);
    assert_eq!(at(c, START_MS + 4_500), Some(40.0 + 20.0));
    // A gauge of a part that ended counts for ten seconds more.
    let users = &read(&run, "load_users")[0].1;
    assert_eq!((at(users, START_MS + 5_500), users.values.last()), (Some(3.0), Some(&1.0)));
    let latency = &read(&run, "load_request_latency_seconds")[0].1;
    let last = latency.histograms.last().expect("a histogram");
    assert_eq!((last.count, last.sum, last.positive_buckets.as_slice()), (170.0, 255.0, &[170.0][..]));
    // The plan: the earliest start, the latest end once all have ended, the worst outcome.
    let plan = |name: &str| read(&run, name).remove(0).1;
    assert!(plan("load_phase_start_time_seconds").values.iter().all(|v| *v == 1.0));
    let ends = plan("load_phase_end_time_seconds");
    assert_eq!((at(&ends, START_MS + 29_500), ends.values.last()), (Some(0.0), Some(&30.0)));
    let outcomes = read(&run, "load_phase_outcome");
    assert!(outcomes.iter().all(|(labels, _)| labels.get("load_run") == Some("run-0-merged")));
    let last: Vec<_> = outcomes
        .iter()
        .filter(|(_, c)| c.values.last() == Some(&1.0))
        .map(|(labels, _)| labels.get("outcome").unwrap_or_default())
        .collect();
    assert_eq!(last, ["cut_short"]);
    // What both scraped is there once, as the first had it.
    let scraped = read(&run, "up");
    assert_eq!((scraped.len(), scraped[0].1.values.iter().sum::<f64>()), (1, 0.0));
}

#[test]
fn runs_that_are_not_parts_of_one_load_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = shard(dir.path(), 0, 0, 2);
    let check = |runs: &[PathBuf], want: &str| {
        let e = merge(runs, &dir.path().join("out")).expect_err(want).to_string();
        assert!(e.contains(want), "{e}");
        assert!(!dir.path().join("out").exists());
    };
    check(&[first.clone(), first.clone()], "duplicate shard 0");
    let other = dir.path().join("other");
    let recorder = Recorder::create(&other, Manifest::new("u", START_MS), &RecorderOptions::default());
    recorder.expect("created").finish(Outcome::Finished).expect("finished");
    check(&[first.clone(), other], "its scenario is u, that of the first run t");
    check(&[first.clone(), dir.path().join("none")], "there is no such directory");
    check(&[first.join("data")], "has no run.json");
    assert!(matches!(
        merge(std::slice::from_ref(&first), &first),
        Err(MergeError::Write(ImportError::Exists { .. }))
    ));
}

#[test]
fn of_a_folder_the_newest_load_is_merged() {
    let folder = tempfile::tempdir().expect("a folder");
    // An older load, which had ended when the newer one began, and a folder that is no run.
    let older = folder.path().join("older");
    for index in 0..3 {
        let dir = shard(&older, index, 0, 5);
        // The recorder ends it at the present.
        let mut manifest = Manifest::read(&dir).expect("readable");
        manifest.end_ms = Some(START_MS + 6_000);
        manifest.write(&dir).expect("written");
        fs::rename(&dir, folder.path().join(format!("older-{index}"))).expect("moved");
    }
    fs::remove_dir(&older).expect("is empty");
    fs::create_dir(folder.path().join("no-run")).expect("made");
    for index in [1, 0] {
        shard(folder.path(), index, 100, 5);
    }
    let out = tempfile::tempdir().expect("a folder");
    let merged = merge(&[folder.path().to_owned()], &out.path().join("all")).expect("merges");
    let parts: Vec<&str> =
        merged.manifest.parts.iter().map(|p| p.name.rsplit('/').next().unwrap_or("")).collect();
    assert_eq!(parts, ["shard-0", "shard-1"]);
    assert!(merged.warnings.iter().any(|w| w.contains('2')), "the third is missing: {:?}", merged.warnings);
}
