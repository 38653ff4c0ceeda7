//! What makes a fresh Grafana show the dashboards: one data source, one provider.

use crate::{GeneratedFile, PROMETHEUS_UID};

/// How every file begins; one that is only this sets nothing up.
const HEAD: &str = "# Written by `cargo xtask generate`.\napiVersion: 1\n";

/// The uid of the data source of traces.
const TEMPO_UID: &str = "tempo";

/// The provisioning files.
pub(crate) fn files() -> Vec<GeneratedFile> {
    let file = |path: &str, text: String| GeneratedFile { path: path.into(), text };
    vec![
        file("provisioning/datasources/prometheus.yml", data_source()),
        file("provisioning/datasources/tempo.yml", tempo()),
        file("provisioning/dashboards/assay.yml", provider()),
        // Grafana logs an error for each of these folders that is missing.
        file("provisioning/plugins/none.yml", HEAD.to_owned()),
        file("provisioning/alerting/none.yml", HEAD.to_owned()),
    ]
}

/// `timeInterval` is how often loadgen pushes and Prometheus scrapes: `$__rate_interval` builds on it.
fn data_source() -> String {
    format!(
        "{HEAD}\
         datasources:\n\
         \x20 - name: Prometheus\n\
         \x20   uid: {PROMETHEUS_UID}\n\
         \x20   type: prometheus\n\
         \x20   access: proxy\n\
         \x20   url: http://prometheus:9090\n\
         \x20   isDefault: true\n\
         \x20   editable: false\n\
         \x20   jsonData:\n\
         \x20     httpMethod: POST\n\
         \x20     prometheusType: Prometheus\n\
         \x20     prometheusVersion: 3.13.2\n\
         \x20     timeInterval: 5s\n\
         \x20     exemplarTraceIdDestinations:\n\
         \x20       - {{name: trace_id, datasourceUid: {TEMPO_UID}, urlDisplayLabel: Trace}}\n"
    )
}

/// Traces, where compose's profile `traces` runs; the links from exemplars lead here.
fn tempo() -> String {
    format!(
        "{HEAD}\
         datasources:\n\
         \x20 - name: Tempo\n\
         \x20   uid: {TEMPO_UID}\n\
         \x20   type: tempo\n\
         \x20   access: proxy\n\
         \x20   url: http://tempo:3200\n\
         \x20   editable: false\n\
         \x20   jsonData:\n\
         \x20     nodeGraph: {{enabled: true}}\n"
    )
}

fn provider() -> String {
    format!(
        "{HEAD}\
     providers:\n\
     \x20 - name: Assay\n\
     \x20   type: file\n\
     \x20   folder: Assay\n\
     \x20   disableDeletion: true\n\
     \x20   updateIntervalSeconds: 30\n\
     \x20   allowUiUpdates: false\n\
     \x20   options:\n\
     \x20     path: /usr/share/assay/dashboards\n"
    )
}
