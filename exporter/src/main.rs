//! The exporter's command line: arguments to options, then the library.

mod args;
mod logging;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use assay_platform::ending::Endings;
use assay_text::console;
use exporter::{Exporter, bind, push, serve, sys};
use tokio::{sync::watch, task::JoinSet};

use crate::args::Args;

/// Bad arguments, or a port that cannot be had.
const BAD_INPUT: u8 = 2;

/// After the first signal the process ends within two seconds, whatever hangs.
const GRACE: Duration = Duration::from_millis(1_900);

/// Longer than any process runs.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

fn main() -> ExitCode {
    console::begin();
    sys::memory::economize();
    raise_descriptors();
    let outcome = Args::parse(std::env::args_os()).map_err(anyhow::Error::from).and_then(|args| {
        logging::start(&args.log_level, &args.log_format);
        // One thread serves; scrapes run on others.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // They stay, a few as there are turns to scrape.
            .thread_keep_alive(FOREVER)
            .build()?;
        runtime.block_on(async {
            first_thread().await?;
            run(args).await
        })
    });
    match outcome {
        // Threads may hang in the kernel or in a driver's library: nothing waits for them.
        Ok(()) => sys::exit::now(0),
        Err(error) => {
            for line in format!("{error:#}").lines() {
                console::say(format_args!("exporter: {line}"));
            }
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// A thread for scrapes is there from the start, so that they are answered when the system gives no more threads.
async fn first_thread() -> anyhow::Result<()> {
    // The runtime would panic.
    let attempt = std::thread::Builder::new().spawn(|| ());
    let attempt =
        attempt.context("cannot start a thread; raise the limit on processes (pids.max, ulimit -u)")?;
    let _ = attempt.join();
    Ok(tokio::task::spawn_blocking(|| ()).await?)
}

/// As many descriptors as the system allows, which is what Go gives node_exporter.
fn raise_descriptors() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        // With fewer the exporter works too.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let serve_options = args.serve_options()?;
    let mut listeners = Vec::new();
    if args.systemd_socket {
        #[cfg(unix)]
        for listener in sys::sockets::take()? {
            listener.set_nonblocking(true)?;
            listeners.push(tokio::net::TcpListener::from_std(listener)?);
        }
        #[cfg(not(unix))]
        anyhow::bail!("--web.systemd-socket needs systemd, which this system does not have");
    } else {
        for address in &args.listen_addresses {
            listeners.push(bind(address).await?);
        }
    }
    let mut exporter = Exporter::new(args.options.clone());
    if args.push.is_some() {
        exporter.counts_pushes();
    }
    let exporter = Arc::new(exporter);
    tracing::info!(collectors = exporter.collectors().collect::<Vec<_>>().join(","), "starting");
    let (stop, stopped) = watch::channel(false);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let ended = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is the end too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    for listener in listeners {
        let address = listener.local_addr()?;
        tracing::info!(%address, path = args.telemetry_path(), "listening");
        let server = serve(Arc::clone(&exporter), listener, serve_options.clone(), ended(stopped.clone()));
        tasks.spawn(async { Ok(server.await?) });
    }
    if let Some(options) = args.push {
        let pushing = push(Arc::clone(&exporter), options, ended(stopped.clone()));
        tasks.spawn(async {
            pushing.await;
            Ok(())
        });
    }
    // Without handlers, requests to end do so at once, which is as good.
    if let Ok(mut endings) = Endings::watch() {
        tokio::spawn(async move {
            endings.next().await;
            tracing::info!("ending; a second signal ends at once");
            let _ = stop.send(true);
            tokio::select! {
                _ = endings.next() => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            sys::exit::now(0)
        });
    }
    while let Some(finished) = tasks.join_next().await {
        finished??;
    }
    Ok(())
}
