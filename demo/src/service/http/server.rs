//! Connections: how many, how long, and how they end.
//!
//! Invariant: no client holds the service up. A head that does not arrive, an answer that is not read and a connection
//! that idles are closed; on shutdown answers under way have a bounded time to end.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use assay_platform::unread;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::timeout};

use super::admin::Peer;
use crate::service::options::ServiceOptions;

/// How long the kernel keeps an answer that a client does not read.
const UNREAD: Duration = Duration::from_secs(30);

/// How long accepting rests when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown` completes, then lets answers under way end. When the future is dropped, all
/// connections break.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    options: &ServiceOptions,
    mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(options.limits.connections));
    let mut connections = JoinSet::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(options.timeouts.head);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream, peer) = tokio::select! {
            () = shutdown.as_mut() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accepted => match accepted {
                (place, Ok((stream, peer))) => (place, stream, peer),
                (_, Err(cause)) => {
                    tracing::warn!("cannot accept a connection: {cause}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Events of a stream are small; each must leave at once.
        let _ = stream.set_nodelay(true);
        unread::limit(&stream, UNREAD);
        let service = TowerToHyperService::new(router.clone().layer(Extension(Peer(peer))));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        connections.spawn(async move {
            let _place = place;
            if let Err(cause) = connection.await {
                tracing::debug!("a connection ended: {cause}");
            }
        });
    }
    drop(listener);
    if timeout(options.timeouts.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!(open = connections.len(), "answers under way were cut off");
    }
    Ok(())
}
