//! The shipped rules, SLA and configuration. Invariant: promtool accepts what we accept.

use std::process::Command;

use assay_rules::file::RuleFiles;
use assay_testkit::peer;

use crate::recording::{root, rules, sla};

#[test]
fn the_shipped_files_are_read_without_a_problem() {
    let files = RuleFiles::load(&[rules()]).expect("are right");
    assert!(files.rules().count() >= 60);
    let runbooks = std::fs::read_to_string(root().join("docs/runbooks.md")).expect("reads");
    for (_, rule) in files.rules().filter(|(_, r)| r.alerting().is_some()) {
        let alerting = rule.alerting().expect("is one");
        let severity = rule.labels.iter().find(|(n, _)| n == "severity").map(|(_, v)| v.as_str());
        assert!(matches!(severity, Some("critical" | "warning" | "info")), "{}", rule.title());
        for wanted in ["summary", "description", "runbook_url"] {
            assert!(alerting.annotations.iter().any(|(n, _)| n == wanted), "{} lacks {wanted}", rule.title());
        }
        assert!(runbooks.contains(&format!("\n### {}\n", rule.name)), "{} has no runbook", rule.name);
        let anchor = format!(
            "{{{{ or $externalLabels.runbooks \"docs/runbooks.md\" }}}}#{}",
            rule.name.to_lowercase()
        );
        assert!(
            alerting.annotations.iter().any(|(n, v)| n == "runbook_url" && *v == anchor),
            "{}",
            rule.title()
        );
    }
    let slas = assay_verdict::sla::read_files(&[sla()]).expect("is right");
    assert!(slas[0].objectives.len() >= 11);
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let Some(promtool) = peer("promtool") else { return };
    let list = |folder: &str| -> Vec<_> {
        let entries = std::fs::read_dir(root().join("prometheus").join(folder)).expect("lists");
        entries.map(|e| e.expect("an entry").path()).collect()
    };
    for (arguments, folder) in [(&["check", "rules"], "rules"), (&["test", "rules"], "tests")] {
        let out = Command::new(&promtool).args(arguments).args(list(folder)).output().expect("starts");
        assert!(
            out.status.success(),
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn every_alert_has_a_unit_test() {
    let files = RuleFiles::load(&[rules()]).expect("are right");
    let mut tests = String::new();
    for entry in std::fs::read_dir(root().join("prometheus/tests")).expect("lists") {
        tests.push_str(&std::fs::read_to_string(entry.expect("an entry").path()).expect("reads"));
    }
    for (_, rule) in files.rules().filter(|(_, r)| r.alerting().is_some()) {
        assert!(tests.contains(&format!("alertname: {}\n", rule.name)), "{} has none", rule.name);
    }
}
