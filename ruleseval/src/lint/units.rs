//! Comparisons and sums of different units, told from the metrics' names.

use assay_promql::{
    Expr,
    ast::{BinaryOp, Span},
};
use assay_rules::file::Rule;

use super::{Gravity, Linter};

/// Endings of metric names and what they measure.
const UNITS: [(&str, &str); 12] = [
    ("_milliseconds", "ms"),
    ("_microseconds", "µs"),
    ("_seconds", "s"),
    ("_kibibytes", "KiB"),
    ("_mebibytes", "MiB"),
    ("_bytes", "bytes"),
    ("_celsius", "°C"),
    ("_ratio", "a ratio"),
    ("_percent", "%"),
    ("_hertz", "Hz"),
    ("_joules", "J"),
    ("_watts", "W"),
];

pub(super) fn check(linter: &mut Linter<'_>, rule: &Rule) {
    let mut found: Vec<(Span, String)> = Vec::new();
    rule.expr.walk(&mut |expr| {
        let Expr::Binary(binary) = expr else { return };
        let additive = matches!(binary.op, BinaryOp::Add | BinaryOp::Sub) || binary.op.is_comparison();
        if !additive {
            return;
        }
        if let (Some(left), Some(right)) = (unit(&binary.lhs), unit(&binary.rhs))
            && left != right
        {
            let what = if binary.op.is_comparison() { "compares" } else { "adds" };
            found.push((binary.op_span.clone(), format!("{what} {left} with {right}; convert one of them")));
        }
        if binary.op.is_comparison()
            && let (Some("a ratio"), Expr::Number(limit)) = (unit(&binary.lhs), binary.rhs.unparen())
            && limit.value > 1.0
        {
            let text = format!("compares a ratio with {}; a ratio ends at 1", limit.value);
            found.push((binary.op_span.clone(), text));
        }
    });
    for (span, message) in found {
        linter.add_in("expr/unit", Gravity::Warning, rule, &span, message);
    }
}

/// The unit of an expression where nothing changes it: selectors, sums, extremes and quantiles of one metric.
fn unit(expr: &Expr) -> Option<&'static str> {
    match expr.unparen() {
        Expr::Vector(v) => unit_of(&v.name),
        Expr::Matrix(m) => unit_of(&m.selector.name),
        Expr::Aggregate(a) if !matches!(a.op.as_str(), "count" | "count_values" | "group" | "stdvar") => {
            unit(&a.expr)
        }
        Expr::Call(c) => match c.func.name {
            "histogram_quantile" => c.args.last().and_then(unit_in_rate),
            name if name.ends_with("_over_time")
                && !matches!(name, "count_over_time" | "present_over_time" | "stdvar_over_time") =>
            {
                c.args.last().and_then(unit)
            }
            "abs" | "ceil" | "floor" | "round" | "clamp" | "clamp_min" | "clamp_max" | "histogram_avg" => {
                c.args.first().and_then(unit_in_rate)
            }
            _ => None,
        },
        _ => None,
    }
}

/// As [`unit`], where a histogram's observations keep their unit under `rate` and `sum`.
fn unit_in_rate(expr: &Expr) -> Option<&'static str> {
    match expr.unparen() {
        Expr::Call(c) if matches!(c.func.name, "rate" | "increase" | "irate") => {
            c.args.first().and_then(unit)
        }
        Expr::Aggregate(a) => unit_in_rate(&a.expr),
        other => unit(other),
    }
}

fn unit_of(metric: &str) -> Option<&'static str> {
    let name = ["_bucket", "_total"].iter().fold(metric, |n, suffix| n.strip_suffix(suffix).unwrap_or(n));
    // Counts of a classic histogram have no unit.
    if name.ends_with("_count") {
        return None;
    }
    UNITS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, unit)| *unit)
}
