//! `series`, `labels`, `label/…/values`, `metadata`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use assay_model::{Labels, METRIC_NAME, Queryable as _};
use serde_json::{Value, json};

use super::{
    Served,
    answer::{Answer, Failure},
    parameters::Parameters,
};
use assay_prom_api::json as api;

pub(super) fn series(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    if parameters.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let (limit, (start_ms, end_ms)) = (parameters.limit()?, parameters.span_ms()?);
    let selections = parameters.selective().map_err(|e| e.of_parameter("match[]"))?;
    let view = served.view();
    let mut found: BTreeSet<Labels> = BTreeSet::new();
    for matchers in &selections {
        let list = view.select(matchers, start_ms, end_ms).map_err(Failure::execution)?;
        found.extend(list.iter().map(|s| s.labels().clone()));
    }
    Ok(Answer::first(found.iter().map(api::labels), limit))
}

pub(super) fn labels(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let (limit, (start_ms, end_ms)) = (parameters.limit()?, parameters.span_ms()?);
    let view = served.view();
    let mut names = BTreeSet::new();
    for matchers in or_all(parameters.selective()?) {
        names.extend(view.label_names_within(&matchers, start_ms, end_ms).map_err(Failure::execution)?);
    }
    Ok(Answer::first(names.into_iter().map(Value::String), limit))
}

pub(super) fn label_values(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let name = unescaped(parameters.get("label_name").unwrap_or_default());
    let (limit, (start_ms, end_ms)) = (parameters.limit()?, parameters.span_ms()?);
    let view = served.view();
    let mut values = BTreeSet::new();
    for matchers in or_all(parameters.selective()?) {
        let found = view.label_values_within(&name, &matchers, start_ms, end_ms);
        values.extend(found.map_err(Failure::execution)?);
    }
    Ok(Answer::first(values.into_iter().map(Value::String), limit))
}

pub(super) fn metadata(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let number = |name: &str| match parameters.get(name).map(str::parse::<i64>) {
        None => Ok(usize::MAX),
        Some(Ok(n)) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        Some(Err(_)) => Err(Failure::bad_data(format!("{name} must be a number"))),
    };
    // A run has one entry for a metric.
    let (limit, _) = (number("limit")?, number("limit_per_metric")?);
    let names = match parameters.get("metric") {
        Some(one) => vec![one.to_owned()],
        None => served.view().label_values(METRIC_NAME, &[]).map_err(Failure::execution)?,
    };
    // A histogram's or a counter's metadata is under its family's name.
    let entry = |name: String| {
        let found = served.metadata(&name)?;
        let entry = json!({"type": found.metric_type.as_str(), "help": found.help, "unit": found.unit});
        Some((name, Value::Array(vec![entry])))
    };
    let out: BTreeMap<String, Value> = names.into_iter().filter_map(entry).take(limit).collect();
    Ok(json!(out).into())
}

/// No selection at all selects everything.
fn or_all<T>(selections: Vec<Vec<T>>) -> Vec<Vec<T>> {
    if selections.is_empty() { vec![Vec::new()] } else { selections }
}

/// A label's name as it is in an address: `U__` and then the name, with `__` for `_` and `_XXXX_`, a code point in
/// hexadecimal, for whatever is not a letter or digit (Prometheus' values escaping). What is not so is taken as it is.
fn unescaped(name: &str) -> Cow<'_, str> {
    let decode = |rest: &str| {
        let (mut out, mut chars) = (String::new(), rest.chars());
        while let Some(c) = chars.next() {
            if c != '_' {
                out.push(c);
                continue;
            }
            let code = chars.as_str().split_once('_')?;
            chars = code.1.chars();
            match code.0 {
                "" => out.push('_'),
                digits if digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    out.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
                }
                _ => return None,
            }
        }
        Some(out)
    };
    name.strip_prefix("U__").and_then(decode).map_or(Cow::Borrowed(name), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let check = |name: &str, want: &str| assert_eq!(unescaped(name), want);
        check("job", "job");
        check("U__http_2e_status", "http.status");
        check("U__a__b_1F600_c", "a_b😀c");
        check("U__a_zz_b", "U__a_zz_b");
        check("U__a_2e", "U__a_2e");
        check("U__a_d800_", "U__a_d800_");
    }
}
