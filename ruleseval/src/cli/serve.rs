//! `ruleseval serve`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use assay_platform::ending::Endings;
use assay_rules::file::RuleFiles;
use assay_text::console;
use tokio::net::TcpListener;

use super::eval::parse_duration;
use crate::serve::{QueryLimits, Settings, Site, serve};

/// The exit code of a server that a second signal ended.
const INTERRUPTED: u8 = 130;

/// Serve Prometheus' HTTP API over a run, for Grafana, promtool and other clients; of a folder of runs, a page with all of
/// them, their reports, and the API of each.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory, any Prometheus data directory, or a snapshot; or a folder of runs
    run: PathBuf,
    /// Rule files to replay; what they record and which alerts fire is served too
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// The most samples that one query may hold at a time
    #[arg(long = "query.max-samples", value_name = "COUNT", default_value_t = 50_000_000)]
    max_samples: usize,
    /// How long a query may take before it is ended
    #[arg(long = "query.timeout", value_name = "DURATION", value_parser = parse_duration, default_value = "2m")]
    timeout: i64,
    /// How many queries are evaluated at a time; others wait
    #[arg(long = "query.max-concurrency", value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    max_concurrency: u16,
    /// How far back an instant selector looks for a sample
    #[arg(long = "query.lookback-delta", value_name = "DURATION", value_parser = parse_duration, default_value = "5m")]
    lookback: i64,
    /// Let scripts of the origins that this regular expression matches read answers, such as `https?://grafana\.example`
    #[arg(long = "web.cors.origin", value_name = "REGEX")]
    cors_origin: Option<String>,
}

/// Serves until Ctrl-C or SIGTERM; a second one ends at once.
pub(super) fn run(args: &Args, max_memory_bytes: usize) -> anyhow::Result<u8> {
    crate::heap::give_back_early();
    let files = RuleFiles::load(&args.rules)?;
    let limits = QueryLimits {
        max_samples: args.max_samples,
        max_memory_bytes,
        timeout: Duration::from_millis(args.timeout.unsigned_abs()),
        max_concurrency: usize::from(args.max_concurrency),
        lookback_ms: args.lookback,
    };
    let mut settings = Settings::new(files, limits);
    if let Some(origins) = &args.cors_origin {
        settings = settings.for_origins(origins).with_context(|| format!("--web.cors.origin {origins}"))?;
    }
    let site = Site::open(&args.run, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await.with_context(|| {
            format!("{}: cannot listen; choose another address with --listen", args.listen)
        })?;
        console::say(format_args!("serving {} on http://{}", args.run.display(), listener.local_addr()?));
        let (stop, stopping) = tokio::sync::oneshot::channel();
        let mut endings = Endings::watch().context("cannot watch for signals")?;
        let signals = async {
            endings.next().await;
            let _ = stop.send(());
            endings.next().await;
        };
        let served = serve(listener, site, async {
            let _ = stopping.await;
        });
        tokio::select! {
            served = served => served.map(|()| 0).map_err(Into::into),
            () = signals => Ok(INTERRUPTED),
        }
    });
    // Queries that are still evaluated end with the process.
    runtime.shutdown_background();
    done
}
