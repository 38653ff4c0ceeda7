//! `never-fires` and `always-fires`: expressions that the data cannot change.

use assay_model::{MatchOp, duration::format_ms};
use assay_promql::{
    Expr,
    ast::{BinaryKind, Func, SetOp, VectorSelector},
};

use super::{Context, Remark, bounds, remark};

pub(super) fn never(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        rule.expr.walk(&mut |e| {
            if let Expr::Binary(b) = e
                && b.op.is_comparison()
                && !b.return_bool
                && bounds::decided(b.op, bounds::of(&b.lhs), bounds::of(&b.rhs)) == Some(false)
            {
                let position = rule.position_in_expr(&b.op_span);
                remark(out, id, position, format!("{e} never holds: {}", why(e)));
            }
        });
        for selector in rule.expr.selectors() {
            if let Some(message) = contradiction(selector) {
                remark(out, id, rule.position_in_expr(&selector.span), message);
            }
        }
    }
}

/// The bounds of both sides in words.
fn why(expr: &Expr) -> String {
    let Expr::Binary(b) = expr else { return String::new() };
    let words = |(low, high): bounds::Bounds| match (low.is_finite(), high.is_finite()) {
        (true, true) if low == high => format!("always {low}"),
        (true, true) => format!("from {low} to {high}"),
        (true, false) => format!("at least {low}"),
        (false, true) => format!("at most {high}"),
        (false, false) => "anything".to_owned(),
    };
    format!("the left side is {}, the right side {}", words(bounds::of(&b.lhs)), words(bounds::of(&b.rhs)))
}

/// Two matchers of a selector that exclude each other.
fn contradiction(selector: &VectorSelector) -> Option<String> {
    for equal in selector.matchers.iter().filter(|m| m.op == MatchOp::Equal) {
        let other = selector.matchers.iter().find(|m| m.name == equal.name && !m.matches(&equal.value));
        if let Some(other) = other {
            return Some(format!("{equal} and {other} exclude each other, so nothing is selected"));
        }
    }
    None
}

pub(super) fn always(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let Some(alerting) = rule.alerting() else { continue };
        if let Expr::Binary(b) = rule.expr.unparen()
            && b.op.is_comparison()
            && !b.return_bool
            && bounds::decided(b.op, bounds::of(&b.lhs), bounds::of(&b.rhs)) == Some(true)
            // Whether there is anything to compare is decided inside.
            && !(filters(&b.lhs) || filters(&b.rhs))
        {
            let message = format!("{} always holds: {}", rule.expr, why(rule.expr.unparen()));
            remark(out, id, rule.position_in_expr(&b.op_span), message);
            continue;
        }
        let through = context.summary(id).filter(|s| s.evaluations > 3 && s.with_result == s.evaluations);
        if let Some(summary) = through {
            let message = format!(
                "the expression had a result at each of the run's {} evaluations, in {} alerts after `for` of {}; \
                 an alert that always fires says nothing",
                summary.evaluations,
                context.instances(id),
                format_ms(alerting.for_ms)
            );
            remark(out, id, rule.position_in_expr(&rule.expr.span()), message);
        }
    }
}

/// Whether something in an expression leaves elements out by their values or by what else exists.
fn filters(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |e| {
        found |= match e {
            Expr::Binary(b) => match b.op.kind() {
                BinaryKind::Comparison(_) => !b.return_bool,
                BinaryKind::Set(op) => op != SetOp::Or,
                BinaryKind::Arithmetic(_) | BinaryKind::Trim(_) => false,
            },
            Expr::Call(c) => matches!(c.func.id, Func::Absence(_)),
            Expr::Vector(v) => v.name == "ALERTS",
            _ => false,
        };
    });
    found
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::{check, check_run};

    #[test]
    fn comparisons_that_the_data_cannot_change() {
        check(
            "never-fires",
            "- {alert: A, expr: count(up) < 1}\n- {alert: B, expr: up > 1}\n- {alert: C, expr: 'up{a=\"1\", a=\"2\"} == 0'}\n\
             - {alert: D, expr: 'rate(x[5m]) < 0'}\n- {alert: E, expr: up == 0}\n- {alert: F, expr: 'sum(rate(x[5m])) / sum(rate(y[5m])) > 0.1'}\n\
             - {alert: G, expr: absent(up) == 0}",
            &[
                "1: count(up) < 1 never holds: the left side is at least 1, the right side always 1",
                "2: up > 1 never holds: the left side is from 0 to 1, the right side always 1",
                "3: a=\"1\" and a=\"2\" exclude each other, so nothing is selected",
                "4: rate(x[5m]) < 0 never holds: the left side is at least 0, the right side always 0",
                "7: absent(up) == 0 never holds: the left side is always 1, the right side always 0",
            ],
        );
        check(
            "always-fires",
            "- {alert: A, expr: count(up) >= 1}\n- {alert: B, expr: up >= 1}\n- {alert: C, expr: count(up == 0) >= 1}\n\
             - {alert: D, expr: count(a unless b) > 0}\n- {alert: E, expr: sum(absent(up)) == 1}\n- {alert: F, expr: vector(1) > 0}\n\
             - {alert: G, expr: 'count_over_time((up == 0)[5m:]) > 0'}\n- {alert: H, expr: 'count(ALERTS{alertstate=\"firing\"}) > 0'}",
            &[
                "1: count(up) >= 1 always holds: the left side is at least 1, the right side always 1",
                "6: vector(1) > 0 always holds: the left side is always 1, the right side always 0",
            ],
        );
    }

    #[test]
    fn alerts_that_fire_through_a_run() {
        check_run(
            "always-fires",
            "- {alert: A, expr: gauge > 1}\n- {alert: B, expr: gauge > 5}",
            "gauge 2+1x60",
            &[
                "1: the expression had a result at each of the run's 11 evaluations, in 1 alerts after `for` of 0s; an alert that always fires says nothing",
            ],
        );
    }
}
