//! Which parts of an expression have the same value at every step. Invariant: a part that is called invariant
//! reads no evaluation time.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`preprocessExprHelper`). Unlike there, an aggregation's
//! parameter counts too.

use crate::ast::{Expr, Func};

/// Functions whose value depends on the evaluation time even over constant arguments.
fn reads_time(func: Func) -> bool {
    matches!(
        func,
        Func::DaysInMonth
            | Func::DayOfMonth
            | Func::DayOfWeek
            | Func::DayOfYear
            | Func::Hour
            | Func::Minute
            | Func::Month
            | Func::Year
            | Func::PredictLinear
            | Func::Time
            | Func::Timestamp
    )
}

/// Whether the expression has the same value at every step.
pub(super) fn is_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(v) => v.at.is_some(),
        Expr::Matrix(m) => m.selector.at.is_some(),
        Expr::Subquery(s) => s.at.is_some(),
        Expr::Paren(p) => is_invariant(&p.expr),
        Expr::Unary(u) => is_invariant(&u.expr),
        Expr::Aggregate(a) => is_invariant(&a.expr) && a.param.as_ref().is_none_or(|p| is_invariant(p)),
        Expr::Binary(b) => is_invariant(&b.lhs) && is_invariant(&b.rhs),
        Expr::Call(c) if c.func.id == Func::Timestamp => {
            matches!(c.args.first().map(Expr::unparen), Some(Expr::Vector(v)) if v.at.is_some())
        }
        Expr::Call(c) => !reads_time(c.func.id) && c.args.iter().all(is_invariant),
    }
}
