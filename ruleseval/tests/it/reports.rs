//! Every format of a real verdict. Invariant: the JSON satisfies the published schema whatever the outcome.

use assay_report::{html, json, junit, markdown};
use assay_verdict::{
    eval::{EvalOptions, Evaluation, eval},
    verdict::Status,
};

use crate::recording::{Recording, Trouble, root, rules, sla};

pub(crate) fn evaluated(trouble: Trouble) -> Evaluation {
    let recording = Recording::new(trouble);
    let mut options = EvalOptions::new(recording.path());
    options.rules = vec![rules()];
    options.slas = vec![sla()];
    options.charts = true;
    eval(&options).expect("evaluates")
}

#[test]
fn json_satisfies_the_published_schema() {
    let text = std::fs::read_to_string(root().join("docs/verdict.schema.json")).expect("reads");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let validator = jsonschema::validator_for(&schema).expect("is a schema");
    let check = |trouble: Trouble| {
        let mut verdict = evaluated(trouble).verdict;
        verdict.objectives[0].value = Some(f64::INFINITY);
        let value: serde_json::Value = serde_json::from_str(&json::render(&verdict)).expect("is JSON");
        let problems: Vec<_> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(problems.is_empty(), "{problems:#?}");
    };
    check(Trouble { errors: true, ..Trouble::default() });
    check(Trouble { slow_peak: true, no_service: true, ..Trouble::default() });
    check(Trouble { killed_after_s: Some(30), ..Trouble::default() });
    let mut broken: serde_json::Value =
        serde_json::from_str(&json::render(&evaluated(Trouble::default()).verdict)).expect("is JSON");
    broken["objectives"][0]["valeu"] = serde_json::json!(1);
    assert!(!validator.is_valid(&broken), "the schema must refuse what it does not know");
}

#[test]
fn the_html_report_draws_what_the_run_has() {
    let evaluation = evaluated(Trouble { slow_peak: true, ..Trouble::default() });
    let page = html::render(&evaluation.verdict, &evaluation.charts).expect("renders");
    for part in [
        "Latency of query",
        "Throughput",
        "Failed requests",
        "Processors",
        "Memory",
        "Stage latency p95",
        "Users and concurrency",
        "Time to first token",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert!(!page.contains("DCGM_FI_DEV_GPU_UTIL"), "a chart without data must be left out");
    assert!(page.contains("Query latency p99: 5 s"), "the limit is drawn in the chart of latency");
    assert!(evaluation.charts.plots.iter().all(|c| !c.lines.is_empty()));
    if let Ok(path) = std::env::var("ASSAY_KEEP_HTML") {
        std::fs::write(path, page).expect("writes");
    }
}

#[test]
fn the_levels_of_load_say_what_is_carried() {
    let scaling = |trouble: Trouble| evaluated(trouble).verdict.scaling;
    let broken = scaling(Trouble { slow_peak: true, ..Trouble::default() });
    let loads: Vec<f64> = broken.levels.iter().map(|l| l.load).collect();
    assert!(
        loads.len() == 2 && (4.0..6.0).contains(&loads[0]) && (20.0..25.0).contains(&loads[1]),
        "{broken:?}"
    );
    let carried = broken.carried.expect("is known");
    assert_eq!((carried.held, carried.missed), (Some(loads[0]), Some(loads[1])));
    assert!(carried.estimate.is_some_and(|e| e > loads[0] && e < loads[1]), "{carried:?}");
    assert!(carried.limited_by.contains("latency"), "{carried:?}");
    let whole = scaling(Trouble::default()).carried.expect("is known");
    assert!(whole.held.is_some_and(|h| h > 20.0) && whole.missed.is_none(), "{whole:?}");
    // A run cut short in its first phase has no level that ended.
    let short = scaling(Trouble { killed_after_s: Some(30), ..Trouble::default() });
    assert!(short.levels.is_empty() && short.carried.is_none() && short.unknown.len() == 2, "{short:?}");
}

#[test]
fn junit_and_markdown_tell_the_same_story() {
    let verdict = evaluated(Trouble { slow_peak: true, ..Trouble::default() }).verdict;
    let xml = junit::render(&[&verdict]).expect("writes");
    let failed = verdict.objectives.iter().filter(|r| r.status == Status::Fail).count()
        + verdict.failing_alerts().count();
    assert_eq!(xml.matches("<failure ").count(), failed, "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), verdict.objectives.len() + verdict.alerts.len());
    let text = markdown::render(&verdict);
    assert!(text.contains("❌ FAIL") && text.contains("QueryLatencyP99High"), "{text}");
}
