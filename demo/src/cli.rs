//! The command line. Invariant: arguments become options here and nowhere else.

use std::{future::Future, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use demo::service::{self, ServiceOptions};
use tokio::net::TcpListener;

use crate::whole_loop::{self, LoopOptions};

/// The exit code for bad input: a port in use, a file that can't be read.
pub(crate) const BAD_INPUT: u8 = 2;

/// Runs the whole loop: a clinical RAG service, an exporter and a recorder in one process, load for about a
/// minute, then the verdict over what was recorded.
///
/// Exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    whole_loop: LoopArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the clinical RAG service alone, until Ctrl-C.
    Serve(ServeArguments),
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
}

#[derive(Debug, clap::Args)]
struct ServeArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: String,
    /// The password of the users nurse, resident and attending
    #[arg(long, env = "RAG_PASSWORD", hide_env_values = true, default_value = "demo")]
    password: String,
    /// Show classic histogram buckets beside the native ones
    #[arg(long)]
    classic_buckets: bool,
    /// The share of queries that fail on purpose, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    error_rate: f64,
}

/// Parses the arguments, does what they ask for, and yields the exit code.
pub(crate) fn run() -> Result<u8> {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    match arguments.command {
        Some(Command::Serve(serve)) => runtime.block_on(serve_alone(&serve)),
        None => {
            let a = arguments.whole_loop;
            let options = LoopOptions {
                runs: a.runs,
                mode: a.mode,
                time_scale: a.time_scale,
                seed: a.seed,
                rules: a.rules,
                slas: a.sla,
                plain: a.plain,
            };
            whole_loop::run(&runtime, &options)
        }
    }
}

async fn serve_alone(arguments: &ServeArguments) -> Result<u8> {
    let mut options = ServiceOptions::with_password(&arguments.password);
    options.classic_buckets = arguments.classic_buckets;
    options.faults.error_rate = arguments.error_rate;
    let listener = bind(&arguments.listen).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    service::serve(listener, options, stopped()).await?;
    Ok(0)
}

/// A listener, or an error that names the address.
pub(crate) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; give another address with --listen"))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if (0.0..=1.0).contains(&x) => Ok(x),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// Completes on Ctrl-C or SIGTERM.
pub(crate) fn stopped() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    async {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
}
