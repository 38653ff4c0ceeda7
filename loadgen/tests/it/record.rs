//! The embedded record: what is in it, from when on, and in which phase's window.

use std::{path::Path, sync::Arc};

use assay_model::{Column, Labels, Queryable as _};
use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Run};
use loadgen::sink::recorder::RecorderSink;

use crate::server::{Server, respond, run_with};

const SCENARIO: &str = "
scenario: t
flow:
  - {name: good, get: /good, check: {status: 200}}
  - {name: bad, get: /bad, check: {status: 200}}
phases:
  warm: {executor: per-vu-iterations, vus: 2, iterations: 5, warmup: true}
  main: {executor: constant-arrival-rate, rate: 100/s, duration: 1s}
";

/// All series of a recorded run, with all of their samples.
pub(crate) fn recorded(dir: &Path) -> Vec<(Labels, Column)> {
    let run = Run::open(dir).unwrap_or_else(|e| panic!("{e}"));
    let series = run.database.select(&[], i64::MIN, i64::MAX).expect("readable");
    let read = |s: &dyn assay_model::Series| {
        let mut column = Column::default();
        s.read(i64::MIN, i64::MAX, &mut column).expect("readable");
        let labels = s.labels();
        assert_eq!((labels.get("job"), labels.get("instance")), (Some("loadgen"), Some("here")));
        (labels.clone(), column)
    };
    series.iter().map(|s| read(&**s)).collect()
}

/// A recorder of a run, and the sink for it.
pub(crate) fn recorder(dir: &Path) -> (Arc<Recorder>, RecorderSink) {
    let manifest = Manifest::new("t", assay_run::time::now_ms());
    let recorder = Recorder::create(dir, manifest, &RecorderOptions::default());
    let recorder = Arc::new(recorder.unwrap_or_else(|e| panic!("{e}")));
    let sink = RecorderSink::new(Arc::clone(&recorder), "here");
    (recorder, sink)
}

/// Completes a record whose run is over.
pub(crate) fn finish(recorder: Arc<Recorder>) {
    let recorder = Arc::try_unwrap(recorder).unwrap_or_else(|_| panic!("the run let go of its sinks"));
    recorder.finish(Outcome::Finished).unwrap_or_else(|e| panic!("{e}"));
}

/// Records a run into `dir` and gives what the record says.
fn record(dir: &Path) -> (loadgen::Summary, Vec<(Labels, Column)>) {
    let server = Server::start(|seen| respond(if seen.line() == "GET /bad" { 503 } else { 200 }, "", "ok"));
    let (recorder, sink) = recorder(dir);
    let summary = run_with(&server, SCENARIO, |o| o.outputs.sinks.push(Box::new(sink)));
    finish(recorder);
    (summary, recorded(dir))
}

#[test]
fn the_record_has_every_request_and_begins_at_zero() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path().join("run");
    let (summary, columns) = record(&dir);
    assert_eq!((summary.requests, summary.errors), (220, 110));
    let count = |name: &str, parts: &[(&str, &str)]| -> f64 {
        let has = |labels: &Labels| parts.iter().all(|(n, v)| labels.get(n) == Some(v));
        let of = columns.iter().filter(|(l, _)| l.metric_name() == name && has(l));
        of.map(|(_, c)| c.histograms.last().map_or_else(|| c.values[c.values.len() - 1], |h| h.count)).sum()
    };
    let durations = "http_client_request_duration_seconds";
    assert_eq!(count(durations, &[("load_phase", "main"), ("load_step", "good")]), 100.0);
    assert_eq!(count(durations, &[("error_type", "503"), ("http_response_status_code", "503")]), 110.0);
    assert_eq!(count("load_request_latency_seconds", &[]), 220.0);
    assert_eq!(count("load_checks_total", &[("result", "fail")]), 110.0);
    assert_eq!(count("load_iterations_total", &[]), 110.0);
    // A series that can be foreseen is at zero before the first phase; one that cannot gets a zero when it
    // appears, so that an increase over the phase has all of it.
    let manifest = Manifest::read(&dir).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(manifest.phases.len(), 2);
    assert!(manifest.phases[0].warmup && manifest.phases[1].end_ms.is_some());
    for (labels, column) in &columns {
        if labels.metric_name() == durations {
            assert_eq!(column.histograms[0].count, 0.0, "{labels}");
            // A failure that can be foreseen too.
            if labels.get("error_type").is_none_or(|class| class == "503" || class == "timeout") {
                assert!(column.histogram_times[0] <= manifest.phases[0].start_ms, "{labels}");
            }
        }
    }
    // In a phase's window lie all of its requests, and none of another's.
    let phase = &manifest.phases[1];
    for (labels, column) in columns.iter().filter(|(l, _)| l.get("load_phase") == Some("main")) {
        for (t, h) in column.histogram_times.iter().zip(&column.histograms) {
            assert!(*t > phase.start_ms + 1 || h.count == 0.0, "{labels} at {t}");
            assert!(
                *t < phase.end_ms.unwrap_or(0) || h.count == column.histograms.last().expect("one").count
            );
        }
    }
}

