//! `query`, `query_range`, `query_exemplars`, `format_query`, `parse_query`.

use assay_model::{Queryable as _, number::format_f};
use assay_promql::{Engine, QueryResult, QueryValue};
use serde_json::{Value, json};

use super::{
    Served,
    answer::{Answer, Failure, TRUNCATED},
    parameters::{Parameters, invalid},
    tree,
};
use assay_prom_api::json::{self as api, Remarks};

/// The most points a series may have in an answer, as in Prometheus.
const MAX_POINTS: i64 = 11_000;

pub(super) fn instant(served: &Served, parameters: &Parameters, engine: &Engine) -> Result<Answer, Failure> {
    let limit = parameters.limit()?;
    let t_ms = parameters.time_ms("time")?.unwrap_or(served.span_ms.1);
    let expr = parameters.expression()?;
    Ok(answer(engine.instant(&served.view(), &expr, t_ms)?, parameters, limit))
}

pub(super) fn range(served: &Served, parameters: &Parameters, engine: &Engine) -> Result<Answer, Failure> {
    let limit = parameters.limit()?;
    let start_ms = parameters.required_time_ms("start")?;
    let end_ms = parameters.required_time_ms("end")?;
    if end_ms < start_ms {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let step_ms = parameters.step_ms("step")?;
    if end_ms.saturating_sub(start_ms) / step_ms > MAX_POINTS {
        return Err(Failure::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    let expr = parameters.expression()?;
    Ok(answer(engine.range(&served.view(), &expr, start_ms, end_ms, step_ms)?, parameters, limit))
}

/// The first `limit` series of a result, with its remarks.
fn answer(found: QueryResult, parameters: &Parameters, limit: usize) -> Answer {
    let query = parameters.get("query").unwrap_or_default();
    let (mut value, mut remarks) = (found.value, Remarks::of(&found.annotations, query));
    let series = match &mut value {
        QueryValue::Vector(list) => cut(list, limit),
        QueryValue::Matrix(list) => cut(list, limit),
        QueryValue::Scalar(..) | QueryValue::String(..) => false,
    };
    if series {
        remarks.warnings.push(TRUNCATED.to_owned());
    }
    Answer::Query(value, remarks)
}

/// Cuts a list, and says whether there was anything to cut.
fn cut<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let longer = list.len() > limit;
    list.truncate(limit);
    longer
}

pub(super) fn exemplars(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let (start_ms, end_ms) = parameters.span_ms()?;
    if end_ms < start_ms {
        return Err(Failure::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = parameters.expression()?;
    let mut out = Vec::new();
    let selectors = expr.selectors();
    if selectors.is_empty() {
        return Ok(Answer::Nothing);
    }
    for selector in selectors {
        let found = served
            .run
            .database
            .exemplars(&selector.matchers, start_ms, end_ms)
            .map_err(Failure::execution)?;
        for (labels, list) in found {
            let list: Vec<_> = list
                .iter()
                .map(|e| {
                    json!({
                        "labels": api::labels(&e.labels),
                        "value": format_f(e.value),
                        "timestamp": e.t_ms.map_or(Value::Null, api::seconds),
                    })
                })
                .collect();
            out.push(json!({"seriesLabels": api::labels(&labels), "exemplars": list}));
        }
    }
    Ok(Value::Array(out).into())
}

pub(super) fn format(_served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(Value::String(assay_promql::pretty(&parameters.expression()?)).into())
}

pub(super) fn parse(_served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    Ok(tree::of(&parameters.expression()?).into())
}
