//! `rules` and `alerts`: the state at the end of the run.

use assay_model::number::format_f;
use assay_rules::{
    file::{Group, Rule, RuleId},
    replay::{AlertInstance, RuleSummary},
};
use serde_json::{Map, Value, json};

use super::{
    Served,
    answer::{Answer, Failure},
    parameters::Parameters,
};
use assay_prom_api::json as api;
use assay_verdict::units;

pub(super) fn rules(served: &Served, parameters: &Parameters) -> Result<Answer, Failure> {
    let wanted = parameters.get("type");
    let mut groups = Vec::new();
    for (g, group) in served.settings.files.groups.iter().enumerate() {
        let list: Vec<_> = group
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| match wanted {
                Some("alert") => rule.alerting().is_some(),
                Some("record") => rule.alerting().is_none(),
                _ => true,
            })
            .map(|(r, rule)| describe(served, RuleId { group: g, rule: r }, rule))
            .collect();
        if !list.is_empty() {
            groups.push(json!({
                "name": group.name,
                "file": &*group.file,
                "rules": list,
                "interval": interval_s(group),
                "limit": group.limit,
                "evaluationTime": 0,
                "lastEvaluation": units::timestamp(served.span_ms.1),
            }));
        }
    }
    Ok(json!({"groups": groups}).into())
}

pub(super) fn alerts(served: &Served, _parameters: &Parameters) -> Result<Answer, Failure> {
    let list: Vec<_> = served.replayed.alerts.iter().filter(|a| a.ended_at_ms.is_none()).map(alert).collect();
    Ok(json!({"alerts": list}).into())
}

fn interval_s(group: &Group) -> f64 {
    group.interval_ms.unwrap_or(15_000) as f64 / 1e3
}

fn describe(served: &Served, id: RuleId, rule: &Rule) -> Value {
    let summary: Option<&RuleSummary> = served.replayed.rules.iter().find(|s| s.id == id);
    let error = served.replayed.errors.iter().find(|e| e.id == id);
    let health = match (error, summary) {
        (Some(_), _) => "err",
        (None, Some(s)) if s.evaluations > 0 => "ok",
        _ => "unknown",
    };
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(rule.name));
    out.insert("query".to_owned(), json!(rule.expr.to_string()));
    out.insert("labels".to_owned(), pairs(&rule.labels));
    out.insert("health".to_owned(), json!(health));
    out.insert("evaluationTime".to_owned(), json!(0));
    out.insert("lastEvaluation".to_owned(), json!(units::timestamp(served.span_ms.1)));
    if let Some(error) = error {
        out.insert("lastError".to_owned(), json!(error.message));
    }
    let Some(alerting) = rule.alerting() else {
        out.insert("type".to_owned(), json!("recording"));
        return Value::Object(out);
    };
    let active: Vec<&AlertInstance> =
        served.replayed.alerts.iter().filter(|a| a.id == id && a.ended_at_ms.is_none()).collect();
    let state = match active.as_slice() {
        [] => "inactive",
        list if list.iter().any(|a| a.fired_at_ms.is_some()) => "firing",
        _ => "pending",
    };
    out.insert("type".to_owned(), json!("alerting"));
    out.insert("state".to_owned(), json!(state));
    out.insert("duration".to_owned(), json!(alerting.for_ms as f64 / 1e3));
    out.insert("keepFiringFor".to_owned(), json!(alerting.keep_firing_for_ms as f64 / 1e3));
    out.insert("annotations".to_owned(), pairs(&alerting.annotations));
    out.insert("alerts".to_owned(), Value::Array(active.into_iter().map(alert).collect()));
    Value::Object(out)
}

fn alert(active: &AlertInstance) -> Value {
    json!({
        "labels": api::labels(&active.labels),
        "annotations": pairs(&active.annotations),
        "state": if active.fired_at_ms.is_some() { "firing" } else { "pending" },
        "activeAt": units::timestamp(active.active_at_ms),
        "value": format_f(active.last_value),
    })
}

fn pairs(list: &[(String, String)]) -> Value {
    Value::Object(list.iter().map(|(n, v)| (n.clone(), Value::String(v.clone()))).collect())
}
