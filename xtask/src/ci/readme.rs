//! The README's section on CI, run as someone would paste it.
//!
//! Invariant: what runs is the text of the README; its exit code is what its JUnit file says.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::shell;

const SECTION: &str = "## In CI";

/// Runs the section in a folder that has the project's `prometheus/`, with our binaries and the peers in the path.
pub(super) fn run(bin: &Path) -> Result<()> {
    let mut build = vec!["build"];
    for package in ["demo", "exporter", "loadgen", "ruleseval"] {
        build.extend(["-p", package]);
    }
    shell::run(&mut shell::cargo(&build))?;
    let dir = shell::root().join("target/readme");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    std::os::unix::fs::symlink(shell::root().join("prometheus"), dir.join("prometheus"))?;
    let script = block(&fs::read_to_string(shell::root().join("README.md"))?)?;
    fs::write(dir.join("pasted.sh"), &script)?;
    let ours = shell::root().join("target/debug");
    let path = std::env::var("PATH").unwrap_or_default();
    let status = shell::status(
        Command::new("bash")
            .args(["-c", "cd \"$0\" && exec bash pasted.sh"])
            .arg(&dir)
            .env("PATH", format!("{}:{}:{path}", ours.display(), bin.display())),
    )?;
    let junit = fs::read_to_string(dir.join("junit.xml")).context("the section left no junit.xml")?;
    let (cases, failures) = (junit.matches("<testcase ").count(), junit.matches("<failure ").count());
    ensure!(cases > 20, "the JUnit file has {cases} cases");
    ensure!(junit.contains("Query latency p99 [peak]"), "the exported run was not judged by its phases");
    let expected = if failures > 0 { 1 } else { 0 };
    ensure!(
        status.code() == Some(expected),
        "the section exits with {:?}, its JUnit file has {failures} failures",
        status.code()
    );
    eprintln!("the README's section on CI: {cases} cases, {failures} failures, exit code {expected}");
    Ok(())
}

/// The first shell block of the section.
fn block(readme: &str) -> Result<String> {
    let section =
        readme.split_once(SECTION).with_context(|| format!("README.md has no section {SECTION:?}"))?.1;
    let code = section.split_once("```sh\n").context("the section has no shell block")?.1;
    Ok(code.split_once("```").context("the block has no end")?.0.to_owned())
}
