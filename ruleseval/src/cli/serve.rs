//! `ruleseval serve`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use assay_rules::file::RuleFiles;
use assay_run::Run;
use tokio::net::TcpListener;

use crate::serve::{Served, serve};

/// Serve Prometheus' HTTP API over a run, for Grafana, promtool and other clients.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory, any Prometheus data directory, or a snapshot
    run: PathBuf,
    /// Rule files to replay; what they record and which alerts fire is served too
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
}

/// Serves until Ctrl-C.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let files = RuleFiles::load(&args.rules)?;
    let run = Run::open(&args.run)?;
    for warning in run.database.warnings() {
        tracing::warn!("{warning}");
    }
    let served = Arc::new(Served::new(run, files));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await.with_context(|| {
            format!("{}: cannot listen; choose another address with --listen", args.listen)
        })?;
        eprintln!("serving {} on http://{}", args.run.display(), listener.local_addr()?);
        let stop = async {
            // Without a handler the default action ends the program, which serves as well.
            let _ = tokio::signal::ctrl_c().await;
        };
        serve(listener, served, stop).await?;
        Ok(0)
    })
}
