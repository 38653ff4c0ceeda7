//! The gate. Invariant: it installs what it needs itself and leaves no test out.

mod readme;
mod the_loop;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{generate, peers, shell, stack};

/// A part of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// Formatting, and drift of generated files
    Format,
    /// Lints, with warnings as errors
    Lints,
    /// All tests, with the peers and upstream's test data present
    Tests,
    /// promtool over the shipped rules and their unit tests
    Configuration,
    /// The whole loop, held to Prometheus
    Loop,
    /// The README's section on CI, as pasted
    Readme,
    /// The stack without containers, every dashboard expression asked of Prometheus
    Stack,
}

/// Runs one step, or all of them, the cheapest first; the first that fails ends it.
pub(crate) fn run(only: Option<Step>) -> Result<()> {
    let all = <Step as clap::ValueEnum>::value_variants();
    let bin = peers::install()?;
    for step in all.iter().filter(|step| only.is_none_or(|o| o == **step)) {
        match step {
            Step::Format => {
                shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
                generate::run(true)?;
            }
            Step::Lints => {
                let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
                shell::run(&mut shell::cargo(&lints))?;
            }
            Step::Tests => tests(&bin)?,
            Step::Configuration => configuration(&bin)?,
            Step::Loop => the_loop::run(&bin)?,
            Step::Readme => readme::run(&bin)?,
            Step::Stack => stack::run(&stack::Options::check("dev"))?,
        }
    }
    Ok(())
}

fn tests(bin: &Path) -> Result<()> {
    let data = shell::root().join("../shared/data");
    let data = data.canonicalize().with_context(|| format!("{}: the test data", data.display()))?;
    let mut command = shell::cargo(&["test", "--workspace"]);
    shell::run(command.env("CI", "true").env("ASSAY_PEERS", bin).env("ASSAY_DATA", data))
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
