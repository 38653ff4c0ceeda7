//! What the log says of failures: each when it begins, so that none is unseen.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use assay_testkit::{Program, http, wait_for};

fn start(arguments: &[String]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.args(["--web.listen-address=127.0.0.1:0", "--collector.disable-defaults", "--collector.loadavg"]);
    Program::listening(command.args(arguments), "listening")
}

fn scrape(exporter: &Program) -> String {
    http::get(&exporter.address, "/metrics").unwrap().text()
}

#[test]
fn a_collector_that_is_absent_and_then_broken_is_logged() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = start(&[format!("--path.procfs={}", directory.path().display())]);
    let success = "node_scrape_collector_success{collector=\"loadavg\"}";
    let loadavg = directory.path().join("loadavg");
    for _ in 0..2 {
        assert!(scrape(&exporter).contains(&format!("{success} 0\n")));
    }
    assert!(!exporter.log().contains("loadavg\""), "what a machine lacks is usual: {}", exporter.log());
    fs::write(&loadavg, "high\n").unwrap();
    for _ in 0..2 {
        assert!(scrape(&exporter).contains(&format!("{success} 0\n")));
    }
    let failure = format!("level=ERROR msg=\"collector failed: {}: \\\"high\\\"", loadavg.display());
    wait_for("the failure in the log", || exporter.log().contains(&failure));
    fs::write(&loadavg, "0.5 0.25 0.125 1/2 3\n").unwrap();
    assert!(scrape(&exporter).contains(&format!("{success} 1\n")));
    wait_for("the end of it in the log", || exporter.log().contains("collector works again"));
    assert_eq!(exporter.log().matches("collector failed").count(), 1, "{}", exporter.log());
}

/// A change of the file that the coarse clock of a file system shows.
fn rewrite(path: &Path, text: &str, age: Duration) {
    fs::write(path, text).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn settings_that_need_a_restart_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let (path, tls) =
        (directory.path().join("web.yml"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls"));
    fs::write(&path, "").unwrap();
    let exporter = start(&[format!("--web.config.file={}", path.display())]);
    assert!(scrape(&exporter).contains("node_load1 "));
    let tls = format!("tls_server_config: {{cert_file: {tls}/cert.pem, key_file: {tls}/key.pem}}\n");
    rewrite(&path, &format!("{tls}rate_limit: {{interval: 1s, burst: 1}}\n"), Duration::from_secs(100));
    assert!(scrape(&exporter).contains("node_load1 "), "it stays as it was");
    for setting in ["turning TLS on or off", "http2", "rate_limit"] {
        let line =
            format!("level=WARN msg=\"web configuration: {setting} takes effect after a restart only\"");
        wait_for(&line, || exporter.log().contains(&line));
    }
    rewrite(&path, "rate_limit: {interval: often}\n", Duration::from_secs(50));
    assert!(scrape(&exporter).contains("node_load1 "));
    wait_for("what is wrong with the file", || {
        exporter.log().contains("the web configuration stays as it was")
    });
}
