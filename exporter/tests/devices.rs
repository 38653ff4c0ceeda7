//! Network devices that change names between scrapes: what is kept open is of the device, and what is shown of the name.
//!
//! Needs root, `unshare` and `ip`; elsewhere it is left out. The devices are in a network namespace of their own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use assay_model::expo::MetricValue;
use exporter::{Exporter, Options, Paths};
use rustix::mount::{MountFlags, mount};

const DIRECTORY: &str = "EXPORTER_TEST_DEVICES";

/// Devices' numbers by their names.
fn numbers(exporter: &Exporter) -> BTreeMap<String, f64> {
    let families = exporter.gather();
    let family = families.iter().find(|family| family.name == "node_network_iface_id").unwrap();
    let number =
        |value: &MetricValue| if let MetricValue::Float(v) = value { *v } else { panic!("{value:?}") };
    family
        .metrics
        .iter()
        .map(|metric| (metric.labels.get("device").unwrap().to_owned(), number(&metric.value)))
        .collect()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Run by the test below in namespaces of its own.
#[test]
#[ignore = "the inner half of the test below"]
fn names_are_swapped() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    mount("sysfs", &directory, "sysfs", MountFlags::empty(), None).unwrap();
    ip("link add one type veth peer name two");
    let exporter = Exporter::new(Options {
        paths: Paths { sysfs: directory, ..Paths::default() },
        collectors: ["netclass"].into(),
        own_metrics: false,
        ..Options::default()
    });
    let before = numbers(&exporter);
    assert_ne!(before["one"], before["two"]);
    assert_eq!(numbers(&exporter), before, "read from what is open");
    ip("link set one name three");
    ip("link set two name one");
    ip("link set three name two");
    let after = numbers(&exporter);
    assert_eq!((after["one"], after["two"]), (before["two"], before["one"]));
    ip("link del one");
    assert_eq!(numbers(&exporter).keys().collect::<Vec<_>>(), ["lo"]);
    ip("link add one type veth peer name two");
    let new = numbers(&exporter);
    assert!(new["one"] > before["one"] && new["two"] > before["two"], "{new:?}, before {before:?}");
}

#[test]
fn what_is_shown_is_of_the_device_that_has_the_name() {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !rustix::process::geteuid().is_root() || !has("unshare") || !has("ip") {
        eprintln!("left out: this needs root, unshare and ip");
        return;
    }
    if !Command::new("unshare").args(["--net", "--mount", "true"]).status().unwrap().success() {
        eprintln!("left out: namespaces are not permitted here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["names_are_swapped", "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("1 passed"), "{log}");
}
