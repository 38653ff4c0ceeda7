//! What is expected of every alert, and rules that say the same twice.

use assay_rules::file::{Group, Rule};

use super::{Gravity, Linter};

pub(super) fn check(linter: &mut Linter<'_>, group: &Group, rule: &Rule) {
    duplicate(linter, rule);
    let Some(alerting) = rule.alerting() else {
        if !rule.name.contains(':') {
            linter.add(
                "record/name",
                Gravity::Info,
                rule,
                format!("{:?} does not look recorded: name it level:metric:operation", rule.name),
            );
        }
        return;
    };
    if !rule.labels.iter().any(|(n, _)| n == "severity") {
        let message = "has no label severity: nothing can route it or judge by it".to_owned();
        linter.add("alert/severity", Gravity::Warning, rule, message);
    }
    if !alerting.annotations.iter().any(|(n, _)| n == "summary") {
        let message = "has no annotation summary: who is paged reads only its name".to_owned();
        linter.add("alert/summary", Gravity::Warning, rule, message);
    }
    if let Some(interval_ms) = group.interval_ms
        && alerting.for_ms > 0
        && alerting.for_ms < interval_ms
    {
        let interval = super::interval_text(group).unwrap_or_default();
        linter.add(
            "alert/for",
            Gravity::Info,
            rule,
            format!("its `for` is shorter than the group's interval of {interval}: it waits one interval all the same"),
        );
    }
}

/// A rule with the name, labels and place of another one overwrites it.
fn duplicate(linter: &mut Linter<'_>, rule: &Rule) {
    let same = |other: &Rule| {
        other.name == rule.name
            && other.labels == rule.labels
            && (other.alerting().is_none() == rule.alerting().is_none())
            && (rule.alerting().is_none() || other.expr == rule.expr)
    };
    let first = linter
        .files
        .rules()
        .map(|(_, r)| r)
        .take_while(|r| !std::ptr::eq(*r, rule))
        .find(|r| same(r))
        .map(|r| format!("{}:{}", r.file(), r.position.line));
    if let Some(place) = first {
        let message = format!("has the name and labels of the rule at {place}: their samples collide");
        linter.add("rule/duplicate", Gravity::Warning, rule, message);
    }
}
