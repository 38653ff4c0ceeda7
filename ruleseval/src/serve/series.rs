//! `series`, `labels`, `label/…/values`, `metadata`.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::{Labels, METRIC_NAME, Queryable as _};
use serde_json::{Value, json};

use super::{
    Served,
    answer::{Answer, Failure},
    parameters::Parameters,
};
use assay_prom_api::json as api;

pub(super) fn series(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let selections = parameters.selections()?;
    if selections.is_empty() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (start_ms, end_ms) = between(parameters)?;
    let view = served.view();
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    for matchers in &selections {
        let list = view.select(matchers, start_ms, end_ms).map_err(Failure::execution)?;
        found.extend(list.iter().map(|s| s.labels().clone()));
    }
    let list: Vec<_> = found.iter().take(parameters.limit()?).map(api::labels).collect();
    Ok(Value::Array(list).into())
}

pub(super) fn labels(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let view = served.view();
    let mut names = BTreeSet::new();
    for matchers in or_all(parameters.selections()?) {
        names.extend(view.label_names(&matchers).map_err(Failure::execution)?);
    }
    Ok(texts(names, parameters.limit()?))
}

pub(super) fn label_values(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let name = parameters.get("label_name").unwrap_or_default();
    let view = served.view();
    let mut values = BTreeSet::new();
    for matchers in or_all(parameters.selections()?) {
        values.extend(view.label_values(name, &matchers).map_err(Failure::execution)?);
    }
    Ok(texts(values, parameters.limit()?))
}

pub(super) fn metadata(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let names = match parameters.get("metric") {
        Some(one) => vec![one.to_owned()],
        None => served.view().label_values(METRIC_NAME, &[]).map_err(Failure::execution)?,
    };
    let mut out: BTreeMap<String, Value> = BTreeMap::new();
    for name in names {
        // Of a histogram or counter the metadata stands under the family's name.
        if let Some(found) = served.metadata(&name) {
            let entry = json!({"type": found.metric_type.as_str(), "help": found.help, "unit": found.unit});
            out.insert(name, Value::Array(vec![entry]));
        }
        if out.len() >= parameters.limit()? {
            break;
        }
    }
    Ok(json!(out).into())
}

/// No selection at all selects everything.
fn or_all<T>(selections: Vec<Vec<T>>) -> Vec<Vec<T>> {
    if selections.is_empty() { vec![Vec::new()] } else { selections }
}

fn between(parameters: &Parameters) -> Result<(i64, i64), Failure> {
    Ok((parameters.time_ms("start")?.unwrap_or(i64::MIN), parameters.time_ms("end")?.unwrap_or(i64::MAX)))
}

fn texts(list: BTreeSet<String>, limit: usize) -> Answer {
    Value::Array(list.into_iter().take(limit).map(Value::String).collect()).into()
}
