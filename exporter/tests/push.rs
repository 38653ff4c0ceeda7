//! `--push` to a real Prometheus.
//!
//! Needs `ASSAY_PEERS`, a directory with Prometheus' binary.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

use assay_testkit::{
    Program, Prometheus, http,
    server::{Server, respond},
    wait_for,
};

#[test]
fn prometheus_takes_what_is_pushed() {
    if assay_testkit::peer("prometheus").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // The kit's server receives remote writes.
    let server = Prometheus::start(&directory.path().join("data"), "scrape_configs: []", &[]).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--push.interval=200ms", "--push.label=zone=eu"]);
    command.arg(format!("--push=http://{}/api/v1/write", server.address()));
    let exporter = Program::listening(&mut command, "listening");
    let value = |query: &str| {
        let answer = server.query(query, None);
        answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse::<f64>().ok())
    };
    wait_for("pushed samples", || {
        value("min(count_over_time(node_load1{zone=\"eu\",job=\"exporter\"}[1m]))") > Some(2.0)
    });
    assert_eq!(value("up{job=\"exporter\",zone=\"eu\"}"), Some(1.0));
    assert!(value("node_memory_MemTotal_bytes").unwrap() > 1e6);
    assert!(value("exporter_push_samples_total").unwrap() > 100.0);
    assert_eq!(value("exporter_push_requests_total{result=\"error\"}"), Some(0.0));
    drop(exporter);
}

/// The password in the address is for the server that was named, and for no other.
#[test]
fn a_redirect_is_a_failure_and_nothing_goes_to_where_it_leads() {
    let other = Server::start(|_| respond(200, "", ""));
    let to = format!("Location: {}/api/v1/write\r\n", other.url());
    let server = Server::start(move |_| respond(307, &to, ""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--push.interval=50ms"]);
    command.arg(format!("--push=http://ann:s3cret@{}/api/v1/write", server.address));
    let exporter = Program::listening(&mut command, "listening");
    wait_for("three requests", || server.seen().len() >= 3);
    let own = http::get(&exporter.address, "/metrics").unwrap().text();
    assert_eq!(other.seen().len(), 0);
    let pushes: Vec<_> = own.lines().filter(|l| l.starts_with("exporter_push_requests_total")).collect();
    let (failed, rest): (Vec<&str>, Vec<&str>) =
        pushes.into_iter().partition(|l| l.contains("result=\"error\""));
    assert!(failed.len() == 1 && !failed[0].ends_with(" 0"), "{failed:?}");
    assert!(rest.iter().all(|l| l.ends_with(" 0")), "{rest:?}");
}