#[test]
fn the_record_has_the_plan_from_the_first_sample_to_the_last() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path().join("run");
    let (_, columns) = record(&dir);
    let manifest = Manifest::read(&dir).unwrap_or_else(|e| panic!("{e}"));
    let of = |name: &str, parts: &[(&str, &str)]| -> Column {
        let has = |labels: &Labels| parts.iter().all(|(n, v)| labels.get(n) == Some(v));
        let mut found = columns.iter().filter(|(l, _)| l.metric_name() == name && has(l));
        let (_, column) = found.next().unwrap_or_else(|| panic!("no {name} {parts:?}"));
        assert!(found.next().is_none(), "one {name} {parts:?}");
        column.clone()
    };
    let run = of("load_run_info", &[("load_scenario", "t"), ("load_shard", "0/1")]);
    let first = run.times[0];
    assert!(first < manifest.phases[0].start_ms);
    for (phase, warmup) in [("warm", "true"), ("main", "false")] {
        let info = of("load_phase_info", &[("load_phase", phase), ("warmup", warmup)]);
        assert_eq!((info.times[0], info.values[0]), (first, 1.0));
        let noted = manifest.phase(phase).expect("it ran");
        let seconds = |ms: i64| ms as f64 / 1e3;
        let start = of("load_phase_start_time_seconds", &[("load_phase", phase)]);
        assert_eq!((start.values[0], start.values.last()), (0.0, Some(&seconds(noted.start_ms))));
        let end = of("load_phase_end_time_seconds", &[("load_phase", phase)]);
        let end_ms = noted.end_ms.expect("it ended");
        assert_eq!((end.values[0], end.values.last()), (0.0, Some(&seconds(end_ms))));
        // At every instant one outcome holds; first it is planned, at last finished.
        let outcomes = ["planned", "running", "finished", "cut_short"]
            .map(|o| of("load_phase_outcome", &[("load_phase", phase), ("outcome", o)]));
        for i in 0..outcomes[0].values.len() {
            assert_eq!(outcomes.iter().map(|c| c.values[i]).sum::<f64>(), 1.0);
        }
        assert_eq!((outcomes[0].values[0], outcomes[2].values.last()), (1.0, Some(&1.0)));
        assert!(of("load_phase_planned_seconds", &[("load_phase", phase)]).values[0] > 0.0);
    }
    assert_eq!(of("load_run_outcome", &[("outcome", "running")]).values.last(), Some(&0.0));
    assert_eq!(of("load_run_outcome", &[("outcome", "finished")]).values.last(), Some(&1.0));
    // Every series of the generator says which run it is of.
    let id = columns[0].0.get("load_run").expect("an id").to_owned();
    let others = columns.iter().filter(|(l, _)| l.get("load_run") != Some(&id));
    assert_eq!(others.map(|(l, _)| l.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
}
