//! Runs held against each other, and rules replayed for their alerts alone.

use assay_report::comparison;
use assay_run::Run;
use assay_verdict::{
    backtest::{backtest, write_block},
    compare::{Change, CompareOptions, Comparison, compare},
    eval::EvalOptions,
    source::{RecordedSource, Source as _, samples},
    verdict::Status,
};

use crate::recording::{Recording, T0_MS, Trouble, rules, sla};

fn compared(base: Trouble, new: Trouble) -> Comparison {
    let (base, new) = (Recording::new(base), Recording::new(new));
    let options = CompareOptions::new(base.path(), new.path());
    compare(&CompareOptions { slas: vec![sla()], force: true, ..options }).expect("compares")
}

fn change(comparison: &Comparison, name: &str, phase: &str) -> Change {
    let row = comparison.rows.iter().find(|r| r.name == name && r.phase.as_deref() == Some(phase));
    row.unwrap_or_else(|| panic!("no row {name} in {phase}")).change
}

#[test]
fn a_slower_peak_is_a_regression_and_a_faster_one_an_improvement() {
    let (well, slow) = (Trouble::default(), Trouble { slow_peak: true, seed: 3, ..Trouble::default() });
    let worse = compared(well, slow);
    assert_eq!(worse.status, Status::Fail);
    assert_eq!(change(&worse, "Query latency p99", "peak"), Change::Regression);
    assert_eq!(change(&worse, "Host CPU", "peak"), Change::Same);
    assert_eq!(change(&worse, "GPU memory", "peak"), Change::Skipped);
    assert_ne!(change(&worse, "Query latency p99", "steady"), Change::Regression);
    let text = comparison::render(&worse, 140);
    assert!(text.contains("regression") && text.contains("FAIL"), "{text}");
    assert_eq!(change(&compared(slow, well), "Query latency p99", "peak"), Change::Improvement);
}

#[test]
fn two_runs_of_the_same_service_do_not_regress() {
    for seed in 1..4 {
        let same = compared(Trouble::default(), Trouble { seed, ..Trouble::default() });
        let wrong: Vec<_> = same
            .rows
            .iter()
            .filter(|r| matches!(r.change, Change::Regression | Change::Improvement))
            .collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
}

#[test]
fn too_little_data_is_inconclusive() {
    let short = Trouble { killed_after_s: Some(20), ..Trouble::default() };
    let comparison = compared(Trouble::default(), short);
    assert_eq!(comparison.status, Status::Inconclusive);
    let row = comparison.rows.iter().find(|r| r.name == "Query latency p99").expect("is there");
    assert!(row.reason.contains("it takes 6") || row.reason.contains("no data"), "{row:?}");
}

#[test]
fn a_backtest_can_be_read_back_from_its_block() {
    let recording = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![rules()];
    let found = backtest(&options).expect("replays");
    let alert = found.alerts.iter().find(|a| a.name == "QueryLatencyP99High").expect("is there");
    assert!(!alert.counts && alert.instances.len() == 1, "{alert:#?}");
    let fired_ms = alert.instances[0].fired_at_ms.expect("fired");
    let data = recording.place("backtest");
    let (series, written) = write_block(&found.series, &data).expect("writes");
    assert!(series > 20 && written > 500, "{series} series, {written} samples");
    let run = Run::open(&data).expect("opens");
    let source = RecordedSource::new(&run.database);
    let state = |t_ms: i64| {
        let found = source.instant("ALERTS{alertname=\"QueryLatencyP99High\"}", t_ms).expect("evaluates");
        samples(found).first().and_then(|s| s.labels.get("alertstate").map(str::to_owned))
    };
    assert_eq!(state(fired_ms - 5_000), None);
    assert_eq!(state(fired_ms).as_deref(), Some("firing"));
    assert_eq!(state(T0_MS + 60_000), None);
}
