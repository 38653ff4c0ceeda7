//! Which parts of an expression have the same value at every step. Invariant: a part that is called invariant
//! reads no evaluation time.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`preprocessExprHelper`). Unlike there, an aggregation's
//! parameter counts too.

use crate::ast::{Call, Expr, ReadsTime};

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
        Expr::Call(c) => !reads_time(c) && c.args.iter().all(is_invariant),
    }
}

/// Whether a call's value depends on the evaluation time even over constant arguments.
fn reads_time(call: &Call) -> bool {
    match call.func.time {
        ReadsTime::Timeless => false,
        ReadsTime::ReadsTime => true,
        ReadsTime::ReadsTimeUnlessSelected => {
            !matches!(call.args.first().map(Expr::unparen), Some(Expr::Vector(_)))
        }
    }
}
