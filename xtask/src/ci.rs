//! The gate. Invariants: it works on the tree that it is called in; a step installs what it needs, and one that cannot
//! be run here is reported as left out, or fails with `--strict`; the first step that fails ends it.

mod book;
mod configuration;
mod dependencies;
mod engine;
mod kubernetes;
mod prose;
mod readme;
mod sources;
mod systems;
mod the_loop;
mod upstream;

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{fuzz, generate, page, parts, peers, rooms, shell, stack};

/// A part of the gate, the cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Step {
    /// Formatting, files that no module names, files that a package lacks, drift of generated files, circles of modules, links, wording, and the code map of ARCHITECTURE.md
    Format,
    /// Lints, with warnings as errors
    Lints,
    /// The documentation of all items, with warnings as errors
    Docs,
    /// All packages packed; licences, sources and duplicates of dependencies (cargo-deny); unused ones (cargo-machete)
    Dependencies,
    /// All tests, with peers and upstream's test data where they can be had
    Tests,
    /// promtool over the shipped rules and their unit tests
    Configuration,
    /// The whole loop, held to Prometheus
    Loop,
    /// The README's section on CI and the guide's quick start, as pasted; the guide's commands
    Readme,
    /// The pages in Chromium: a run from beginning to end, barriers (axe), validity, sizes and schemes
    Page,
    /// The stack without containers, every dashboard expression asked of Prometheus
    Stack,
    /// The manifests for Kubernetes: built, and their Jobs run as processes
    Kubernetes,
    /// The compose file on a Docker engine, where one answers
    Engine,
    /// The demo service with MiniLM and CyborgDB, and OpenAI's client, installed from PyPI
    Parts,
    /// Windows and macOS: tests and a whole run of Windows programs under Wine, the types of macOS; needs ASSAY_SYSTEMS
    Systems,
    /// Every fuzz target built, and run for ten seconds
    Fuzz,
}

/// Which parts run, and what happens if one cannot.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// These steps only
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Step>,
    /// All steps but these
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "only")]
    skip: Vec<Step>,
    /// What is quick once it is built: formatting, lints, and the tests that need nothing installed
    #[arg(long, conflicts_with_all = ["only", "skip", "strict"])]
    quick: bool,
    /// A step, or a test, that cannot be run here is a failure
    #[arg(long)]
    strict: bool,
    /// With --strict, the steps that may be left out all the same
    #[arg(long, value_enum, value_delimiter = ',', requires = "strict")]
    may_lack: Vec<Step>,
    /// After so many minutes, the steps of --may-lack are left out: for machines whose time is bounded
    #[arg(long, value_name = "MINUTES", requires = "may_lack")]
    within: Option<u64>,
}

impl Options {
    fn steps(&self) -> Vec<Step> {
        let wanted = |step: &Step| match (self.quick, self.only.is_empty()) {
            (true, _) => matches!(step, Step::Format | Step::Lints | Step::Tests),
            (false, false) => self.only.contains(step),
            (false, true) => !self.skip.contains(step),
        };
        <Step as clap::ValueEnum>::value_variants().iter().copied().filter(wanted).collect()
    }
}

/// How a step ended.
enum Outcome {
    Passed,
    LeftOut(String),
    Failed(anyhow::Error),
}

/// Runs the steps in order and prints how long each took.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Vec::new();
    let mut failure = None;
    let started = Instant::now();
    for step in options.steps() {
        let begun = Instant::now();
        let late = options.within.filter(|minutes| started.elapsed().as_secs() >= minutes * 60);
        let late = late.filter(|_| options.may_lack.contains(&step));
        let result = match late {
            Some(minutes) => Ok(Some(format!("{minutes} minutes have passed"))),
            None => run_step(step, options),
        };
        let outcome = match result {
            Ok(Some(reason)) if options.strict && !options.may_lack.contains(&step) => {
                Outcome::Failed(anyhow::anyhow!("left out: {reason}"))
            }
            Ok(Some(reason)) => Outcome::LeftOut(reason),
            Ok(None) => Outcome::Passed,
            Err(e) => Outcome::Failed(e),
        };
        let seconds = begun.elapsed().as_secs();
        let row = |what: &str| format!("{:<14}{:>3}:{:02}  {what}", name(step), seconds / 60, seconds % 60);
        match outcome {
            Outcome::Passed => table.push(row("passed")),
            Outcome::LeftOut(reason) => table.push(row(&format!("left out: {reason}"))),
            Outcome::Failed(e) => {
                table.push(row("FAILED"));
                failure = Some(e.context(format!("step {}", name(step))));
                break;
            }
        }
    }
    eprintln!("\n{:<14}{:>6}", "step", "m:s");
    for row in table {
        eprintln!("{row}");
    }
    failure.map_or(Ok(()), Err)
}

