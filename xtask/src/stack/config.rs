//! Prometheus' configuration for this machine, made from the one that the containers use.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use super::Ports;
use crate::shell::root;

/// A configuration without the keys that Prometheus before 3.8 does not know.
pub(crate) fn without_new_keys(text: &str) -> String {
    let known = text.lines().filter(|l| !l.trim_start().starts_with("scrape_native_histograms:"));
    known.flat_map(|line| [line, "\n"]).collect()
}

/// Writes `dir/prometheus.yml`: `prometheus/prometheus.yml` with the services' names replaced by local ports,
/// a scrape of loadgen in place of OTLP (Debian's build has no OTLP receiver), and without the keys that
/// Prometheus before 3.8 does not know.
pub(super) fn write(dir: &Path, ports: &Ports) -> Result<()> {
    let read = |name: &str| {
        let source = root().join("prometheus").join(name);
        fs::read_to_string(&source).with_context(|| source.display().to_string())
    };
    let mut out = without_new_keys(&read("prometheus.yml")?);
    let targets = read("targets.yml")?;
    ensure!(targets.contains("demo:8000"), "targets.yml names no demo:8000");
    fs::write(dir.join("targets.yml"), targets.replace("demo:8000", &format!("127.0.0.1:{}", ports.demo)))?;
    out = out.replace("/etc/assay/", &format!("{}/", dir.display()));
    for (service, port) in [
        ("exporter:9100", ports.exporter),
        ("alertmanager:9093", ports.alertmanager),
        ("localhost:9090", ports.prometheus),
    ] {
        ensure!(out.contains(service), "prometheus.yml names no {service}");
        out = out.replace(service, &format!("127.0.0.1:{port}"));
    }
    out = out.replace("rules/*.yml", &root().join("prometheus/rules/*.yml").display().to_string());
    out = out.replace("_interval: 5s", "_interval: 1s").replace("scrape_timeout: 4s", "scrape_timeout: 1s");
    out.push_str(&format!(
        "\n  - job_name: loadgen\n    static_configs:\n      - targets: [\"127.0.0.1:{}\"]\n",
        ports.loadgen
    ));
    fs::write(dir.join("prometheus.yml"), out)?;
    Ok(())
}
