//! promtool finds nothing in the exporter's metrics that it does not find in node_exporter's.
//!
//! Needs `ASSAY_PEERS`, a directory with promtool and node_exporter.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use assay_testkit::{Program, http, peer};

/// What promtool says of a text, a line for each finding.
fn findings(promtool: &std::path::Path, text: &str) -> BTreeSet<String> {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    all.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn promtool_finds_no_more_than_in_node_exporter() {
    let (Some(promtool), Some(theirs)) = (peer("promtool"), peer("prometheus-node-exporter")) else { return };
    let scrape = |command: &mut Command, marker: &str| {
        let program = Program::listening(command.arg("--web.listen-address=127.0.0.1:0"), marker);
        http::get(&program.address, "/metrics").unwrap().text()
    };
    let ours = scrape(&mut Command::new(env!("CARGO_BIN_EXE_exporter")), "listening");
    let theirs = scrape(&mut Command::new(theirs), "listening on");
    let more: Vec<_> =
        findings(&promtool, &ours).difference(&findings(&promtool, &theirs)).cloned().collect();
    // Memory has the kernel's own names in both; we show more of them.
    let more: Vec<_> = more.iter().filter(|line| !line.starts_with("node_memory_")).collect();
    assert!(more.is_empty(), "{more:#?}");
}
