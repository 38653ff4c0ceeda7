//! `label-gone` and `value-in-label`: what an alert's templates use.

use std::collections::BTreeSet;

use assay_promql::{
    Expr,
    ast::{AggregateOp, BinaryOp, Func, LimitFunc, QuantileFunc, SortFunc, ValueType},
};

use super::{Context, Remark, remark};

pub(super) fn gone(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let (Some(alerting), Some(left)) = (rule.alerting(), labels_left(&rule.expr)) else { continue };
        let templates = alerting.label_templates.iter().zip(&rule.labels).map(|(t, (n, _))| (t, "label", n));
        let annotations = alerting.annotation_templates.iter().zip(&alerting.annotations);
        for (template, kind, name) in templates.chain(annotations.map(|(t, (n, _))| (t, "annotation", n))) {
            for label in template.labels_used() {
                if !left.contains(label.as_str()) {
                    let kept: Vec<_> = left.iter().copied().collect();
                    let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
                    let message = format!(
                        "{kind} {name:?} uses the label {label:?}, which the expression does not keep; it keeps {kept}"
                    );
                    remark(out, id, rule.position_of_key(&format!("{kind}s")), message);
                }
            }
        }
    }
}

/// The labels that an expression's result can have, where its aggregation says so.
fn labels_left(expr: &Expr) -> Option<BTreeSet<&str>> {
    match expr {
        Expr::Paren(p) => labels_left(&p.expr),
        Expr::Unary(u) => labels_left(&u.expr),
        Expr::Aggregate(a)
            if matches!(
                a.op,
                AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio
            ) =>
        {
            labels_left(&a.expr)
        }
        Expr::Aggregate(a) if !a.without => {
            let mut left: BTreeSet<&str> = a.grouping.iter().map(String::as_str).collect();
            if let (Some(Expr::String(name)), AggregateOp::CountValues) = (a.param.as_deref(), a.op) {
                left.insert(&name.value);
            }
            Some(left)
        }
        Expr::Binary(b) => match (b.lhs.value_type(), b.rhs.value_type()) {
            (ValueType::Vector, ValueType::Scalar) => labels_left(&b.lhs),
            (ValueType::Scalar, ValueType::Vector) => labels_left(&b.rhs),
            (ValueType::Vector, ValueType::Vector) if matches!(b.op, BinaryOp::And | BinaryOp::Unless) => {
                labels_left(&b.lhs)
            }
            (ValueType::Vector, ValueType::Vector) if b.op == BinaryOp::Or => {
                let mut left = labels_left(&b.lhs)?;
                left.extend(labels_left(&b.rhs)?);
                Some(left)
            }
            _ => None,
        },
        Expr::Call(c) => {
            let is_quantile = c.func.id == Func::Quantile(QuantileFunc::HistogramQuantile);
            let keeps = matches!(
                c.func.id,
                Func::Float(_)
                    | Func::Limit(LimitFunc::Round)
                    | Func::Sort(SortFunc::Sort | SortFunc::SortDesc)
            );
            if !is_quantile && !keeps {
                return None;
            }
            let vector = c.args.iter().find(|a| a.value_type() == ValueType::Vector)?;
            let mut left = labels_left(vector)?;
            if is_quantile {
                left.remove("le");
            }
            Some(left)
        }
        _ => None,
    }
}

pub(super) fn value(context: &Context<'_>, out: &mut Vec<Remark>) {
    for (id, rule) in context.rules() {
        let Some(alerting) = rule.alerting() else { continue };
        for (template, (name, _)) in alerting.label_templates.iter().zip(&rule.labels) {
            if template.uses_value() {
                let message = format!(
                    "label {name:?} holds the value, so each change of it is a new alert, whose `for` starts again; \
                     put the value into an annotation"
                );
                remark(out, id, rule.position_of_key("labels"), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::context::testing::check;

    #[test]
    fn labels_that_the_expression_drops() {
        check(
            "label-gone",
            "- {alert: A, expr: sum by (job) (up) < 1, annotations: {a: '{{ $labels.job }} {{ $labels.instance }}'}}\n\
             - {alert: B, expr: up == 0, annotations: {a: '{{ $labels.instance }}'}}\n\
             - {alert: C, expr: sum(up) < 1, annotations: {a: '{{ .Labels.job }}', b: '{{ range query \"up\" }}{{ .Labels.x }}{{ end }}'}}\n\
             - {alert: D, expr: 'histogram_quantile(0.9, sum by (le, job) (x)) > 1', labels: {l: '{{ $labels.le }}'}}",
            &[
                "1: annotation \"a\" uses the label \"instance\", which the expression does not keep; it keeps job",
                "3: annotation \"a\" uses the label \"job\", which the expression does not keep; it keeps none",
                "4: label \"l\" uses the label \"le\", which the expression does not keep; it keeps job",
            ],
        );
    }

    #[test]
    fn values_in_labels() {
        check(
            "value-in-label",
            "- {alert: A, expr: up == 0, labels: {v: '{{ $value }}', w: '{{ .Value | humanize }}', x: '{{ $labels.job }}'}}\n\
             - {alert: B, expr: up == 0, annotations: {v: '{{ $value }}'}}",
            &[
                "1: label \"v\" holds the value, so each change of it is a new alert, whose `for` starts again; put the value into an annotation",
                "1: label \"w\" holds the value, so each change of it is a new alert, whose `for` starts again; put the value into an annotation",
            ],
        );
    }
}
