//! node_exporter's whole command line: every switch that it prints is accepted, with its default.
//!
//! Needs `ASSAY_PEERS`, a directory with node_exporter's binary.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// The switches of `--help`, each as an argument with the default or a value of its kind.
fn switches(help: &str) -> Vec<String> {
    // Explanations are indented further.
    let lines = help.lines().filter(|line| line.starts_with("      --")).map(str::trim_start);
    let mut all: Vec<String> = lines
        .map(|line| {
            let (switch, _) = line.split_once("  ").unwrap_or((line, ""));
            let switch = switch.trim().trim_end_matches(" ...");
            match switch.split_once('=') {
                // A name in capitals says that there is no default.
                Some((name, value))
                    if value == value.to_uppercase()
                        && !value.is_empty()
                        && !value.contains('"')
                        && value.parse::<u32>().is_err() =>
                {
                    format!("{name}=")
                }
                Some((name, value)) => format!("{name}={}", value.trim_matches('"').replace("\\\\", "\\")),
                None => switch.to_owned(),
            }
        })
        .collect();
    all.retain(|switch| !switch.starts_with("--help") && switch != "--version");
    all
}

#[test]
fn every_switch_of_node_exporter_is_accepted() {
    let Some(program) = assay_testkit::peer("prometheus-node-exporter") else { return };
    let output = Command::new(program).arg("--help").output().unwrap();
    let help = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let switches = switches(&help);
    assert!(switches.len() >= 160, "only {} switches were found in\n{help}", switches.len());
    // All at once, then each collector turned off, then the version: what comes before it is parsed.
    let off = switches.iter().filter(|s| s.starts_with("--collector.") && !s.contains('='));
    let off: Vec<String> = off.map(|switch| switch.replace("--collector.", "--no-collector.")).collect();
    for arguments in [&switches, &off] {
        let ours =
            Command::new(env!("CARGO_BIN_EXE_exporter")).args(arguments).arg("--version").output().unwrap();
        assert_eq!(ours.status.code(), Some(0), "{}", String::from_utf8_lossy(&ours.stderr));
    }
    // Defaults alone start it, as far as a port that cannot be had.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--web.listen-address={}", taken.local_addr().unwrap());
    let is_general = |s: &&String| !s.starts_with("--collector.") || s.contains('=');
    let defaults = switches
        .iter()
        .filter(is_general)
        .filter(|s| !s.starts_with("--web.listen-address") && *s != "--web.systemd-socket");
    let ours =
        Command::new(env!("CARGO_BIN_EXE_exporter")).args(defaults).args(&off).arg(address).output().unwrap();
    let message = String::from_utf8(ours.stderr).unwrap();
    assert!(message.contains("cannot listen on"), "{message}");
}

#[test]
fn a_collector_that_is_absent_is_an_error_in_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_exporter")).arg("--collector.perf").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("docs/exporter.md"), "{message}");
}
