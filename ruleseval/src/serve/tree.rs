//! `parse_query`: an expression's tree as JSON.
//!
//! Source: Prometheus `web/api/v1/translate_ast.go` v3.14. Invariant: every node has its `type` and all keys of that type.

use assay_model::{Matcher, number::format_f};
use assay_promql::{
    Expr,
    ast::{
        AtModifier, DurationContext, DurationExpr, DurationKind, RangeMode, ValueType, Variadic,
        VectorMatchCardinality, VectorMatching, VectorSelector,
    },
};
use serde_json::{Map, Value, json};

/// The tree of an expression.
pub(super) fn of(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(e) => json!({
            "type": "aggregation",
            "op": e.op.as_str(),
            "expr": of(&e.expr),
            "param": e.param.as_deref().map(of),
            "grouping": e.grouping,
            "without": e.without,
        }),
        Expr::Binary(e) => json!({
            "type": "binaryExpr",
            "op": e.op.as_str(),
            "lhs": of(&e.lhs),
            "rhs": of(&e.rhs),
            "matching": e.matching.as_ref().map(matching),
            "bool": e.return_bool,
        }),
        Expr::Call(e) => json!({
            "type": "call",
            "func": {
                "name": e.func.name,
                "argTypes": e.func.args.iter().map(|t| type_name(*t)).collect::<Vec<_>>(),
                "variadic": match e.func.variadic {
                    Variadic::No => 0,
                    Variadic::UpTo(more) => i64::try_from(more).unwrap_or(i64::MAX),
                    Variadic::Any => -1,
                },
                "returnType": type_name(e.func.returns),
            },
            "args": e.args.iter().map(of).collect::<Vec<_>>(),
        }),
        Expr::Matrix(e) => {
            let mut out = selector("matrixSelector", &e.selector);
            out.insert("range".to_owned(), json!(ms(Some(&e.range))));
            out.insert("rangeExpr".to_owned(), arithmetic(Some(&e.range)));
            Value::Object(out)
        }
        Expr::Vector(e) => Value::Object(selector("vectorSelector", e)),
        Expr::Subquery(e) => json!({
            "type": "subquery",
            "expr": of(&e.expr),
            "range": ms(Some(&e.range)),
            "rangeExpr": arithmetic(Some(&e.range)),
            "offset": ms(e.offset.as_ref()),
            "offsetExpr": arithmetic(e.offset.as_ref()),
            "step": ms(e.step.as_ref()),
            "stepExpr": arithmetic(e.step.as_ref()),
            "timestamp": timestamp(e.at),
            "startOrEnd": start_or_end(e.at),
        }),
        Expr::Number(e) => json!({"type": "numberLiteral", "val": format_f(e.value)}),
        Expr::String(e) => json!({"type": "stringLiteral", "val": e.value}),
        Expr::Paren(e) => json!({"type": "parenExpr", "expr": of(&e.expr)}),
        Expr::Unary(e) => json!({"type": "unaryExpr", "op": e.op.as_str(), "expr": of(&e.expr)}),
    }
}

fn selector(kind: &str, e: &VectorSelector) -> Map<String, Value> {
    let value = json!({
        "type": kind,
        "name": e.name,
        "offset": ms(e.offset.as_ref()),
        "offsetExpr": arithmetic(e.offset.as_ref()),
        "matchers": e.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(e.at),
        "startOrEnd": start_or_end(e.at),
        "anchored": e.mode == RangeMode::Anchored,
        "smoothed": e.mode == RangeMode::Smoothed,
    });
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn matcher(m: &Matcher) -> Value {
    json!({"name": m.name, "value": m.value, "type": m.op.as_str()})
}

fn matching(m: &VectorMatching) -> Value {
    json!({
        "card": match m.card {
            VectorMatchCardinality::OneToOne => "one-to-one",
            VectorMatchCardinality::ManyToOne => "many-to-one",
            VectorMatchCardinality::OneToMany => "one-to-many",
            VectorMatchCardinality::ManyToMany => "many-to-many",
        },
        "labels": m.matching_labels,
        "on": m.on,
        "include": m.include,
        "fillValues": {"lhs": m.fill_lhs, "rhs": m.fill_rhs},
    })
}

fn type_name(of: ValueType) -> &'static str {
    match of {
        ValueType::Scalar => "scalar",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::String => "string",
    }
}

/// A duration in milliseconds; 0 if there is none, or it has no value before the query runs.
fn ms(of: Option<&DurationExpr>) -> i64 {
    let literal = of.filter(|d| d.as_literal().is_some());
    literal.and_then(|d| d.resolve_ms(DurationContext::default(), false).ok()).unwrap_or(0)
}

/// A duration that is computed.
fn arithmetic(of: Option<&DurationExpr>) -> Value {
    of.filter(|d| d.as_literal().is_none()).map_or(Value::Null, duration)
}

fn duration(of: &DurationExpr) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value, wrapped: bool| json!({"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped});
    match &of.kind {
        DurationKind::Literal(n) => {
            json!({"type": "numberLiteral", "val": format_f(n.value), "duration": n.duration})
        }
        DurationKind::Unary(op, inner) => node(op.as_str(), Value::Null, duration(inner), false),
        DurationKind::Binary(op, lhs, rhs) => node(op.as_str(), duration(lhs), duration(rhs), false),
        DurationKind::MinMax(which, lhs, rhs) => node(which.as_str(), duration(lhs), duration(rhs), false),
        DurationKind::Step => node("step", Value::Null, Value::Null, false),
        DurationKind::Range => node("range", Value::Null, Value::Null, false),
        DurationKind::Paren(inner) => {
            let mut inner = duration(inner);
            if let Some(wrapped) = inner.get_mut("wrapped") {
                *wrapped = Value::Bool(true);
            }
            inner
        }
    }
}

fn timestamp(at: Option<AtModifier>) -> Option<i64> {
    if let Some(AtModifier::Time(ms)) = at { Some(ms) } else { None }
}

fn start_or_end(at: Option<AtModifier>) -> Option<&'static str> {
    match at {
        Some(AtModifier::Start) => Some("start"),
        Some(AtModifier::End) => Some("end"),
        Some(AtModifier::Time(_)) | None => None,
    }
}
