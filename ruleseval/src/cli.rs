//! The command line. Invariant: standard output is data, standard error is everything else, and the exit code
//! is 0 pass, 1 fail, 2 bad input, 3 inconclusive.

use std::{ffi::OsString, process::ExitCode};

use assay_text::console;
use clap::{Parser, Subcommand};

mod backtest;
mod baseline;
mod check;
mod compare;
mod eval;
mod export;
mod history;
mod import;
mod login;
mod memory;
mod output;
mod query;
mod reports;
mod serve;
mod test;

/// SLA verdicts and PromQL over recorded runs and any other Prometheus data directory.
#[derive(Debug, Parser)]
#[command(name = "ruleseval", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    memory: memory::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    Eval(Box<eval::Args>),
    Check(check::Args),
    Backtest(backtest::Args),
    Compare(compare::Args),
    Baseline(baseline::Args),
    History(history::Args),
    Query(query::Args),
    Serve(serve::Args),
    Test(test::Args),
    Export(Box<export::Args>),
    Import(import::Args),
}

/// The exit code of several runs: the worst in the order bad input, target not healthy, fail, inconclusive, pass.
fn worst(codes: &[u8]) -> u8 {
    [2, 4, 1, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}

/// Runs a command line, program name first, and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (cli, command): (Cli, _) = match console::parse(arguments) {
        Ok(parsed) => parsed,
        Err(code) => return ExitCode::from(code),
    };
    console::start_logging();
    cli.memory.apply();
    let outcome = match &cli.command {
        Command::Eval(args) => eval::run(args, &command.words()),
        Command::Check(args) => check::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Baseline(args) => baseline::run(args),
        Command::History(args) => history::run(args),
        Command::Query(args) => query::run(args),
        Command::Serve(args) => serve::run(args, cli.memory.of_server()),
        Command::Test(args) => test::run(args),
        Command::Export(args) => export::run(args),
        Command::Import(args) => import::run(args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::say_lines(format_args!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
