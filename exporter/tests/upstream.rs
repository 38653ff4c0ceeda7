//! node_exporter's own end-to-end test: what the exporter shows of its fixtures is what it expects, in every sample of
//! the collectors that are here.
//!
//! Needs `ASSAY_DATA`, a directory with `node_exporter/fixtures-1.11.1.tar.gz`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "common/ttar.rs"]
mod ttar;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use assay_model::{
    Labels, MetricType,
    expo::{Dialect, MetricFamily, MetricValue, parse_families},
};
use exporter::{Exporter, Options, Paths, Settings, collector};

/// Collectors that the golden has and this exporter lacks; docs/exporter.md lists them.
const ABSENT: [&str; 4] = ["drbd", "pcidevice", "qdisc", "wifi"];

/// Samples that the golden has and we leave out, with the reason.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "node_network_receive_",
        "the fixtures have no /proc/net/dev; upstream's run reads the machine's own loopback",
    ),
    ("node_network_transmit_", "likewise"),
];

/// Samples that the golden lacks and we show, with the reason.
const EXTRA: [(&str, &str); 2] = [
    ("node_memory_", "every line of /proc/meminfo is shown, node_exporter shows those that it knows"),
    ("node_scrape_collector_", "is not compared"),
];

/// Families whose values depend on the machine or the moment, not on the fixtures.
const NOT_COMPARED: [&str; 8] = [
    "go_",
    "promhttp_",
    "process_",
    "node_exporter_build_info",
    "node_scrape_collector_",
    "node_textfile_mtime_seconds",
    "node_time_seconds",
    "node_time_zone_offset_seconds",
];

/// The fixtures, unpacked, or `None` where the test is to be left out.
fn fixtures(directory: &Path) -> Option<PathBuf> {
    let archive = assay_testkit::data("node_exporter/fixtures-1.11.1.tar.gz")?;
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(directory).status();
    assert!(status.unwrap().success());
    let root = directory.join("collector/fixtures");
    for archive in ["sys.ttar", "udev.ttar"] {
        ttar::unpack(&root.join(archive), &root);
    }
    Some(root)
}

/// What upstream's `end-to-end-test.sh` passes.
fn options(root: &Path) -> Options {
    let golden = std::fs::read_to_string(root.join("e2e-output.txt")).unwrap();
    let collectors = collector::REGISTRY.iter().map(|entry| entry.name);
    let is_on =
        |name: &&str| golden.contains(&format!("node_scrape_collector_success{{collector=\"{name}\"}} 1"));
    let mut settings = Settings::default();
    for (name, values) in [
        ("collector.arp.device-exclude", &["nope"][..]),
        ("collector.bcache.priorityStats", &["true"]),
        ("collector.cpu.info", &["true"]),
        ("collector.cpu.info.bugs-include", &["^(cpu_meltdown|spectre_.*|mds)$"]),
        ("collector.cpu.info.flags-include", &["^(aes|avx.?|constant_tsc)$"]),
        ("collector.hwmon.chip-include", &["(applesmc|coretemp|hwmon4|nct6779)"]),
        ("collector.netclass.ignored-devices", &["(dmz|int)"]),
        ("collector.netclass.ignore-invalid-speed", &["true"]),
        ("collector.netdev.device-include", &["lo"]),
        ("collector.stat.softirq", &["true"]),
        ("collector.sysctl.include", &["fs.file-nr", "fs.file-nr:total,current,max", "kernel.threads-max"]),
        ("collector.sysctl.include-info", &["kernel.seccomp.actions_avail"]),
    ] {
        settings.set(name, values).unwrap();
    }
    let texts = root.join("textfile/two_metric_files");
    settings.set("collector.textfile.directory", &[texts.to_str().unwrap()]).unwrap();
    Options {
        paths: Paths {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            rootfs: root.to_owned(),
            udev_data: root.join("udev/data"),
        },
        collectors: collectors.filter(is_on).collect(),
        own_metrics: false,
        settings,
    }
}

type Series = BTreeMap<(String, Labels), (MetricType, f64)>;

/// The samples, with the fixtures' folder called as upstream's run calls it.
fn series(families: &[MetricFamily], root: &Path) -> Series {
    let mut all = Series::new();
    let compared =
        |family: &&MetricFamily| !NOT_COMPARED.iter().any(|prefix| family.name.starts_with(prefix));
    for family in families.iter().filter(compared) {
        for metric in &family.metrics {
            let MetricValue::Float(value) = metric.value else { panic!("{} is no float", family.name) };
            let renamed = |(name, value): (&str, &str)| {
                (name.to_owned(), value.replace(root.to_str().unwrap(), "collector/fixtures"))
            };
            let labels = Labels::from_pairs(metric.labels.iter().map(renamed));
            all.insert((family.name.clone(), labels), (family.metric_type, value));
        }
    }
    all
}

