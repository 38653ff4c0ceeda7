//! Held on every system; on Linux, where `sysinfo` knows the same facts, also to what /proc says.

use std::collections::BTreeMap;

use assay_model::expo::MetricValue;

use super::*;
use crate::{Paths, Settings};

/// Names with labels, and values, of one collector.
fn shown(name: &str) -> BTreeMap<String, f64> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name).unwrap();
    let mut out = Families::new();
    let host = Host::new(Paths::default(), None);
    (entry.build)(&Settings::default()).collect(&host, &mut out).unwrap();
    let mut all = BTreeMap::new();
    for family in out.finish() {
        for metric in &family.metrics {
            let MetricValue::Float(value) = metric.value else { panic!("{} is not a number", family.name) };
            all.insert(format!("{}{}", family.name, metric.labels), value);
        }
    }
    all
}

#[test]
fn memory_is_there_and_adds_up() {
    let memory = shown("meminfo");
    let of = |name: &str| memory[&format!("node_memory_{name}_bytes{{}}")];
    assert!(of("MemTotal") > 1e6 && of("MemFree") <= of("MemTotal"), "{memory:?}");
    assert!(of("MemAvailable") > 0.0 && of("MemAvailable") <= of("MemTotal"), "{memory:?}");
    assert!(of("SwapFree") <= of("SwapTotal"), "{memory:?}");
}

#[test]
fn the_system_has_a_name_a_clock_and_a_start() {
    let time = shown("time");
    assert!(time["node_time_seconds{}"] > time["node_boot_time_seconds{}"], "{time:?}");
    assert_eq!(shown("uname").values().collect::<Vec<_>>(), [&1.0]);
    #[cfg(not(windows))]
    assert_eq!(shown("loadavg").len(), 3);
}

#[test]
fn disks_and_networks_have_labels_and_no_negative_numbers() {
    for name in ["diskstats", "filesystem", "netdev"] {
        for (series, value) in shown(name) {
            assert!(series.contains("device=\"") && value >= 0.0, "{series} {value}");
        }
    }
    let sizes = shown("filesystem");
    assert!(sizes.keys().any(|series| series.starts_with("node_filesystem_size_bytes{")), "{sizes:?}");
}

/// Linux has `/proc/stat` for it, and the module nothing.
#[cfg(not(target_os = "linux"))]
#[test]
fn cpus_spend_time_in_every_mode_and_none_is_lost() {
    let (before, after) = (shown("cpu"), shown("cpu"));
    assert!(before.contains_key("node_cpu_seconds_total{cpu=\"0\", mode=\"idle\"}"), "{before:?}");
    assert!(before.values().sum::<f64>() > 0.0);
    for (series, seconds) in &before {
        assert!(after[series] >= *seconds, "{series}: {seconds}, then {}", after[series]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_linux_the_facts_are_those_of_proc() {
    let exporter = crate::Exporter::new(crate::Options {
        collectors: ["meminfo", "netdev", "stat"].into(),
        own_metrics: false,
        ..crate::Options::default()
    });
    let mut proc = BTreeMap::new();
    for family in exporter.gather() {
        for metric in &family.metrics {
            if let MetricValue::Float(value) = metric.value {
                proc.insert(format!("{}{}", family.name, metric.labels), value);
            }
        }
    }
    for (collector, series) in [
        ("meminfo", "node_memory_MemTotal_bytes{}"),
        ("meminfo", "node_memory_SwapTotal_bytes{}"),
        ("time", "node_boot_time_seconds{}"),
    ] {
        assert_eq!(shown(collector)[series], proc[series], "{series}");
    }
    let counted = shown("netdev");
    let lo = "node_network_receive_bytes_total{device=\"lo\"}";
    assert!(counted[lo] >= proc[lo], "{} and before {}", counted[lo], proc[lo]);
}