fn name(step: Step) -> String {
    clap::ValueEnum::to_possible_value(&step).map(|v| v.get_name().to_owned()).unwrap_or_default()
}

/// Runs one step; yields why it was left out, if it was.
fn run_step(step: Step, options: &Options) -> Result<Option<String>> {
    let with_peers = |run: &dyn Fn(&Path) -> Result<()>| match peers::install() {
        Ok(bin) => run(&bin).map(|()| None),
        Err(e) => Ok(Some(format!("no peers: {e:#}"))),
    };
    match step {
        Step::Format => {
            sources::check()?;
            generate::run(true)?;
            rooms::run()?;
            prose::check()?;
            book::summary()?;
            Ok(None)
        }
        Step::Lints => {
            let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            shell::run(&mut shell::cargo(&lints)).map(|()| None)
        }
        Step::Docs => {
            let mut doc = shell::cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
            shell::run(doc.env("RUSTDOCFLAGS", "-D warnings")).map(|()| None)
        }
        Step::Dependencies => dependencies::run(),
        Step::Tests => tests(options).map(|()| None),
        Step::Configuration => with_peers(&configuration::run),
        Step::Loop => with_peers(&the_loop::run),
        Step::Readme => with_peers(&readme::run),
        Step::Page => page::check(),
        Step::Stack => with_peers(&|_| stack::run(&stack::Options::check("dev"))),
        Step::Kubernetes => kubernetes::run().map(|()| None),
        Step::Engine => engine::run(),
        Step::Parts => match parts::install() {
            Ok(dir) => parts::test_in(&dir).map(|()| None),
            Err(e) => Ok(Some(format!("no parts: {e:#}"))),
        },
        Step::Systems => systems::run(),
        Step::Fuzz => fuzz::run_or_leave_out(&fuzz::Options::default()),
    }
}

/// All tests. What is not there, the tests that need it report; with `--strict` they fail instead.
fn tests(options: &Options) -> Result<()> {
    let mut command = shell::cargo(&["test"]);
    if options.quick {
        command.arg("--workspace");
    } else {
        command.args(parts::WORKSPACE);
        let optional = |what: &str, found: Result<std::path::PathBuf>| match found {
            Ok(path) => Ok(Some(path)),
            Err(e) if options.strict => Err(e.context(format!("{what} cannot be had"))),
            Err(e) => {
                eprintln!("left out: tests that need {what}: {e:#}");
                Ok(None)
            }
        };
        if let Some(bin) = optional("peers", peers::install())? {
            command.env("ASSAY_PEERS", bin);
        }
        if let Some(data) = optional("upstream's test data", upstream::data())? {
            command.env("ASSAY_DATA", data);
        }
    }
    match options.strict {
        true => command.env("CI", "true"),
        false => command.env_remove("CI"),
    };
    shell::run(&mut command)?;
    shell::tests_are_built();
    Ok(())
}

/// A program of cargo's that a step needs: the installed one, or one installed below `target/tools`.
fn tool(name: &str) -> Result<std::path::PathBuf> {
    let local = shell::root().join("target/tools");
    let program = local.join("bin").join(name);
    if program.is_file() {
        return Ok(program);
    }
    if Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()) {
        return Ok(name.into());
    }
    // Quick to build, since each runs for a second.
    let profile = ["OPT_LEVEL=0", "LTO=off", "CODEGEN_UNITS=256", "DEBUG=0"];
    let mut install = shell::cargo(&["install", "--quiet", "--locked", name, "--root"]);
    install.arg(&local).envs(
        profile
            .iter()
            .filter_map(|p| p.split_once('='))
            .map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)),
    );
    shell::run(&mut install)?;
    if !program.is_file() {
        bail!("{name} was installed and is not at {}", program.display());
    }
    Ok(program)
}
