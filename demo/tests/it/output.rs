//! Standard output that is closed or full.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one() {
    let profile = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(["profile", "--draws", "10"]).stderr(Stdio::piped());
        command
    };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let out = profile().stdout(writer).output().expect("runs");
    assert_eq!((out.status.code(), out.stderr.is_empty()), (Some(0), true), "{out:?}");
    let Some(full) = assay_testkit::files::full() else { return };
    let out = profile().stdout(full).output().expect("runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert_eq!(said.trim_end(), "demo: standard output: No space left on device (os error 28)");
}
