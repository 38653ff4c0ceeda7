//! `unit-mismatch`: comparisons and sums of different units of one kind, by the units that names end in; and, with a
//! run, limits that the data puts in another unit.

use assay_promql::{
    Expr,
    ast::{AggregateOp, BinaryOp, UnitOf, ValueType},
};

use super::{Context, Remark, remark};

/// Units by the end of a metric's name, with their kind and how many base units they are.
const UNITS: [(&str, &str, f64); 14] = [
    ("seconds", "time", 1.0),
    ("milliseconds", "time", 1e-3),
    ("ms", "time", 1e-3),
    ("microseconds", "time", 1e-6),
    ("nanoseconds", "time", 1e-9),
    ("minutes", "time", 60.0),
    ("hours", "time", 3600.0),
    ("bytes", "size", 1.0),
    ("kilobytes", "size", 1e3),
    ("kibibytes", "size", 1024.0),
    ("megabytes", "size", 1e6),
    ("mebibytes", "size", 1_048_576.0),
    ("gigabytes", "size", 1e9),
    ("gibibytes", "size", 1_073_741_824.0),
];

/// What a limit that is off by a factor was meant in.
const MEANT: [(&str, &str, f64); 4] = [
    ("seconds", "milliseconds", 1e3),
    ("bytes", "MiB", 1.0 / 1_048_576.0),
    ("bytes", "kB", 1e-3),
    ("bytes", "GiB", 1.0 / 1_073_741_824.0),
];

type Unit = (&'static str, &'static str, f64);

fn of_name(name: &str) -> Option<Unit> {
    let name =
        ["_total", "_sum", "_bucket", "_created"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
    let name = name.split(':').next_back().unwrap_or(name);
    let word = name.rsplit('_').next()?;
    UNITS.iter().find(|(unit, _, _)| *unit == word).copied()
}

/// The unit of an expression's value, where all that it selects agrees and nothing in it changes the unit.
fn of(expr: &Expr) -> Option<Unit> {
    match expr {
        Expr::Vector(v) => of_name(&v.name),
        Expr::Matrix(m) => of_name(&m.selector.name),
        Expr::Paren(p) => of(&p.expr),
        Expr::Unary(u) => of(&u.expr),
        Expr::Subquery(s) => of(&s.expr),
        Expr::Aggregate(a) => match a.op {
            AggregateOp::Count | AggregateOp::CountValues | AggregateOp::Group | AggregateOp::Stdvar => None,
            _ => of(&a.expr),
        },
        Expr::Call(c) => match c.func.unit {
            UnitOf::UnitOfBuckets => quantile_unit(expr),
            UnitOf::KeepsUnit => c.args.iter().find_map(of),
            // A rate of seconds is a share of time, and a rate of buckets a rate of counts.
            UnitOf::OtherUnit => None,
        },
        Expr::Binary(b) if is_sum(b.op) || b.op.is_set() || b.op.is_comparison() => {
            of(&b.lhs).or_else(|| of(&b.rhs))
        }
        _ => None,
    }
}

fn is_sum(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Sub)
}

/// A quantile has the unit of the histogram's name, however its buckets were counted.
fn quantile_unit(expr: &Expr) -> Option<Unit> {
    expr.selectors().iter().find_map(|s| of_name(&s.name))
}

pub(super) fn check(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        rule.expr.walk(&mut |e| {
            let Expr::Binary(b) = e else { return };
            if !(b.op.is_comparison() || is_sum(b.op)) {
                return;
            }
            let position = rule.position_in_expr(&b.op_span);
            match (of(&b.lhs), of(&b.rhs)) {
                (Some(left), Some(right)) if left.2 != right.2 || left.1 != right.1 => {
                    let message = format!("the left side is in {}, the right side in {}", left.0, right.0);
                    remark(out, id, position, message);
                }
                (Some(unit), None) if b.op.is_comparison() => {
                    if let Some(message) = off_by_a_factor(context, &b.lhs, unit, &b.rhs) {
                        remark(out, id, position, message);
                    }
                }
                _ => {}
            }
        });
    }
}

/// A constant limit far from all that the run holds, which another unit would put in its midst.
fn off_by_a_factor(context: &Context<'_>, expr: &Expr, unit: Unit, limit: &Expr) -> Option<String> {
    let Expr::Number(limit) = limit.unparen() else { return None };
    let (Expr::Vector(selector), true) = (expr.unparen(), limit.value > 0.0) else { return None };
    if expr.value_type() != ValueType::Vector {
        return None;
    }
    let values: Vec<f64> = context
        .samples(&selector.matchers, 100)
        .into_iter()
        .flat_map(|c| c.values)
        .filter(|v| v.is_finite() && *v > 0.0)
        .collect();
    let (low, high) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    for (base, meant, factor) in MEANT.iter().filter(|m| m.0 == unit.0) {
        let there = limit.value / factor;
        let far = limit.value > high * 100.0 || limit.value < low / 100.0;
        if far && there >= low / 10.0 && there <= high * 10.0 {
            return Some(format!(
                "the run's values lie between {low} and {high} {base}; {} looks like {meant}, which is {there} {base}",
                limit.value
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::{check, check_run};

    #[test]
    fn units_by_name() {
        check(
            "unit-mismatch",
            "- {alert: A, expr: a_seconds > b_milliseconds}\n- {alert: B, expr: a_bytes - b_bytes > c_mebibytes}\n\
             - {alert: C, expr: 'histogram_quantile(0.9, rate(a_seconds_bucket[5m])) > b_ms'}\n- {alert: D, expr: a_seconds > b_seconds}\n\
             - {alert: E, expr: 'rate(a_seconds_total[5m]) > b_ratio'}",
            &[
                "1: the left side is in seconds, the right side in milliseconds",
                "2: the left side is in bytes, the right side in mebibytes",
                "3: the left side is in seconds, the right side in ms",
            ],
        );
    }

    #[test]
    fn limits_by_the_data() {
        check_run(
            "unit-mismatch",
            "- {alert: A, expr: latency_seconds > 500}\n- {alert: B, expr: latency_seconds > 0.5}",
            "latency_seconds 0.2 0.4 0.3 0.6",
            &[
                "1: the run's values lie between 0.2 and 0.6 seconds; 500 looks like milliseconds, which is 0.5 seconds",
            ],
        );
    }
}
