//! What comes out for runs that are well, slow, failing, incomplete or killed.

use assay_model::duration::format_ms;
use assay_verdict::{
    eval::{EvalOptions, eval},
    verdict::{Status, Verdict},
};

use crate::recording::{Recording, T0_MS, Trouble, rules, sla};

fn judged(recording: &Recording) -> Verdict {
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![rules()];
    options.slas = vec![sla()];
    eval(&options).expect("evaluates").verdict
}

fn row<'v>(verdict: &'v Verdict, name: &str, phase: &str) -> &'v assay_verdict::verdict::ObjectiveRow {
    let found = verdict.objectives.iter().find(|r| r.name == name && r.phase.as_deref() == Some(phase));
    found.unwrap_or_else(|| panic!("no row {name} in {phase}: {:#?}", verdict.objectives))
}

#[test]
fn a_healthy_run_passes() {
    let verdict = judged(&Recording::new(Trouble::default()));
    assert_eq!(
        verdict.status,
        Status::Pass,
        "{:#?}",
        (&verdict.summary, &verdict.problems, &verdict.objectives)
    );
    let windows: Vec<_> = verdict.windows.iter().map(|w| (w.title(), w.len_ms())).collect();
    assert_eq!(windows, [("steady", 60_000), ("peak", 60_000)]);
    assert_eq!(row(&verdict, "GPU memory", "steady").status, Status::Skipped);
    // Twelve queries a second in the peak, of which each takes a second.
    let concurrent = row(&verdict, "Concurrent queries", "peak").value.expect("is measured");
    assert!((concurrent - 12.0).abs() < 0.3, "{concurrent}");
    let busy = row(&verdict, "Host CPU", "peak");
    assert!((busy.value.expect("is measured") - 40.0).abs() < 0.5, "{busy:?}");
    assert_eq!(busy.labels, [("instance".to_owned(), "h".to_owned())]);
    let budget = row(&verdict, "Error rate", "peak").budget.expect("is declared");
    assert_eq!((budget.burn_rate, budget.allowed_ratio), (0.0, 0.015));
    assert!(verdict.notes.iter().any(|n| n.contains("sustained")), "{:?}", verdict.notes);
}

#[test]
fn a_slow_peak_fails_with_its_reason() {
    let verdict = judged(&Recording::new(Trouble { slow_peak: true, ..Trouble::default() }));
    assert_eq!(verdict.status, Status::Fail);
    assert_eq!(row(&verdict, "Query latency p99", "steady").status, Status::Pass);
    let slow = row(&verdict, "Query latency p99", "peak");
    assert_eq!((slow.status, slow.comparison.as_str(), slow.limit), (Status::Fail, "<", Some(7.0)));
    assert!((9.0..10.5).contains(&slow.value.expect("is measured")), "{slow:?}");
    let first = verdict.key_findings().next().expect("something is found");
    assert!(first.title.contains("generate") || first.id == "Q001", "{first:?}");
    let mut alerts = verdict.alerts.iter().filter(|a| a.name == "QueryLatencyP99High");
    let alert = alerts.find(|a| a.severity == "critical").expect("is there");
    // In a peak, alerts on availability alone count.
    assert_eq!(alert.status, Status::Pass);
    assert!(alert.reason.starts_with("fired in peak, where it does not count"), "{}", alert.reason);
    let fired_ms = alert.instances[0].fired_at_ms.expect("fired");
    assert!(fired_ms > T0_MS + 70_000, "the peak begins after 70 seconds: {}", format_ms(fired_ms - T0_MS));
    let watchdog = verdict.alerts.iter().find(|a| a.name == "Watchdog").expect("is there");
    assert_eq!((watchdog.status, watchdog.counts), (Status::Pass, false));
}

#[test]
fn failing_requests_spend_the_budget() {
    let verdict = judged(&Recording::new(Trouble { errors: true, ..Trouble::default() }));
    let errors = row(&verdict, "Error rate", "peak");
    assert_eq!(errors.status, Status::Fail);
    assert!((errors.value.expect("is measured") - 20.0).abs() < 0.5, "{errors:?}");
    let budget = errors.budget.expect("is declared");
    assert!(
        (budget.burn_rate - 20.0 / 1.5).abs() < 0.4 && budget.peak_burn_rate.expect("is measured") >= 12.6,
        "{budget:?}"
    );
    let first = verdict.key_findings().next().expect("something is found");
    assert!(first.id == "E001" && first.title.contains("503") && first.title.contains("query"), "{first:?}");
    assert!(verdict.failing_alerts().any(|a| a.name == "ErrorRateHigh"));
}

#[test]
fn missing_series_are_named_and_never_pass() {
    let verdict = judged(&Recording::new(Trouble { no_service: true, ..Trouble::default() }));
    assert_eq!(verdict.status, Status::Inconclusive, "{}", verdict.summary);
    let search = row(&verdict, "Search latency p99", "steady");
    assert_eq!(search.status, Status::Inconclusive);
    assert_eq!(search.reason, "the run has no series of rag_stage_duration_seconds");
    let stage = verdict.alerts.iter().find(|a| a.name == "SearchStageSlow").expect("is there");
    assert_eq!(stage.status, Status::Skipped);
    assert!(
        stage.reason.starts_with("not applicable: the run has no series of rag_stage"),
        "{}",
        stage.reason
    );
}

#[test]
fn a_killed_run_is_measured_up_to_its_last_sample_and_decides_nothing() {
    let verdict = judged(&Recording::new(Trouble { killed_after_s: Some(50), ..Trouble::default() }));
    assert_eq!(verdict.run.cut_short_ms, Some(T0_MS + 50_000));
    let windows: Vec<_> = verdict.windows.iter().map(|w| (w.title(), w.start_ms, w.end_ms)).collect();
    assert_eq!(windows, [("steady", T0_MS + 10_000, T0_MS + 50_000)]);
    let latency = row(&verdict, "Query latency p99", "steady");
    assert_eq!((verdict.status, latency.status), (Status::Inconclusive, Status::Inconclusive));
    assert!(latency.value.is_some() && latency.reason.contains("no end on record"), "{latency:#?}");
    let peak = verdict.objectives.iter().find(|r| r.name == "Concurrent queries").expect("is there");
    assert_eq!(peak.status, Status::Inconclusive, "the peak may have been planned");
}

#[test]
fn files_with_errors_are_all_told_and_nothing_is_evaluated() {
    let recording = Recording::new(Trouble { killed_after_s: Some(2), ..Trouble::default() });
    let (bad_rules, bad_sla) = (recording.place("r.yml"), recording.place("s.yml"));
    std::fs::write(&bad_rules, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'sum('}\n")
        .expect("writes");
    std::fs::write(&bad_sla, "sla: s\nobjectives:\n- {name: n, require: a <}\n").expect("writes");
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![bad_rules.display().to_string()];
    options.slas = vec![bad_sla];
    let problems = eval(&options).expect_err("must not evaluate").to_string();
    assert!(problems.contains("r.yml:4:") && problems.contains("s.yml:3:"), "{problems}");
}
