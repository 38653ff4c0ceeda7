//! What a running Prometheus says of its targets, its rules and the dashboard's expressions.

use anyhow::{Context as _, Result};

use super::Ports;
use crate::server::Server;

/// A panel's title and an expression of it.
pub(super) type PanelQuery = (String, String);

/// What is not as it should be: targets that are not up, rules that are missing or fail, an Alertmanager that is
/// not known. A rule that Prometheus has not evaluated yet is none of these: see [`unevaluated`].
pub(super) fn problems(server: &Server, ports: &Ports) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let targets = server.get("targets?state=active")?;
    let active = targets["activeTargets"].as_array().cloned().unwrap_or_default();
    for port in [ports.demo, ports.exporter, ports.loadgen, ports.prometheus] {
        let address = format!("127.0.0.1:{port}");
        match active.iter().find(|t| t["labels"]["instance"] == address.as_str()) {
            Some(t) if t["health"] == "up" => {}
            Some(t) => {
                problems.push(format!("{} is {}: {}", t["labels"]["job"], t["health"], t["lastError"]));
            }
            None => problems.push(format!("no target {address}")),
        }
    }
    problems.extend(failing(server)?);
    let managers = server.get("alertmanagers")?;
    if managers["activeAlertmanagers"].as_array().is_none_or(Vec::is_empty) {
        problems.push("Prometheus knows no Alertmanager".to_owned());
    }
    Ok(problems)
}

/// What Prometheus says of the rules that it could not evaluate; one line where it has no rules at all.
pub(super) fn failing(server: &Server) -> Result<Vec<String>> {
    let rules = rules(server)?;
    if rules.is_empty() {
        return Ok(vec!["no rule group is loaded".to_owned()]);
    }
    let failing = rules.iter().filter(|rule| rule["health"] != "ok" && rule["health"] != "unknown");
    Ok(failing
        .map(|rule| format!("rule {} is {}: {}", rule["name"], rule["health"], rule["lastError"]))
        .collect())
}

/// The names of the rules that Prometheus has yet to evaluate. It spreads its groups over their interval, so that
/// the first time comes up to one interval (a minute, for the error budget) after its start.
pub(super) fn unevaluated(server: &Server) -> Result<Vec<String>> {
    let rules = rules(server)?;
    Ok(rules.iter().filter(|rule| rule["health"] == "unknown").map(|rule| rule["name"].to_string()).collect())
}

/// The rules of all groups, as the API describes them.
fn rules(server: &Server) -> Result<Vec<serde_json::Value>> {
    let answer = server.get("rules")?;
    let groups = answer["groups"].as_array().into_iter().flatten();
    Ok(groups.flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
}

/// Those of `queries` that return no series now.
pub(super) fn without_data(server: &Server, queries: &[PanelQuery]) -> Result<Vec<PanelQuery>> {
    let mut empty = Vec::new();
    for (panel, expr) in queries {
        let data = server
            .query(expr, None)
            .with_context(|| format!("Prometheus refuses an expression of panel {panel:?}"))?;
        if data["result"].as_array().is_none_or(Vec::is_empty) {
            empty.push((panel.clone(), expr.clone()));
        }
    }
    Ok(empty)
}
