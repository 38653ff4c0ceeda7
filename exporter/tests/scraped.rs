//! A real Prometheus scrapes the exporter over protobuf, which it asks for where native histograms are on: what it
//! stores is what the text says.
//!
//! Needs `ASSAY_PEERS`, a directory with Prometheus' binary.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, process::Command};

use assay_testkit::{Program, Prometheus, http, wait_for};

fn get(address: &str, path: &str) -> String {
    http::get(address, path).unwrap().text()
}

/// The samples of a text exposition that have no labels, by name.
fn bare_samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.contains('{'));
    lines.filter_map(|l| l.split_once(' ')).map(|(n, v)| (n.to_owned(), v.parse().unwrap())).collect()
}

/// Zeros above all: Prometheus leaves the value of the metric before where an untyped one comes without its own.
#[test]
fn prometheus_stores_what_the_text_says() {
    if assay_testkit::peer("prometheus").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut exporter = Command::new(env!("CARGO_BIN_EXE_exporter"));
    let exporter = Program::listening(exporter.args(["--web.listen-address", "127.0.0.1:0"]), "listening");
    let target = &exporter.address;
    let before = bare_samples(&get(target, "/metrics"));
    let config = format!(
        "scrape_configs: [{{job_name: e, scrape_interval: 200ms, static_configs: [{{targets: ['{target}']}}]}}]"
    );
    let server = Prometheus::start(&directory.path().join("data"), &config, &[]).unwrap();
    let value = |query: &str| {
        let answer = server.query(query, None);
        answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse::<f64>().ok())
    };
    wait_for("three scrapes", || {
        value("min(count_over_time(node_vmstat_pgfault[1m]))").is_some_and(|count| count >= 3.0)
    });
    let after = bare_samples(&get(target, "/metrics"));
    // Values that moved meanwhile say nothing; those that did not have to be there as they are.
    let still: Vec<_> = before.iter().filter(|(name, v)| after.get(*name) == Some(*v)).collect();
    let zeros = still.iter().filter(|(_, v)| **v == 0.0).count();
    assert!(still.len() > 30 && zeros > 10, "{} values stood still, {zeros} of them at zero", still.len());
    for (name, wanted) in still {
        // A gauge may have gone and come back between the two; then the two are compared again.
        let (mut shown, mut stored) = (Some(*wanted), None);
        for _ in 0..100 {
            stored = value(name);
            if stored == shown {
                break;
            }
            shown = bare_samples(&get(target, "/metrics")).get(name).copied();
        }
        assert_eq!(stored, shown, "{name}");
    }
}
