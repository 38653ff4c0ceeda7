//! What a running Prometheus says of its targets, its rules and the dashboard's expressions.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Ports, process::Process};

/// A panel's title and an expression of it.
pub(super) type PanelQuery = (String, String);

/// A Prometheus on this machine.
pub(super) struct Server {
    base: String,
}

impl Server {
    pub(super) fn new(port: u16) -> Self {
        Self { base: format!("http://127.0.0.1:{port}") }
    }

    /// Waits until the server is ready; fails at once where its process ends.
    pub(super) fn wait_ready(&self, process: &mut Process) -> Result<()> {
        let start = Instant::now();
        while ureq::get(format!("{}/-/ready", self.base)).call().is_err() {
            if process.ended()? || start.elapsed() > Duration::from_secs(30) {
                bail!(process.post_mortem());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What is not as it should be: targets that are not up, rule groups that are missing or fail, an
    /// Alertmanager that is not known.
    pub(super) fn problems(&self, ports: &Ports) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let targets = self.get("/api/v1/targets?state=active")?;
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
        let rules = self.get("/api/v1/rules")?;
        let groups = rules["groups"].as_array().cloned().unwrap_or_default();
        if groups.is_empty() {
            problems.push("no rule group is loaded".to_owned());
        }
        for rule in groups.iter().flat_map(|g| g["rules"].as_array().into_iter().flatten()) {
            if rule["health"] != "ok" {
                problems.push(format!("rule {} is {}: {}", rule["name"], rule["health"], rule["lastError"]));
            }
        }
        let managers = self.get("/api/v1/alertmanagers")?;
        if managers["activeAlertmanagers"].as_array().is_none_or(Vec::is_empty) {
            problems.push("Prometheus knows no Alertmanager".to_owned());
        }
        Ok(problems)
    }

    /// Those of `queries` that return no series now.
    pub(super) fn without_data(&self, queries: &[PanelQuery]) -> Result<Vec<PanelQuery>> {
        let mut empty = Vec::new();
        for (panel, expr) in queries {
            let url = format!("{}/api/v1/query", self.base);
            let mut response = ureq::get(url)
                .config()
                .http_status_as_error(false)
                .build()
                .query("query", expr)
                .call()
                .context("Prometheus stopped answering")?;
            let body: Value = response.body_mut().read_json()?;
            if body["status"] != "success" {
                bail!("Prometheus refuses an expression of panel {panel:?}: {}", body["error"]);
            }
            if body["data"]["result"].as_array().is_none_or(Vec::is_empty) {
                empty.push((panel.clone(), expr.clone()));
            }
        }
        Ok(empty)
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut response =
            ureq::get(format!("{}{path}", self.base)).call().with_context(|| path.to_owned())?;
        let mut body: Value = response.body_mut().read_json()?;
        Ok(body["data"].take())
    }
}

/// Every expression of every dashboard, with the variables at what "All" stands for.
pub(super) fn dashboard_expressions() -> Vec<PanelQuery> {
    let substitute = |expr: &str| {
        let mut expr = expr.replace("$__rate_interval", "15s");
        for variable in ["$job", "$instance", "$scenario", "$step"] {
            expr = expr.replace(variable, ".+");
        }
        expr
    };
    grafana::dashboards::all()
        .iter()
        .flat_map(|d| &d.panels)
        .flat_map(|p| p.targets.iter().map(|t| (p.title.to_owned(), substitute(&t.expr))))
        .collect()
}
