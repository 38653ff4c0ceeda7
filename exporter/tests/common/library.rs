//! Libraries in C that stand in for others, compiled by the test that loads them.

use std::{path::Path, process::Command};

/// Compiles a file of `tests/fixtures` to a shared library.
pub(crate) fn compile(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(source);
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wno-stringop-truncation", "-o"])
        .args([library, &source])
        .arg("-ldl")
        .status()
        .expect("cc runs: a C compiler is needed to build this project");
    assert!(compiled.success());
}
