//! The values that an expression can have, whatever the data.
//!
//! Invariant: what is not known is unbounded; the bounds are never narrower than the truth. NaN is left out: it passes
//! no comparison but `!=`.

use assay_promql::{Expr, ast::BinaryOp};

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
        Expr::Aggregate(a) => match a.op.as_str() {
            "count" => (1.0, f64::INFINITY),
            "group" => (1.0, 1.0),
            "count_values" => (1.0, f64::INFINITY),
            "stddev" | "stdvar" => POSITIVE,
            "avg" | "max" | "min" | "topk" | "bottomk" | "limitk" | "limit_ratio" => of(&a.expr),
            "sum" if of(&a.expr).0 >= 0.0 => POSITIVE,
            _ => ANY,
        },
        Expr::Call(c) => match c.func.name {
            "rate" | "increase" | "irate" | "resets" | "changes" | "stddev_over_time"
            | "stdvar_over_time" | "sqrt" | "histogram_count" | "exp" | "time" | "timestamp" => POSITIVE,
            "count_over_time" => (1.0, f64::INFINITY),
            "absent" | "absent_over_time" | "present_over_time" => (1.0, 1.0),
            "histogram_fraction" => (0.0, 1.0),
            "abs" => POSITIVE,
            "sgn" => (-1.0, 1.0),
            "day_of_month" | "days_in_month" => (1.0, 31.0),
            "day_of_week" => (0.0, 6.0),
            "hour" => (0.0, 23.0),
            "minute" => (0.0, 59.0),
            "month" => (1.0, 12.0),
            "vector" | "scalar" | "sort" | "sort_desc" => c.args.first().map_or(ANY, of),
            _ => ANY,
        },
        Expr::Binary(b) if b.return_bool => (0.0, 1.0),
        Expr::Binary(b) if b.op.is_comparison() => of(&b.lhs),
        Expr::Binary(b) => binary(b.op, of(&b.lhs), of(&b.rhs)),
        _ => ANY,
    }
}

fn binary(op: BinaryOp, (a, b): Bounds, (c, d): Bounds) -> Bounds {
    let bounds = match op.as_str() {
        "+" => (a + c, b + d),
        "-" => (a - d, b - c),
        "and" | "unless" => (a, b),
        "or" => (a.min(c), b.max(d)),
        "*" if a >= 0.0 && c >= 0.0 => (a * c, b * d),
        "/" if a >= 0.0 && c >= 0.0 => POSITIVE,
        _ => ANY,
    };
    if bounds.0.is_nan() || bounds.1.is_nan() { ANY } else { bounds }
}

/// Whether a comparison never holds (`Some(false)`), always holds (`Some(true)`), or depends on the data.
pub(super) fn decided(op: BinaryOp, (a, b): Bounds, (c, d): Bounds) -> Option<bool> {
    let (always, never) = match op.as_str() {
        "<" => (b < c, a >= d),
        "<=" => (b <= c, a > d),
        ">" => (a > d, b <= c),
        ">=" => (a >= d, b < c),
        "==" => (a == b && c == d && a == c, b < c || d < a),
        "!=" => (b < c || d < a, a == b && c == d && a == c),
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
