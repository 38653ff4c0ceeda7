//! The gate. Invariant: it installs what it needs itself and leaves no test out.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{generate, peers, shell};

/// Runs every check, the cheapest first; the first that fails ends it.
pub(crate) fn run() -> Result<()> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    let bin = peers::install()?;
    let data = shell::root().join("../shared/data");
    let data = data.canonicalize().with_context(|| format!("{}: the test data", data.display()))?;
    generate::run(true)?;
    shell::run(&mut shell::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    shell::run(
        shell::cargo(&["test", "--workspace"])
            .env("CI", "true")
            .env("ASSAY_PEERS", &bin)
            .env("ASSAY_DATA", &data),
    )?;
    configuration(&bin)?;
    the_loop(&bin)
}

/// Prometheus' own tool accepts the rules and passes their unit tests.
fn configuration(bin: &Path) -> Result<()> {
    let promtool = bin.join("promtool");
    let rules = yaml_files("prometheus/rules")?;
    shell::run(Command::new(&promtool).args(["check", "rules"]).args(rules))?;
    shell::run(Command::new(&promtool).args(["test", "rules"]).args(yaml_files("prometheus/tests")?))
}

fn yaml_files(folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(shell::root().join(folder)).with_context(|| folder.to_owned())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") {
            files.push(format!("{folder}/{name}"));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "{folder} holds no .yml file");
    Ok(files)
}

/// The README's first command, in a short form; then its verdict and its run directory are checked.
fn the_loop(bin: &Path) -> Result<()> {
    let runs = shell::root().join("target/ci-runs");
    if runs.exists() {
        fs::remove_dir_all(&runs)?;
    }
    let folder = runs.to_string_lossy().into_owned();
    shell::run(&mut shell::cargo(&["run", "--release", "--", "--time-scale", "0.3", "--runs", &folder]))?;
    let run = fs::read_dir(&runs)?.next().context("the loop left no run directory")??.path();
    let verdict: serde_json::Value = serde_json::from_str(&fs::read_to_string(run.join("verdict.json"))?)?;
    ensure!(verdict["verdict"] == "pass", "the loop's verdict is {}", verdict["verdict"]);
    ensure!(fs::metadata(run.join("report.html"))?.len() > 20_000, "the report is nearly empty");
    let data = run.join("data");
    for what in ["list", "analyze", "dump"] {
        let out = shell::output(Command::new(bin.join("promtool")).args(["tsdb", what]).arg(&data))?;
        if out.lines().count() < 2 {
            bail!("promtool tsdb {what} says nothing of {}", data.display());
        }
    }
    eprintln!("the loop: pass, and promtool reads {}", data.display());
    Ok(())
}
