//! What the shipped Alertmanager configuration silences. Invariant: an alert is silenced only by one about the same
//! thing.

use assay_testkit::{Program, http, peer, peers, wait_for};
use serde_json::{Value, json};

use crate::recording::root;

/// An Alertmanager with the shipped configuration.
fn alertmanager(folder: &std::path::Path) -> Option<Program> {
    let mut command = peers::alertmanager(&peer("prometheus-alertmanager")?);
    command
        .arg(format!("--config.file={}", root().join("prometheus/alertmanager.yml").display()))
        .arg(format!("--storage.path={}", folder.display()))
        .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
    Some(Program::listening(&mut command, "listening on"))
}

/// The names of the alerts that are suppressed, of all that are posted: one list of labels each.
fn suppressed(alerts: &[&[(&str, &str)]], expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = alertmanager(folder.path()) else { return };
    let posted: Vec<Value> = alerts
        .iter()
        .map(|labels| {
            let labels: serde_json::Map<_, _> =
                labels.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
            json!({"labels": labels})
        })
        .collect();
    let body = json!(posted).to_string();
    let headers = "content-type: application/json\r\n";
    let answer = http::request(&server.address, "POST", "/api/v2/alerts", headers, body.as_bytes());
    assert_eq!(answer.expect("answers").status, 200);
    let mut found = Vec::new();
    wait_for(&format!("{expected:?} are suppressed"), || {
        let Ok(answer) = http::get(&server.address, "/api/v2/alerts") else { return false };
        let held = answer.json();
        let all = held.as_array().cloned().unwrap_or_default();
        found = all
            .iter()
            .filter(|a| a["status"]["state"] == "suppressed")
            .map(|a| format!("{}/{}", a["labels"]["alertname"], a["labels"]["severity"]).replace('"', ""))
            .collect();
        found.sort();
        all.len() == alerts.len() && found.len() >= expected.len()
    });
    assert_eq!(found, expected);
}

#[test]
fn a_critical_alert_silences_the_warning_of_the_same_name_and_thing_only() {
    let query = |severity, scenario| {
        [
            ("alertname", "QueryLatencyP99High"),
            ("severity", severity),
            ("load_scenario", scenario),
            ("load_step", "query"),
        ]
    };
    suppressed(
        &[
            &query("critical", "a"),
            &query("warning", "a"),
            &query("warning", "b"),
            &[("alertname", "GeneratorLate"), ("severity", "warning"), ("load_scenario", "b")],
            &[
                ("alertname", "ServerErrors"),
                ("severity", "warning"),
                ("load_scenario", "a"),
                ("load_step", "x"),
            ],
            &[("alertname", "EmbedStageSlow"), ("severity", "warning"), ("job", "demo"), ("stage", "embed")],
            &[
                ("alertname", "HostMemoryHigh"),
                ("severity", "warning"),
                ("job", "exporter"),
                ("instance", "e"),
            ],
        ],
        &["QueryLatencyP99High/warning"],
    );
}

#[test]
fn a_target_that_is_down_silences_what_else_is_said_of_its_job() {
    suppressed(
        &[
            &[("alertname", "TargetDown"), ("severity", "critical"), ("job", "demo"), ("instance", "d")],
            &[("alertname", "ServiceErrorRateHigh"), ("severity", "critical"), ("job", "demo")],
            &[("alertname", "EmbedStageSlow"), ("severity", "warning"), ("job", "demo"), ("stage", "embed")],
            &[("alertname", "HostCpuHigh"), ("severity", "warning"), ("job", "exporter"), ("instance", "e")],
            &[("alertname", "ErrorRateHigh"), ("severity", "critical"), ("load_scenario", "a")],
        ],
        &["EmbedStageSlow/warning", "ServiceErrorRateHigh/critical"],
    );
}

#[test]
fn a_service_that_cannot_be_reached_silences_how_slow_and_wrong_it_is() {
    suppressed(
        &[
            &[("alertname", "ServiceUnreachable"), ("severity", "critical"), ("load_scenario", "a")],
            &[("alertname", "ErrorRateHigh"), ("severity", "critical"), ("load_scenario", "a")],
            &[("alertname", "NoThroughput"), ("severity", "critical"), ("load_scenario", "a")],
            &[("alertname", "ErrorRateHigh"), ("severity", "critical"), ("load_scenario", "b")],
            &[("alertname", "GeneratorLate"), ("severity", "warning"), ("load_scenario", "a")],
        ],
        &["ErrorRateHigh/critical", "NoThroughput/critical"],
    );
}
