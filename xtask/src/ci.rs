//! The gate. Invariant: it installs what it needs itself and leaves no test out.

mod the_loop;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{generate, peers, shell, stack};

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
    the_loop::run(&bin)?;
    stack::run(&stack::Options::check("dev"))
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
