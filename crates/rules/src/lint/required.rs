//! `missing-severity` and `missing-summary`: what an alert should carry.

use super::{Context, Remark, remark};

pub(super) fn severity(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        if rule.alerting().is_some() && !rule.labels.iter().any(|(n, v)| n == "severity" && !v.is_empty()) {
            let message = "the alert has no label \"severity\", by which it is routed and judged";
            remark(out, id, rule.position, message);
        }
    }
}

pub(super) fn summary(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let Some(alerting) = rule.alerting() else { continue };
        if !alerting.annotations.iter().any(|(n, v)| n == "summary" && !v.is_empty()) {
            let message = "the alert has no annotation \"summary\"; people who are paged read it first";
            remark(out, id, rule.position, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn alerts_need_both_and_recording_rules_neither() {
        let rules = "- {alert: A, expr: up == 0}\n- {alert: B, expr: up == 0, labels: {severity: x}, annotations: {summary: y}}\n\
                     - {record: r, expr: up}";
        check(
            "missing-severity",
            rules,
            &["1: the alert has no label \"severity\", by which it is routed and judged"],
        );
        check(
            "missing-summary",
            rules,
            &["1: the alert has no annotation \"summary\"; people who are paged read it first"],
        );
    }
}