#[test]
fn every_sample_of_the_golden_is_met() {
    let directory = tempfile::tempdir().unwrap();
    let Some(root) = fixtures(directory.path()) else { return };
    let golden = std::fs::read_to_string(root.join("e2e-output.txt")).unwrap();
    let want = series(&parse_families(&golden, Dialect::Text).unwrap(), &root);
    // As kept open by nobody: a scrape is a scrape.
    let exporter = Exporter::new(options(&root));
    let _ = exporter.gather();
    let got = series(&exporter.gather(), &root);

    let mut wrong = Vec::new();
    let mut met = 0;
    for ((name, labels), (metric_type, value)) in &want {
        let is_absent = ABSENT.iter().any(|c| name.starts_with(&format!("node_{c}_")));
        if is_absent || LEFT_OUT.iter().any(|(prefix, _)| name.starts_with(prefix)) {
            continue;
        }
        match got.get(&(name.clone(), labels.clone())) {
            None => wrong.push(format!("missing: {name}{labels} {value}")),
            Some((t, v)) if t != metric_type || (v != value && !(v.is_nan() && value.is_nan())) => {
                wrong.push(format!("{name}{labels}: {t:?} {v}, want {metric_type:?} {value}"));
            }
            Some(_) => met += 1,
        }
    }
    for (name, labels) in got.keys() {
        let is_known = EXTRA.iter().any(|(prefix, _)| name.starts_with(prefix));
        if !want.contains_key(&(name.clone(), labels.clone())) && !is_known {
            wrong.push(format!("extra: {name}{labels} {}", got[&(name.clone(), labels.clone())].1));
        }
    }
    let names: BTreeSet<_> = wrong.iter().map(|line| line.split('{').next().unwrap()).collect();
    assert!(wrong.is_empty(), "{met} met, {} wrong in {names:#?}\n{}", wrong.len(), wrong.join("\n"));
    assert!(met > 2_000, "only {met} samples were compared");
}

/// The text files of upstream, of which each is shown as it expects, or refused as it expects.
#[test]
fn text_files_are_shown_as_upstream_does() {
    let directory = tempfile::tempdir().unwrap();
    let Some(root) = fixtures(directory.path()) else { return };
    for case in [
        "client_side_timestamp",
        "different_metric_types",
        "inconsistent_metrics",
        "histogram",
        "summary",
        "metrics_merge_empty_help",
        "metrics_merge_no_help",
        "metrics_merge_same_help",
        "no_metric_files",
    ] {
        let folder = root.join("textfile").join(case);
        let settings =
            Settings::default().with("collector.textfile.directory", folder.to_str().unwrap()).unwrap();
        let options =
            Options { collectors: ["textfile"].into(), own_metrics: false, settings, ..Options::default() };
        let got = Exporter::new(options).gather();
        let error = got.iter().find(|family| family.name == "node_textfile_scrape_error").unwrap();
        let want = if case == "client_side_timestamp" { 1.0 } else { 0.0 };
        assert_eq!(error.metrics[0].value, MetricValue::Float(want), "{case}");
    }
}

/// A family's type, and the labels of its samples.
type Shape = (MetricType, BTreeSet<String>);

/// All that is shown of the fixtures, and of this machine with every collector on.
fn everything(root: &Path) -> BTreeMap<String, Shape> {
    let all = collector::REGISTRY.iter().map(|entry| entry.name).collect();
    let mut shown: BTreeMap<String, Shape> = BTreeMap::new();
    for options in [options(root), Options { collectors: all, ..Options::default() }] {
        for family in Exporter::new(options).gather() {
            let labels = family.metrics.iter().flat_map(|metric| metric.labels.iter());
            let labels = labels.map(|(name, _)| name.to_owned());
            shown.entry(family.name).or_insert((family.metric_type, BTreeSet::new())).1.extend(labels);
        }
    }
    shown
}

/// What is wrong with a family: `None` where it is shown with that type, if one is known, and at least these labels.
fn problem<'a>(
    shown: &BTreeMap<String, Shape>,
    name: &str,
    metric_type: Option<&str>,
    labels: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let Some((our_type, our_labels)) = shown.get(name) else { return Some(format!("{name} is absent")) };
    if let Some(theirs) = metric_type.filter(|theirs| *theirs != our_type.as_str()) {
        return Some(format!("{name} is a {}, not a {theirs}", our_type.as_str()));
    }
    let missing: Vec<_> = labels.filter(|label| !our_labels.contains(*label)).collect();
    (!missing.is_empty()).then(|| format!("{name} lacks {missing:?}"))
}

