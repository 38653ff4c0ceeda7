//! The README's section on CI, run as someone would paste it, and its blocks for CI systems, run as those would.
//!
//! Invariant: what runs is the text of the README; its exit code is what its JUnit file says.

mod hosted;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{folder, shell};

const SECTION: &str = "## In CI";

/// Runs the section in a folder that has the project's `prometheus/`, with our binaries and the peers in the path.
pub(super) fn run(bin: &Path) -> Result<()> {
    let ours = shell::build("dev", &["demo", "exporter", "loadgen", "ruleseval"])?;
    let dir = shell::root().join("target/readme");
    folder::fresh(&dir)?;
    std::os::unix::fs::symlink(shell::root().join("prometheus"), dir.join("prometheus"))?;
    super::book::commands(&ours)?;
    quick_start(&dir, &ours)?;
    let script = block(&fs::read_to_string(shell::root().join("README.md"))?, SECTION)?;
    fs::write(dir.join("pasted.sh"), &script)?;
    // Twice in one folder: the second verdict must not be that of the first run.
    for _ in 0..2 {
        judged(&dir, paste(&dir, &[&ours, bin])?)?;
    }
    for (folder, status) in hosted::run(&dir, &path_with(&[&ours]))? {
        ensure!(folder.join("assay/report.html").is_file(), "{}: no report", folder.display());
        judged(&folder.join("assay"), status)?;
    }
    killed(&dir, &ours, bin)
}

/// The first two shell blocks of the guide's quick start: a verdict, and files that are valid.
fn quick_start(dir: &Path, ours: &Path) -> Result<()> {
    let page = fs::read_to_string(shell::root().join("docs/quick-start.md"))?;
    let folder = dir.join("quick-start");
    for (section, codes) in [("With the tools installed", [0, 1].as_slice()), ("Then your own service", &[0])]
    {
        folder::fresh(&folder)?;
        fs::write(folder.join("pasted.sh"), block(&page, section)?)?;
        let status = paste(&folder, &[ours])?;
        ensure!(status.code().is_some_and(|c| codes.contains(&c)), "{section:?} ends with {status}");
    }
    Ok(())
}

/// A PATH with these folders first.
fn path_with(first: &[&Path]) -> String {
    let mut folders: Vec<_> = first.iter().map(|p| p.display().to_string()).collect();
    folders.push(std::env::var("PATH").unwrap_or_default());
    folders.join(":")
}

/// Runs the section with these folders first in the path.
fn paste(dir: &Path, first: &[&Path]) -> Result<std::process::ExitStatus> {
    shell::status(
        Command::new("bash")
            .args(["-c", "cd \"$0\" && exec bash pasted.sh"])
            .arg(dir)
            .env("PATH", path_with(first)),
    )
}

/// A load that is killed half-way is no pass.
fn killed(dir: &Path, ours: &Path, bin: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = dir.join("killed");
    fs::create_dir_all(&folder)?;
    let program = folder.join("loadgen");
    fs::write(
        &program,
        format!("#!/bin/sh\nexec timeout -s KILL 25 {} \"$@\"\n", ours.join("loadgen").display()),
    )?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let status = paste(dir, &[&folder, ours, bin])?;
    ensure!(matches!(status.code(), Some(1 | 3)), "a load that was killed ends with {:?}", status.code());
    Ok(())
}

/// Whether the exit code is what the JUnit file says.
fn judged(dir: &Path, status: std::process::ExitStatus) -> Result<()> {
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
    eprintln!(
        "the README's section on CI, in {}: {cases} cases, {failures} failures, exit code {expected}",
        dir.display()
    );
    Ok(())
}

/// The first shell block of a section.
fn block(page: &str, section: &str) -> Result<String> {
    let section = page.split_once(section).with_context(|| format!("the page has no section {section:?}"))?.1;
    let code = section.split_once("```sh\n").context("the section has no shell block")?.1;
    Ok(code.split_once("```").context("the block has no end")?.0.to_owned())
}
