//! A real Prometheus scrapes the exporter over protobuf, which it asks for where native histograms are on: what it
//! stores is what the text says.
//!
//! Needs `ASSAY_PEERS`, a directory with Prometheus' binary.

#![allow(clippy::unwrap_used)]

#[path = "common/peers.rs"]
mod peers;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use peers::peers;

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and waits for the line of its log that names its address.
fn start(command: &mut Command, said: &str) -> (Running, String) {
    let mut running = Running(command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let mut log = BufReader::new(running.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.to_lowercase().contains(said) || !line.contains("127.0.0.1:") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it listened");
    }
    let at = line.find("127.0.0.1:").unwrap();
    let address = line[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    // Nobody reads the rest; a full pipe would stop it.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (running, address)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The samples of a text exposition that have no labels, by name.
fn bare_samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.contains('{'));
    lines.filter_map(|l| l.split_once(' ')).map(|(n, v)| (n.to_owned(), v.parse().unwrap())).collect()
}

/// Zeros above all: Prometheus leaves the value of the metric before where an untyped one comes without its own.
#[test]
fn prometheus_stores_what_the_text_says() {
    let Some(peers) = peers() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut exporter = Command::new(env!("CARGO_BIN_EXE_exporter"));
    let (_exporter, target) = start(exporter.args(["--web.listen-address", "127.0.0.1:0"]), "listening");
    let before = bare_samples(&get(&target, "/metrics"));
    let config = directory.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!("scrape_configs: [{{job_name: e, scrape_interval: 200ms, static_configs: [{{targets: ['{target}']}}]}}]"),
    )
    .unwrap();
    let mut prometheus = Command::new(peers.join("prometheus"));
    prometheus
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
        .args(["--web.listen-address=127.0.0.1:0", "--enable-feature=native-histograms"]);
    let (_prometheus, server) = start(&mut prometheus, "listening on");
    let count = || {
        let answer = get(&server, "/api/v1/query?query=min(count_over_time(node_vmstat_pgfault%5B1m%5D))");
        answer
            .split("\"value\":[")
            .nth(1)
            .and_then(|v| v.split('"').nth(1)?.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    for _ in 0..300 {
        if count() >= 3.0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = bare_samples(&get(&target, "/metrics"));
    // Values that moved meanwhile say nothing; those that did not have to be there as they are.
    let still: Vec<_> = before.iter().filter(|(name, v)| after.get(*name) == Some(*v)).collect();
    let zeros = still.iter().filter(|(_, v)| **v == 0.0).count();
    assert!(still.len() > 30 && zeros > 10, "{} values stood still, {zeros} of them at zero", still.len());
    for (name, value) in still {
        let answer = get(&server, &format!("/api/v1/query?query={name}"));
        let stored =
            answer.split("\"value\":[").nth(1).and_then(|v| v.split('"').nth(1)).unwrap_or("nothing");
        assert_eq!(stored.parse(), Ok(*value), "{name}: {answer}");
    }
}
