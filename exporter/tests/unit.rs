//! The unit for systemd holds what systemd knows.
//!
//! Needs `systemd-analyze`; elsewhere it is left out.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/systemd/exporter.service");

/// What `systemd-analyze verify` says of a unit; `None` without it.
fn verify(text: &str) -> Option<(bool, String)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("exporter.service");
    fs::write(&path, text).unwrap();
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["verify", "--man=no", "--recursive-errors=one"]).arg(path).output().ok()?;
    Some((output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap()))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let text = fs::read_to_string(UNIT).unwrap();
    // systemd looks whether the program is there.
    let text = text.replace("/usr/local/bin/exporter", env!("CARGO_BIN_EXE_exporter"));
    let Some((is_good, said)) = verify(&text) else {
        eprintln!("left out: there is no systemd-analyze");
        return;
    };
    assert!(is_good && !said.contains("exporter.service"), "{said}");
    let (_, said) = verify(&text.replace("ProtectClock=", "ProtectClok=")).unwrap();
    assert!(said.contains("ProtectClok"), "a misspelt key is found: {said}");
}

/// The unit's own command line, with the socket that this test can have.
#[test]
fn the_units_command_line_starts_it() {
    let text = fs::read_to_string(UNIT).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    assert_eq!(line, "/usr/local/bin/exporter $ARGS");
    let example =
        text.lines().find_map(|line| line.split("ARGS=\"").nth(1)).unwrap().trim_end_matches(['"', '.']);
    let mut command = Command::new(env!("CARGO_BIN_EXE_exporter"));
    command.arg("--web.listen-address=127.0.0.1:0").args(example.split(' '));
    let exporter = assay_testkit::Program::listening(&mut command, "listening");
    let text = assay_testkit::http::get(&exporter.address, "/metrics").unwrap().text();
    assert!(text.contains("namedprocess_namegroup_num_procs{"), "{example}: {text}");
}

/// A `.socket` unit hands over the sockets that it listens on, as the third descriptor and on.
#[test]
fn a_socket_of_systemds_is_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = Command::new("sh");
    command
        .args(["-c", "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" --web.systemd-socket 3<&0"])
        .arg(env!("CARGO_BIN_EXE_exporter"))
        .stdin(std::os::fd::OwnedFd::from(listener));
    let exporter = assay_testkit::Program::listening(&mut command, "listening");
    assert_eq!(exporter.address, address);
    assert_eq!(assay_testkit::http::get(&address, "/metrics").unwrap().status, 200);
    let none = Command::new(env!("CARGO_BIN_EXE_exporter")).arg("--web.systemd-socket").output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("systemd handed over no socket"));
}
