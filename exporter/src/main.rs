//! The exporter's command line: arguments to options, then the library.

mod args;
mod logging;

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use exporter::{Exporter, serve};
use tokio::net::TcpListener;

use crate::args::Args;

/// Bad arguments, or a port that cannot be had.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    let outcome = Args::from_arg_matches(&matches).map_err(anyhow::Error::from).and_then(|args| {
        logging::start(args.log_level, args.log_format);
        // One thread serves; scrapes run on threads that come and go.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(&args))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exporter: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let options = args.options()?;
    let serve_options = args.serve_options()?;
    let mut listeners = Vec::with_capacity(args.listen_addresses.len());
    for address in &args.listen_addresses {
        listeners.push(bind(address).await?);
    }
    let exporter = Arc::new(Exporter::new(options));
    tracing::info!(collectors = exporter.collectors().collect::<Vec<_>>().join(","), "starting");
    let mut servers = tokio::task::JoinSet::new();
    for listener in listeners {
        let address = listener.local_addr()?;
        tracing::info!(%address, path = serve_options.telemetry_path, "listening");
        servers.spawn(serve(Arc::clone(&exporter), listener, serve_options.clone(), stopped()));
    }
    while let Some(finished) = servers.join_next().await {
        finished??;
    }
    Ok(())
}

/// `:9100` is every address of this host, as Go has it.
async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let attempt = match address.strip_prefix(':') {
        // A kernel without IPv6 has no `[::]`.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(cause) if cause.kind() != std::io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            other => other,
        },
        None => TcpListener::bind(address).await,
    };
    attempt.with_context(|| {
        format!("cannot listen on {address}: give another --web.listen-address, as in 127.0.0.1:9100")
    })
}

/// Completes when the process is asked to stop.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Without handlers the signals end the process, which is as good.
        _ => std::future::pending().await,
    }
}
