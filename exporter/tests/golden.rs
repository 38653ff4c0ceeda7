//! What the exporter shows of a made-up host, whole, against `tests/golden/metrics.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p assay-exporter --test golden` rewrites the file.

#![cfg(target_os = "linux")]

mod common;

use std::{fs, path::Path};

use assay_model::expo::write_text;
use exporter::{Exporter, Options, collector};

/// What cannot be the same on two machines, or at two times.
const VARIES: [&str; 5] = [
    "node_time_seconds",
    "node_time_zone_",
    "node_uname_info",
    "node_timex_",
    "node_scrape_collector_duration",
];

fn metrics(mut options: Options) -> String {
    // These show this machine whatever the paths say; they have tests of their own.
    let elsewhere = ["ethtool", "filesystem", "groups", "systemd"];
    options.collectors =
        collector::REGISTRY.iter().map(|e| e.name).filter(|name| !elsewhere.contains(name)).collect();
    let mut families = Exporter::new(options).gather();
    families.retain(|family| !VARIES.iter().any(|prefix| family.name.starts_with(prefix)));
    let mut text = String::new();
    write_text(&mut text, &families);
    text
}

#[test]
fn a_made_up_host_is_shown_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let shown = metrics(common::made_up_host(directory.path()));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    assay_testkit::golden(path, &shown);
}

#[test]
fn an_empty_host_fails_no_scrape() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = common::made_up_host(directory.path());
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    options.paths.procfs = empty.clone();
    options.paths.sysfs = empty.clone();
    options.paths.rootfs = empty;
    let text = metrics(options);
    assert!(text.contains("node_scrape_collector_success{collector=\"cpu\"} 0"));
    assert!(text.contains("node_scrape_collector_success{collector=\"uname\"} 1"));
}

#[test]
fn a_file_that_makes_no_sense_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let options = common::made_up_host(directory.path());
    fs::write(options.paths.procfs.join("loadavg"), "high\n").unwrap();
    let host = exporter::Host::new(options.paths.clone(), None);
    let loadavg = (collector::entry("loadavg").unwrap().build)(&options.settings);
    let error = loadavg.collect(&host, &mut exporter::Families::new()).unwrap_err();
    let path = options.paths.procfs.join("loadavg");
    assert_eq!(error.to_string(), format!("{}: \"high\" where a number should be", path.display()));
}
