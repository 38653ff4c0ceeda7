//! What boards, rules and SLAs read is there on every system, under the same names.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, process::Command};

use assay_model::expo::{Metric, MetricValue};
use assay_testkit::{Program, http};
use exporter::{Exporter, Options};

#[test]
fn boards_find_the_same_names_on_every_system() {
    let exporter = Exporter::new(Options::default());
    let families: BTreeMap<String, Vec<Metric>> =
        exporter.gather().into_iter().map(|family| (family.name, family.metrics)).collect();
    // Windows has no load. Wine gives all network devices one identity, and `sysinfo` shows none of such.
    let is_wine = cfg!(windows) && std::env::vars().any(|(name, _)| name.starts_with("WINE"));
    let is_absent = |name: &str| match name {
        "node_load1" => cfg!(windows),
        _ => is_wine && name.starts_with("node_network_"),
    };
    for (name, labels) in [
        ("node_cpu_seconds_total", &["cpu", "mode"][..]),
        ("node_memory_MemTotal_bytes", &[]),
        ("node_memory_MemAvailable_bytes", &[]),
        ("node_load1", &[]),
        ("node_boot_time_seconds", &[]),
        ("node_time_seconds", &[]),
        ("node_uname_info", &["machine", "nodename", "release", "sysname", "version"]),
        ("node_filesystem_size_bytes", &["device", "fstype", "mountpoint"]),
        ("node_filesystem_avail_bytes", &["device", "fstype", "mountpoint"]),
        ("node_network_receive_bytes_total", &["device"]),
        ("node_network_transmit_bytes_total", &["device"]),
        ("node_scrape_collector_success", &["collector"]),
        ("process_cpu_seconds_total", &[]),
        ("process_resident_memory_bytes", &[]),
    ] {
        if is_absent(name) {
            continue;
        }
        let metrics = families.get(name).unwrap_or_else(|| panic!("{name} is absent"));
        for metric in metrics {
            let has = |label: &&&str| metric.labels.get(label).is_none();
            let missing: Vec<_> = labels.iter().filter(has).collect();
            assert!(missing.is_empty(), "{name}{} lacks {missing:?}", metric.labels);
            assert!(matches!(metric.value, MetricValue::Float(v) if v.is_finite()), "{name}: {metric:?}");
        }
    }
    let modes: Vec<_> =
        families["node_cpu_seconds_total"].iter().filter_map(|m| m.labels.get("mode")).collect();
    for mode in ["idle", "system", "user"] {
        assert!(modes.contains(&mode), "{mode} is not among {modes:?}");
    }
    let success = &families["node_scrape_collector_success"];
    for collector in ["cpu", "filesystem", "meminfo", "netdev", "time", "uname"] {
        let of = success.iter().find(|m| m.labels.get("collector") == Some(collector)).unwrap();
        assert_eq!(of.value, MetricValue::Float(1.0), "{collector}");
    }
}

/// The program with a password, a text file and what it counts of itself.
#[test]
fn the_program_serves_on_every_system() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    file("own.prom", "own_metric 7\n");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let config = file("web.yml", &format!("basic_auth_users: {{amy: \"{hash}\"}}\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--no-collector.nfs", "--no-collector.wifi"]);
    command.arg(format!("--web.config.file={config}"));
    command.arg(format!("--collector.textfile.directory={}", directory.path().display()));
    let exporter = Program::listening(&mut command, "listening");
    assert_eq!(http::get(&exporter.address, "/metrics").unwrap().status, 401);
    // amy:secret
    let headers = "Authorization: Basic YW15OnNlY3JldA==\r\n";
    let response = http::request(&exporter.address, "GET", "/metrics", headers, b"").unwrap();
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    for line in [
        "own_metric 7",
        "node_textfile_scrape_error 0",
        "node_scrape_collector_success{collector=\"cpu\"} 1",
        "promhttp_metric_handler_requests_in_flight 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in {text}");
    }
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
}
