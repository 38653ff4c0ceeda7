//! The command line. Invariant: arguments become options here and nowhere else.

mod profile;
mod serve;

use std::path::PathBuf;

use anyhow::{Context, Result};
use assay_text::console;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;

use self::{profile::ProfileArguments, serve::ServeArguments};
use crate::{
    telemetry,
    whole_loop::{self, LoopOptions},
};

/// The exit code for bad input: a port in use, a file that can't be read.
pub(crate) const BAD_INPUT: u8 = 2;

/// Runs the whole loop: a clinical RAG service, an exporter and a recorder in one process, load for about a
/// minute, then the verdict over what was recorded.
///
/// Exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "demo", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    whole_loop: LoopArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the clinical RAG service alone, until Ctrl-C.
    Serve(Box<ServeArguments>),
    /// Prints what the stages take under a profile of `demo serve`.
    Profile(ProfileArguments),
}

#[derive(Debug, clap::Args)]
struct LoopArguments {
    /// Where run directories go
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// The scenario's mode to run
    #[arg(long, default_value = "demo")]
    mode: String,
    /// What all phase times are multiplied by
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,
    /// The seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rule files instead of the shipped ones
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// SLA files instead of the shipped one
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// Plain lines instead of the live view
    #[arg(long)]
    plain: bool,
    /// Serve the page of the run at ADDRESS while it is in progress, such as 127.0.0.1:5665; when the run ends it becomes the report
    #[arg(long, value_name = "ADDRESS")]
    web: Option<std::net::SocketAddr>,
}

/// Parses the arguments, does what they ask for, and yields the exit code.
pub(crate) fn run() -> Result<u8> {
    let (arguments, command): (Arguments, _) = match console::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(code) => return Ok(code),
    };
    let otlp = match &arguments.command {
        Some(Command::Serve(serve)) => serve.otlp(),
        Some(Command::Profile(_)) | None => None,
    };
    let _telemetry = telemetry::start(otlp)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    match arguments.command {
        Some(Command::Profile(arguments)) => profile::run(&arguments),
        Some(Command::Serve(arguments)) => runtime.block_on(serve::run(&arguments)),
        None => {
            let a = arguments.whole_loop;
            let options = LoopOptions {
                runs: a.runs,
                mode: a.mode,
                time_scale: a.time_scale,
                seed: a.seed,
                rules: a.rules,
                slas: a.sla,
                command: command.words(),
                plain: a.plain,
                web: a.web,
            };
            whole_loop::run(&runtime, &options)
        }
    }
}

/// A listener, or an error that names the address.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; give another address with --listen"))
}