/// Grafana's dashboard 1860 finds every metric that it reads, with its type and labels.
#[test]
fn the_dashboard_finds_all_its_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let (Some(root), Some(rows)) =
        (fixtures(directory.path()), assay_testkit::data("dashboard-1860-metrics.tsv"))
    else {
        return;
    };
    let shown = everything(&root);
    let rows = std::fs::read_to_string(rows).unwrap();
    let mut problems = Vec::new();
    for row in rows.lines().skip(1) {
        let [name, metric_type, _, labels] = row.split('\t').collect::<Vec<_>>()[..] else { panic!("{row}") };
        // Empty, which is absent, where a file system answers.
        let labels = labels.split(',').filter(|label| !label.is_empty() && *label != "device_error");
        if !ON_FEW_MACHINES.iter().any(|prefix| name.starts_with(prefix)) {
            let metric_type = match metric_type {
                "?" => None,
                "untyped" => Some("unknown"),
                known => Some(known),
            };
            problems.extend(problem(&shown, name, metric_type, labels));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(rows.lines().count() > 200, "the list has {} lines", rows.lines().count());
}

/// What the alerts of node-mixin read, with the labels that they choose by or show. The two of systemd
/// (`node_systemd_unit_state`, `node_systemd_service_restart_total`) need a manager, and are in
/// `collector/systemd/tests.rs`.
const READ_BY_ALERTS: [(&str, &[&str]); 31] = [
    ("node_bonding_active", &["master"]),
    ("node_bonding_slaves", &["master"]),
    ("node_cpu_seconds_total", &["cpu", "mode"]),
    ("node_disk_io_time_seconds_total", &["device"]),
    ("node_disk_io_time_weighted_seconds_total", &["device"]),
    ("node_filefd_allocated", &[]),
    ("node_filefd_maximum", &[]),
    ("node_filesystem_avail_bytes", &["device", "fstype", "mountpoint"]),
    ("node_filesystem_files", &["device", "fstype", "mountpoint"]),
    ("node_filesystem_files_free", &["device", "fstype", "mountpoint"]),
    ("node_filesystem_readonly", &["device", "fstype", "mountpoint"]),
    ("node_filesystem_size_bytes", &["device", "fstype", "mountpoint"]),
    ("node_load1", &[]),
    ("node_md_disks", &["device", "state"]),
    ("node_md_disks_required", &["device"]),
    ("node_memory_MemAvailable_bytes", &[]),
    ("node_memory_MemTotal_bytes", &[]),
    ("node_network_receive_drop_total", &["device"]),
    ("node_network_receive_errs_total", &["device"]),
    ("node_network_receive_packets_total", &["device"]),
    ("node_network_transmit_drop_total", &["device"]),
    ("node_network_transmit_errs_total", &["device"]),
    ("node_network_transmit_packets_total", &["device"]),
    ("node_network_up", &["device"]),
    ("node_nf_conntrack_entries", &[]),
    ("node_nf_conntrack_entries_limit", &[]),
    ("node_textfile_scrape_error", &[]),
    ("node_timex_maxerror_seconds", &[]),
    ("node_timex_offset_seconds", &[]),
    ("node_timex_sync_status", &[]),
    ("node_vmstat_pgmajfault", &[]),
];

#[test]
fn alerts_find_all_their_metrics() {
    let directory = tempfile::tempdir().unwrap();
    let Some(root) = fixtures(directory.path()) else { return };
    let shown = everything(&root);
    let problems: Vec<_> = READ_BY_ALERTS
        .iter()
        .filter_map(|(name, labels)| problem(&shown, name, None, labels.iter().copied()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    // An alert on a degraded array compares these two by their devices.
    let devices = |name: &str| {
        let families = Exporter::new(options(&root)).gather();
        let family = families.into_iter().find(|family| family.name == name).unwrap();
        let devices = family.metrics.iter().filter_map(|m| m.labels.get("device").map(str::to_owned));
        devices.collect::<BTreeSet<_>>()
    };
    assert_eq!(devices("node_md_disks"), devices("node_md_disks_required"));
}

/// Metrics that need hardware or a service that neither the fixtures nor most machines have, a wider
/// `--collector.netstat.fields`, or a version of node_exporter other than 1.11.
const ON_FEW_MACHINES: [&str; 4] = [
    "node_systemd_",
    "node_hwmon_temp_crit_hyst_celsius",
    "node_netstat_Tcp_MaxConn",
    "node_kernel_hung_tasks",
];
