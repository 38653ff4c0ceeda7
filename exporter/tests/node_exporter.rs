//! Side by side with the real node_exporter, on this machine: the same series, with the same types and values.
//!
//! Needs `ASSAY_PEERS`, a directory with node_exporter's binary.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::Path, process::Command};

use assay_model::{
    Labels, MetricType,
    expo::{Dialect, MetricFamily, MetricValue, parse_families},
};
use assay_testkit::{Program, http, peer};
use exporter::{Exporter, Kind, Options, collector};

/// Starts node_exporter on a port of its own choice, with our defaults where a distribution's differ.
fn start(program: &Path, collectors: &[&str]) -> Program {
    let mut command = Command::new(program);
    command
        .args(["--web.listen-address=127.0.0.1:0", "--web.disable-exporter-metrics"])
        .args(upstream_defaults(collectors))
        .arg("--collector.disable-defaults")
        .args(collectors.iter().map(|name| format!("--collector.{name}")));
    Program::listening(&mut command, "listening on")
}

/// The defaults of node_exporter itself, of which a distribution's package may differ: those of our patterns.
fn upstream_defaults(collectors: &[&str]) -> Vec<String> {
    let ours = |flag: &exporter::Flag| match flag.kind {
        Kind::Pattern(text) if !text.is_empty() => Some(format!("--{}={text}", flag.name)),
        _ => None,
    };
    let shared =
        |flag: &&exporter::Flag| collectors.iter().any(|c| flag.name.starts_with(&format!("collector.{c}.")));
    collector::flags().filter(shared).filter_map(ours).collect()
}

/// Collectors that node_exporter has too, and that show something on any machine.
fn collectors(node_exporter: &Path) -> Vec<&'static str> {
    let output = Command::new(node_exporter).arg("--help").output().unwrap();
    let help = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    // Without a directory its textfile collector takes its distribution's. systemd does not run everywhere, and this
    // test reads what all machines have.
    let is_shared = |name: &&str| {
        !["systemd", "textfile"].contains(name)
            && help.split_whitespace().any(|word| word == format!("--collector.{name}"))
    };
    let shared: Vec<_> = collector::REGISTRY.iter().map(|entry| entry.name).filter(is_shared).collect();
    assert!(shared.len() > 60, "only {shared:?} are in\n{help}");
    shared
}

fn scrape(address: &str) -> Vec<MetricFamily> {
    let response = http::get(address, "/metrics").unwrap();
    parse_families(&response.text(), Dialect::Text).unwrap()
}

type Series = BTreeMap<(String, Labels), (MetricType, f64)>;

fn series(families: &[MetricFamily]) -> Series {
    let mut all = Series::new();
    for family in families.iter().filter(|family| family.name.starts_with("node_")) {
        for metric in &family.metrics {
            let MetricValue::Float(value) = metric.value else { panic!("{} is no float", family.name) };
            // node_exporter says that a disk does not rotate where its kernel lacks a file that it also reads.
            let labels = metric.labels.without(|label| label == "rotational");
            all.insert((family.name.clone(), labels), (family.metric_type, value));
        }
    }
    all
}

/// Memory and IPsec counters that node_exporter does not know, a file that its next version reads, and CPUs where the
/// first one cannot be taken offline.
fn may_be_ours_alone(name: &str) -> bool {
    let known = ["node_memory_", "node_xfrm_", "node_cpu_online", "node_ksmd_general_profit_bytes"];
    known.iter().any(|prefix| name.starts_with(prefix))
}

/// What moves by itself, and what a collector's success means where it has nothing to read.
fn may_differ(name: &str) -> bool {
    let moving = [
        "node_timex_",
        "node_tcp_connection_states",
        "node_interrupts_total",
        "node_scrape_collector_",
        "node_procs_",
        "node_processes_",
        "node_sockstat_",
        "node_load",
    ];
    let single = [
        "node_entropy_available_bits",
        "node_filefd_allocated",
        "node_exporter_build_info",
        "node_netstat_Tcp_CurrEstab",
        // node_exporter 1.11.1 says 0 of a mount whose options begin with `ro`.
        "node_filesystem_readonly",
    ];
    moving.iter().any(|prefix| name.starts_with(prefix)) || single.contains(&name)
}

#[test]
fn series_types_and_values_are_node_exporters() {
    let Some(program) = peer("prometheus-node-exporter") else { return };
    let collectors = collectors(&program);
    let node_exporter = start(&program, &collectors);
    let options = Options { collectors: collectors.into_iter().collect(), ..Options::default() };
    let exporter = Exporter::new(options);
    // Other programs move what is read between two scrapes. What is wrong in us is wrong in every round.
    let mut compared = 0;
    let mut wrong = differences(&exporter, &node_exporter.address, &mut compared);
    for _ in 0..9 {
        if wrong.is_empty() {
            break;
        }
        let seen = differences(&exporter, &node_exporter.address, &mut compared);
        wrong.retain(|key, _| seen.contains_key(key));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 150, "only {compared} series were compared");
}

/// The series of one scrape that one of the two lacks, or whose type or value differs, and how.
fn differences(
    exporter: &Exporter,
    address: &str,
    compared: &mut usize,
) -> BTreeMap<(String, Labels), String> {
    // Ours is scraped before and after: a value of theirs lies between the two, where it moves one way.
    let before = series(&exporter.gather());
    let theirs = series(&scrape(address));
    let after = series(&exporter.gather());
    *compared = theirs.len();

    let counted = |key: &&(String, Labels)| !may_differ(&key.0);
    let mut wrong = BTreeMap::new();
    for key in theirs.keys().filter(counted).filter(|key| !after.contains_key(key)) {
        wrong.insert(key.clone(), "we lack it".to_owned());
    }
    for key in
        after.keys().filter(counted).filter(|key| !theirs.contains_key(key) && !may_be_ours_alone(&key.0))
    {
        wrong.insert(key.clone(), "node_exporter lacks it".to_owned());
    }

    let memory_bytes = before[&("node_memory_MemTotal_bytes".to_owned(), Labels::empty())].1;
    for (key, (their_type, their_value)) in theirs.iter().filter(|((name, _), _)| !may_differ(name)) {
        let (Some((our_type, low)), Some((_, high))) = (before.get(key), after.get(key)) else { continue };
        if our_type != their_type {
            wrong.insert(key.clone(), format!("{our_type:?}, theirs is {their_type:?}"));
        }
        // Gauges move both ways between scrapes, memory by a part of what there is.
        let slack = match our_type {
            MetricType::Counter => 0.0,
            _ if key.0.starts_with("node_memory_") => 0.05 * memory_bytes,
            _ => 0.05 * their_value.abs().max(low.abs()),
        };
        let rounding = 1e-9 * their_value.abs();
        let (low, high) = (low.min(*high) - slack - rounding, low.max(*high) + slack + rounding);
        if !(low..=high).contains(their_value) {
            wrong.insert(key.clone(), format!("{low}..={high}, theirs is {their_value}"));
        }
    }
    wrong
}
