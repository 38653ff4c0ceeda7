//! `without-condition`: an alert whose expression has a result whenever its series exist.

use assay_promql::{
    Expr,
    ast::{BinaryOp, Func, ScalarFunc, Values},
};

use super::{Context, Remark, remark};

pub(super) fn check(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        if rule.alerting().is_some() && !is_condition(&rule.expr) {
            let message = "the expression has no comparison, and holds as long as its series exist, whatever their values";
            remark(out, id, rule.position_in_expr(&rule.expr.span()), message);
        }
    }
}

/// Whether something in the expression leaves elements out by their value or by what else exists.
fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(b) if b.op.is_comparison() => !b.return_bool,
        Expr::Binary(b) if b.op == BinaryOp::Unless => true,
        Expr::Binary(b) => is_condition(&b.lhs) || is_condition(&b.rhs),
        // Absence is a condition, and so is a series that exists only while something is wrong.
        Expr::Call(c)
            if c.func.values == Values::AlwaysOne || c.func.id == Func::Scalar(ScalarFunc::Vector) =>
        {
            true
        }
        Expr::Vector(v) => v.name == "ALERTS",
        expr => expr.children().into_iter().any(is_condition),
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn conditions() {
        let says =
            "the expression has no comparison, and holds as long as its series exist, whatever their values";
        check(
            "without-condition",
            "- {alert: A, expr: up}\n- {alert: B, expr: up == 0}\n- {alert: C, expr: absent(up)}\n- {alert: D, expr: up == bool 0}\n\
             - {alert: E, expr: sum(up > 1)}\n- {alert: F, expr: a unless b}\n- {record: r, expr: up}",
            &[&format!("1: {says}"), &format!("4: {says}")],
        );
    }
}
