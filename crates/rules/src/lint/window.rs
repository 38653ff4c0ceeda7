//! `rate-range` and `rate-of-gauge`: range functions and the data that they are given.

use assay_model::{MetricType, duration::format_ms};
use assay_promql::{
    Expr,
    ast::{DurationContext, Function, MatrixSelector, Samples},
};

use super::{Context, Remark, remark};

/// Calls the function for every range selector that is a function's argument.
fn each_range(expr: &Expr, f: &mut dyn FnMut(&'static Function, &MatrixSelector)) {
    expr.walk(&mut |e| {
        if let Expr::Call(call) = e {
            for arg in &call.args {
                if let Expr::Matrix(matrix) = arg.unparen() {
                    f(call.func, matrix);
                }
            }
        }
    });
}

pub(super) fn short(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        each_range(&rule.expr, &mut |function, matrix| {
            if function.samples == Samples::AnySamples {
                return;
            }
            let Ok(range_ms) = matrix.range.resolve_ms(DurationContext::default(), true) else { return };
            let Some(interval_ms) = interval_ms(context, matrix) else { return };
            if range_ms < 2 * interval_ms {
                let message = format!(
                    "{} needs two samples, and {} has one every {}: a range of {} may hold one only; use at least {}",
                    function.name,
                    matrix.selector.name,
                    format_ms(interval_ms),
                    format_ms(range_ms),
                    format_ms(4 * interval_ms)
                );
                remark(out, id, rule.position_in_expr(&matrix.span), message);
            }
        });
    }
}

/// The median distance between samples of a selector's series, in whole seconds where they are that far apart.
fn interval_ms(context: &Context<'_>, matrix: &MatrixSelector) -> Option<i64> {
    let columns = context.samples(&matrix.selector.matchers, 20);
    let apart = |times: &[i64]| times.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
    let mut all: Vec<i64> =
        columns.iter().flat_map(|c| [apart(&c.times), apart(&c.histogram_times)].concat()).collect();
    all.sort_unstable();
    let median = *all.get(all.len() / 2)?;
    Some(if median >= 1000 { (median + 500) / 1000 * 1000 } else { median })
}

pub(super) fn gauge(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        each_range(&rule.expr, &mut |function, matrix| {
            if function.samples == Samples::TwoOfCounter
                && context.metric_type(&matrix.selector.name) == Some(MetricType::Gauge)
            {
                let message = format!(
                    "{} takes each fall for a restart, and {} is a gauge; use delta or deriv",
                    function.name, matrix.selector.name
                );
                remark(out, id, rule.position_in_expr(&matrix.span), message);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check_run;

    #[test]
    fn ranges_against_the_data() {
        check_run(
            "rate-range",
            "- {record: r, expr: 'rate(x_total[30s])'}\n- {record: s, expr: 'rate(x_total[20s])'}\n- {record: t, expr: 'max_over_time(x_total[5s])'}",
            "x_total 0+1x30",
            &[
                "2: rate needs two samples, and x_total has one every 15s: a range of 20s may hold one only; use at least 1m",
            ],
        );
    }

    #[test]
    fn rates_of_gauges() {
        check_run(
            "rate-of-gauge",
            "- {record: r, expr: 'rate(a_gauge[5m])'}\n- {record: s, expr: 'delta(a_gauge[5m])'}\n- {record: t, expr: 'rate(x_total[5m])'}",
            "a_gauge 0+1x30",
            &["1: rate takes each fall for a restart, and a_gauge is a gauge; use delta or deriv"],
        );
    }
}
