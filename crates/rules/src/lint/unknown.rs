//! `unknown-series` and `unknown-label`: what a rule asks for and the run does not have.

use std::collections::BTreeSet;

use assay_model::{METRIC_NAME, MatchOp, Matcher};
use assay_promql::{
    Expr,
    ast::{AggregateOp, Func, ScalarFunc, VectorSelector},
};
use assay_yaml::nearest;

use super::{Context, Remark, remark};

pub(super) fn series(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        for selector in guarded(&rule.expr) {
            let matchers = &selector.matchers;
            if context.is_written(matchers) || !context.series(matchers).is_empty() {
                continue;
            }
            let position = rule.position_in_expr(&selector.span);
            remark(out, id, position, why_none(context, matchers));
        }
    }
}

/// The selectors of an expression, without those whose absence is what is asked about.
fn guarded(expr: &Expr) -> Vec<&VectorSelector> {
    match expr {
        Expr::Call(c) if matches!(c.func.id, Func::Absence(_)) => Vec::new(),
        Expr::Vector(v) => vec![v],
        Expr::Matrix(m) => vec![&m.selector],
        expr => expr.children().into_iter().flat_map(guarded).collect(),
    }
}

/// Why a selector finds nothing: the first matcher to leave nothing, or a name like another.
fn why_none(context: &Context<'_>, matchers: &[Matcher]) -> String {
    let Some(name) = matchers.iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal) else {
        return "the run has no series that the selector matches".to_owned();
    };
    let of_name = context.series(std::slice::from_ref(name));
    if of_name.is_empty() {
        let names = context.metric_names();
        let hint = nearest(&name.value, names.iter().map(String::as_str));
        let hint = hint.map(|n| format!("; the nearest name is {n}")).unwrap_or_default();
        return format!("the run has no series of the metric {}{hint}", name.value);
    }
    for matcher in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        let values: BTreeSet<&str> = of_name.iter().filter_map(|l| l.get(&matcher.name)).collect();
        if values.is_empty() {
            return format!("no series of {} has the label {:?}", name.value, matcher.name);
        }
        if !values.iter().any(|v| matcher.matches(v)) {
            let shown: Vec<_> = values.iter().take(5).map(|v| format!("{v:?}")).collect();
            let more = if values.len() > 5 { ", …" } else { "" };
            return format!(
                "no series of {} matches {matcher}; its values are {}{more}",
                name.value,
                shown.join(", ")
            );
        }
    }
    format!("no series of {} matches all of the selector's conditions at once", name.value)
}

pub(super) fn labels(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        rule.expr.walk(&mut |e| {
            let (names, parts, what): (Vec<&String>, Vec<&Expr>, _) = match e {
                Expr::Aggregate(a) => {
                    (a.grouping.iter().collect(), vec![&a.expr], if a.without { "without" } else { "by" })
                }
                Expr::Binary(b) => match &b.matching {
                    Some(m) => (
                        m.matching_labels.iter().chain(&m.include).collect(),
                        vec![&b.lhs, &b.rhs],
                        if m.on { "on" } else { "ignoring" },
                    ),
                    None => return,
                },
                _ => return,
            };
            for name in names {
                if !may_have(context, &parts, name) {
                    let position = rule.position_in_expr(&e.span());
                    let message =
                        format!("{what} ({name}): no series that is selected here has the label {name:?}");
                    remark(out, id, position, message);
                }
            }
        });
    }
}

/// Whether some series that is selected may have a label. Where a function makes labels, or a rule's own series are
/// selected, or none at all, that is not known.
fn may_have(context: &Context<'_>, parts: &[&Expr], label: &str) -> bool {
    let mut known = true;
    for part in parts {
        part.walk(&mut |e| {
            known &= match e {
                Expr::Call(c) => {
                    !matches!(c.func.id, Func::Label(_) | Func::Info(_) | Func::Scalar(ScalarFunc::Vector))
                }
                Expr::Aggregate(a) => a.op != AggregateOp::CountValues,
                _ => true,
            };
        });
    }
    let selectors: Vec<_> = parts.iter().flat_map(|p| p.selectors()).collect();
    if !known || selectors.is_empty() || selectors.iter().any(|s| context.is_written(&s.matchers)) {
        return true;
    }
    let found: Vec<_> = selectors.iter().flat_map(|s| context.series(&s.matchers)).collect();
    found.is_empty() || found.iter().any(|l| l.get(label).is_some())
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check_run;

    #[test]
    fn what_the_run_does_not_have() {
        check_run(
            "unknown-series",
            "- {record: r, expr: requests_totl}\n- {record: s, expr: r + requests_total}\n- {record: t, expr: 'requests_total{job=\"b\"}'}\n\
             - {record: u, expr: 'requests_total{jab=\"a\"}'}\n- {alert: A, expr: absent(gone)}\n- {alert: B, expr: 'ALERTS{alertname=\"A\"}'}\n\
             - {alert: C, expr: 'ALERTS{alertname=\"Z\"}'}",
            "requests_total{job=\"a\"} 1 2 3",
            &[
                "1: the run has no series of the metric requests_totl; the nearest name is requests_total",
                "3: no series of requests_total matches job=\"b\"; its values are \"a\"",
                "4: no series of requests_total has the label \"jab\"",
                "7: the run has no series of the metric ALERTS",
            ],
        );
    }

    #[test]
    fn labels_that_no_series_has() {
        check_run(
            "unknown-label",
            "- {record: r, expr: sum by (job) (requests_total)}\n- {record: s, expr: sum by (instance) (requests_total)}\n\
             - {record: t, expr: requests_total / on (pod) requests_total}\n- {record: u, expr: sum by (x) (s)}",
            "requests_total{job=\"a\"} 1 2 3",
            &[
                "2: by (instance): no series that is selected here has the label \"instance\"",
                "3: on (pod): no series that is selected here has the label \"pod\"",
            ],
        );
    }
}
