//! What a running Prometheus says of its targets, its rules and the dashboard's expressions.

use anyhow::{Context as _, Result};

use super::Ports;
use crate::server::Server;

/// A panel's title and an expression of it.
pub(super) type PanelQuery = (String, String);

/// What is not as it should be: targets that are not up, rule groups that are missing or fail, an
/// Alertmanager that is not known.
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
    let rules = server.get("rules")?;
    let groups = rules["groups"].as_array().cloned().unwrap_or_default();
    if groups.is_empty() {
        problems.push("no rule group is loaded".to_owned());
    }
    for rule in groups.iter().flat_map(|g| g["rules"].as_array().into_iter().flatten()) {
        if rule["health"] != "ok" {
            problems.push(format!("rule {} is {}: {}", rule["name"], rule["health"], rule["lastError"]));
        }
    }
    let managers = server.get("alertmanagers")?;
    if managers["activeAlertmanagers"].as_array().is_none_or(Vec::is_empty) {
        problems.push("Prometheus knows no Alertmanager".to_owned());
    }
    Ok(problems)
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
