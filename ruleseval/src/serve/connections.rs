//! Connections of the server. Invariants: their number is bounded, a connection that sends no request or does not read
//! its answer is closed, and none holds up the end of the server.

use std::{pin::pin, sync::Arc, time::Duration};

use assay_platform::unread;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};

/// The most connections at a time; further ones wait until one ends.
const MOST: usize = 512;
/// How long a connection may take to send the head of a request, from the last answer on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the kernel keeps an answer that a client does not read.
const UNREAD: Duration = Duration::from_secs(30);
/// How long requests under way may take to end when the server stops.
const GRACE: Duration = Duration::from_millis(500);

/// Serves connections until `stop` is ready.
///
/// # Errors
/// Where the listener is none any more.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(MOST));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut stop = pin!(stop);
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, place))
        };
        let (stream, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Such as too many open files, which passes.
                    tracing::warn!("a connection could not be accepted: {e}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        unread::limit(&stream, UNREAD);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // What a client does wrong ends its connection and concerns nobody else.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}
