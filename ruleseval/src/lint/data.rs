//! Rules held to a run: series that are not there, ranges that are too short, rates of gauges, alerts that never
//! or always fire.

use assay_model::{Column, METRIC_NAME, Matcher, MetricType, Queryable};
use assay_promql::{
    Expr,
    ast::{DurationKind, Span, VectorSelector},
};
use assay_rules::file::Rule;

use super::{Gravity, Linter};

/// The usual time between two samples, of the series that a scrape writes itself or of any.
pub(super) fn interval_ms(source: &dyn Queryable) -> Option<i64> {
    let up = source.select(&[Matcher::equal(METRIC_NAME, "up")], i64::MIN, i64::MAX).ok()?;
    let list = if up.is_empty() { source.select(&[], i64::MIN, i64::MAX).ok()? } else { up };
    let mut column = Column::default();
    list.first()?.read(i64::MIN, i64::MAX, &mut column).ok()?;
    let times = if column.times.is_empty() { &column.histogram_times } else { &column.times };
    let mut gaps: Vec<i64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

pub(super) fn check(linter: &mut Linter<'_>, at: (usize, usize), rule: &Rule) {
    let Some((source, _)) = &linter.data else { return };
    let source = *source;
    for selector in rule.expr.selectors() {
        missing_series(linter, source, rule, selector);
    }
    let mut calls: Vec<(&'static str, &VectorSelector, Option<i64>, Span)> = Vec::new();
    rule.expr.walk(&mut |expr| {
        if let Expr::Call(call) = expr
            && matches!(call.func.name, "rate" | "increase" | "irate")
            && let Some(Expr::Matrix(matrix)) = call.args.first()
        {
            let range_ms = match &matrix.range.kind {
                DurationKind::Literal(seconds) => Some((seconds.value * 1e3) as i64),
                _ => None,
            };
            calls.push((call.func.name, &matrix.selector, range_ms, call.span.clone()));
        }
    });
    for (function, selector, range_ms, span) in calls {
        short_range(linter, rule, function, range_ms, &span);
        rate_of_gauge(linter, source, rule, function, selector, &span);
    }
    never_or_always(linter, at, rule);
}

fn exists(source: &dyn Queryable, matchers: &[Matcher]) -> bool {
    // What cannot be read is told when it is evaluated; here it silences the lint.
    source.select(matchers, i64::MIN, i64::MAX).map_or(true, |list| !list.is_empty())
}

fn missing_series(linter: &mut Linter<'_>, source: &dyn Queryable, rule: &Rule, selector: &VectorSelector) {
    let name = &selector.name;
    if name.is_empty() || linter.is_recorded(name) || matches!(name.as_str(), "ALERTS" | "ALERTS_FOR_STATE") {
        return;
    }
    if !exists(source, &[Matcher::equal(METRIC_NAME, name)]) {
        let message = format!("the run has no series of {name}");
        linter.add_in("data/series", Gravity::Warning, rule, &selector.span, message);
        return;
    }
    for matcher in selector.matchers.iter().filter(|m| m.name != METRIC_NAME && !m.matches("")) {
        if !exists(source, &[Matcher::equal(METRIC_NAME, name), matcher.clone()]) {
            let message = format!("no series of {name} in the run has {matcher}");
            linter.add_in("data/label", Gravity::Info, rule, &selector.span, message);
        }
    }
}

fn short_range(linter: &mut Linter<'_>, rule: &Rule, function: &str, range_ms: Option<i64>, span: &Span) {
    if let (Some(range_ms), Some(interval_ms)) = (range_ms, linter.interval_ms)
        && range_ms < 2 * interval_ms
    {
        let (range, interval) =
            (assay_model::duration::format_ms(range_ms), assay_model::duration::format_ms(interval_ms));
        let message = format!(
            "{function} over {range} needs two samples, and the run has one every {interval}; take at least four \
             times that"
        );
        linter.add_in("expr/range", Gravity::Error, rule, span, message);
    }
}

fn rate_of_gauge(
    linter: &mut Linter<'_>,
    source: &dyn Queryable,
    rule: &Rule,
    function: &str,
    selector: &VectorSelector,
    span: &Span,
) {
    let is_gauge = source.metadata(&selector.name).is_some_and(|m| m.metric_type == MetricType::Gauge);
    if is_gauge {
        let message = format!("{function} of the gauge {}; use deriv or delta", selector.name);
        linter.add_in("expr/gauge", Gravity::Error, rule, span, message);
    }
}

fn never_or_always(linter: &mut Linter<'_>, at: (usize, usize), rule: &Rule) {
    if rule.alerting().is_none() {
        return;
    }
    let Some((_, replayed)) = &linter.data else { return };
    let Some(summary) = replayed.rules.iter().find(|s| (s.group, s.rule) == at) else { return };
    let compares = {
        let mut found = false;
        rule.expr.walk(&mut |e| {
            let selective = match e {
                Expr::Binary(b) => (b.op.is_comparison() && !b.return_bool) || b.op.is_set(),
                Expr::Call(c) => c.func.name.starts_with("absent"),
                _ => false,
            };
            found |= selective;
        });
        found
    };
    if !compares && !rule.expr.selectors().is_empty() {
        let message = "has no comparison: it fires whenever its series exist".to_owned();
        linter.add("alert/comparison", Gravity::Warning, rule, message);
    } else if compares && summary.evaluations > 1 && summary.with_result == summary.evaluations {
        let message = format!("held at every one of {} evaluations of the run", summary.evaluations);
        linter.add("alert/always", Gravity::Info, rule, message);
    }
}
