//! Lint of rules, with and without a run.

use assay_rules::file::RuleFiles;
use assay_run::Run;
use ruleseval::lint::{Finding, lint};

use crate::recording::{Recording, Trouble, rules};

/// The codes found in the rules of one group, with the line of each.
fn found(recording: &Recording, with_run: bool, rules: &str) -> Vec<(&'static str, usize)> {
    let path = recording.beside("rules.yml");
    std::fs::write(&path, format!("groups:\n- name: g\n  interval: 5s\n  rules:\n{rules}")).expect("writes");
    let files = RuleFiles::load(&[path.display().to_string()]).expect("are right");
    let run = with_run.then(|| Run::open(&recording.path()).expect("opens"));
    let findings = lint(&files, run.as_ref().map(|r| &r.database as &dyn assay_model::Queryable));
    findings.iter().map(|f: &Finding| (f.code, f.line)).collect()
}

const GOOD: &str = "    labels: {severity: critical}\n    annotations: {summary: s}\n";

#[test]
fn conventions_and_units_need_no_run() {
    let recording = Recording::new(Trouble { killed_after_s: Some(1), ..Trouble::default() });
    let check =
        |rules: &str, want: &[(&str, usize)]| assert_eq!(found(&recording, false, rules), want, "{rules}");
    check(&format!("  - alert: A\n    expr: up == 0\n{GOOD}"), &[]);
    check("  - alert: A\n    expr: up == 0\n", &[("alert/severity", 5), ("alert/summary", 5)]);
    check("  - {record: plain, expr: up}\n", &[("record/name", 5)]);
    check("  - {record: 'a:b', expr: up}\n  - {record: 'a:b', expr: up * 2}\n", &[("rule/duplicate", 6)]);
    check(&format!("  - alert: A\n    for: 1s\n    expr: up == 0\n{GOOD}"), &[("alert/for", 5)]);
    check(&format!("  - alert: A\n    expr: a_seconds > b_milliseconds\n{GOOD}"), &[("expr/unit", 6)]);
    check(&format!("  - alert: A\n    expr: max(used_ratio) > 80\n{GOOD}"), &[("expr/unit", 6)]);
    check(
        &format!(
            "  - alert: A\n    expr: histogram_quantile(0.9, sum(rate(d_seconds[5m]))) > on () max(l_milliseconds)\n{GOOD}"
        ),
        &[("expr/unit", 6)],
    );
    check(&format!("  - alert: A\n    expr: a_seconds / b_milliseconds > 3\n{GOOD}"), &[]);
    // A comment silences one code, for one rule.
    check("  # lint: ignore alert/severity\n  - alert: A\n    expr: up == 0\n", &[("alert/summary", 6)]);
    check(
        "  - alert: A # lint: ignore alert/severity, alert/summary\n    expr: up == 0\n  - alert: B\n    expr: up == 1\n",
        &[("alert/severity", 7), ("alert/summary", 7)],
    );
}

#[test]
fn a_run_tells_what_is_missing_short_or_always_true() {
    let recording = Recording::new(Trouble { killed_after_s: Some(60), ..Trouble::default() });
    let check =
        |rules: &str, want: &[(&str, usize)]| assert_eq!(found(&recording, true, rules), want, "{rules}");
    let alert = |expr: &str| format!("  - alert: A\n    expr: {expr}\n{GOOD}");
    check(&alert("up == 0"), &[]);
    check(&alert("nothing_like_it == 0"), &[("data/series", 6)]);
    check(&alert("'up{job=\"dmeo\"} == 0'"), &[("data/label", 6)]);
    check(&alert("'up{job!=\"dmeo\"} == 0'"), &[]);
    check(&alert("rate(load_iterations_total[1s]) < 0"), &[("expr/range", 6)]);
    check(&alert("load_users"), &[("alert/comparison", 5)]);
    check(&alert("load_users > 0"), &[("alert/always", 5)]);
}

#[test]
fn the_shipped_rules_have_no_finding() {
    let files = RuleFiles::load(&[rules()]).expect("are right");
    let findings: Vec<_> = lint(&files, None).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{findings:#?}");
}
