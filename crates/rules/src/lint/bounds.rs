//! The values that an expression can have, whatever the data.
//!
//! Invariant: what is not known is unbounded; the bounds are never narrower than the truth. NaN is left out: it passes
//! no comparison but `!=`.

use assay_promql::{
    Expr,
    ast::{AggregateOp, BinaryOp},
};

/// The smallest and the largest value, both in.
pub(super) type Bounds = (f64, f64);

const ANY: Bounds = (f64::NEG_INFINITY, f64::INFINITY);
const POSITIVE: Bounds = (0.0, f64::INFINITY);

pub(super) fn of(expr: &Expr) -> Bounds {
    match expr {
        Expr::Number(n) => (n.value, n.value),
        Expr::Paren(p) => of(&p.expr),
        Expr::Vector(v) => match v.name.as_str() {
            "up" | "probe_success" => (0.0, 1.0),
            "ALERTS" => (1.0, 1.0),
            _ => ANY,
        },
        Expr::Aggregate(a) => match a.op {
            AggregateOp::Count | AggregateOp::CountValues => (1.0, f64::INFINITY),
            AggregateOp::Group => (1.0, 1.0),
            AggregateOp::Stddev | AggregateOp::Stdvar => POSITIVE,
            AggregateOp::Avg
            | AggregateOp::Max
            | AggregateOp::Min
            | AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => of(&a.expr),
            AggregateOp::Sum if of(&a.expr).0 >= 0.0 => POSITIVE,
            AggregateOp::Sum | AggregateOp::Quantile => ANY,
        },
        Expr::Call(c) => c.func.values.bounds().unwrap_or_else(|| c.args.first().map_or(ANY, of)),
        Expr::Binary(b) if b.return_bool => (0.0, 1.0),
        Expr::Binary(b) if b.op.is_comparison() => of(&b.lhs),
        Expr::Binary(b) => binary(b.op, of(&b.lhs), of(&b.rhs)),
        _ => ANY,
    }
}

fn binary(op: BinaryOp, (a, b): Bounds, (c, d): Bounds) -> Bounds {
    let bounds = match op {
        BinaryOp::Add => (a + c, b + d),
        BinaryOp::Sub => (a - d, b - c),
        BinaryOp::And | BinaryOp::Unless => (a, b),
        BinaryOp::Or => (a.min(c), b.max(d)),
        BinaryOp::Mul if a >= 0.0 && c >= 0.0 => (a * c, b * d),
        BinaryOp::Div if a >= 0.0 && c >= 0.0 => POSITIVE,
        _ => ANY,
    };
    if bounds.0.is_nan() || bounds.1.is_nan() { ANY } else { bounds }
}

/// Whether a comparison never holds (`Some(false)`), always holds (`Some(true)`), or depends on the data.
pub(super) fn decided(op: BinaryOp, (a, b): Bounds, (c, d): Bounds) -> Option<bool> {
    let (always, never) = match op {
        BinaryOp::Lss => (b < c, a >= d),
        BinaryOp::Lte => (b <= c, a > d),
        BinaryOp::Gtr => (a > d, b <= c),
        BinaryOp::Gte => (a >= d, b < c),
        BinaryOp::Eql => (a == b && c == d && a == c, b < c || d < a),
        BinaryOp::Neq => (b < c || d < a, a == b && c == d && a == c),
        _ => (false, false),
    };
    if always {
        Some(true)
    } else if never {
        Some(false)
    } else {
        None
    }
}
