//! The server's connections: accepting, TLS, HTTP/1.1 and HTTP/2, and their end.
//!
//! Invariant: a client that does not shake hands, does not ask or does not read costs a bounded amount of memory for a
//! bounded time, and holds up nobody; there are at most [`MOST`] of them.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use assay_platform::unread;
use axum::{Router, body::Body, extract::Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use crate::{WebConfig, sys, web::Peer};

/// Connections at once.
const MOST: usize = 1024;

/// After more connections than [`CROWD`], when no more than [`FEW`] are left, memory is given back.
const CROWD: usize = 64;
const FEW: usize = 8;

/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the kernel keeps what a client does not read.
const UNREAD: Duration = Duration::from_secs(30);

/// How long connections have to end after the server was asked to.
const GRACE: Duration = Duration::from_millis(1_500);

/// Serves until `shutdown` completes and the requests under way are done, or [`GRACE`] is over.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    web: Option<Arc<WebConfig>>,
    idle: Duration,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut shutdown = pin!(shutdown);
    let mut connections = JoinSet::new();
    let (closing, closed) = watch::channel(false);
    let protocol = Protocol { is_http2: web.as_ref().is_some_and(|web| web.has_http2()), idle };
    let mut is_crowded = false;
    loop {
        is_crowded |= connections.len() > CROWD;
        if is_crowded && connections.len() <= FEW {
            is_crowded = false;
            tokio::task::spawn_blocking(sys::memory::trim);
        }
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    let web = web.clone().filter(|web| web.has_tls());
                    connections.spawn(connect(stream, router.clone(), web, protocol, closed.clone()));
                }
                Err(cause) => {
                    tracing::debug!("a connection was not accepted: {cause}");
                    // The process may be out of file descriptors; others need time to give some back.
                    sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
    drop(listener);
    let _ = closing.send(true);
    // Who does not read is not waited for.
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

/// What is spoken on connections.
#[derive(Clone, Copy)]
struct Protocol {
    is_http2: bool,
    idle: Duration,
}

/// How many requests of a connection are under way, and since when that is so.
type Pulse = Arc<Mutex<(usize, Instant)>>;

/// Counts as a request until it is dropped, which its answer's body does at its end.
struct UnderWay(Pulse);

impl UnderWay {
    fn new(pulse: &Pulse) -> Self {
        change(pulse, 1);
        Self(pulse.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        change(&self.0, -1);
    }
}

fn change(pulse: &Pulse, by: isize) {
    let mut pulse = pulse.lock().unwrap_or_else(PoisonError::into_inner);
    *pulse = (pulse.0.saturating_add_signed(by), Instant::now());
}

/// Completes when no request was under way for so long. Before the first one a connection may not have said which
/// version of HTTP it speaks; in HTTP/2 a client may answer pings and ask nothing.
async fn idled(pulse: &Pulse, most: Duration) {
    loop {
        let (under_way, since) = *pulse.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way > 0 {
            sleep(most).await;
        } else if since.elapsed() < most {
            sleep_until((since + most).into()).await;
        } else {
            return;
        }
    }
}

async fn connect(
    stream: TcpStream,
    router: Router,
    web: Option<Arc<WebConfig>>,
    protocol: Protocol,
    closed: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    unread::limit(&stream, UNREAD);
    let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
    let Some(web) = web else { return requests(stream, peer, router, protocol, closed).await };
    let Some(config) = web.tls() else { return };
    match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, peer, router, protocol, closed).await,
        Ok(Err(cause)) => tracing::debug!("no TLS: {cause}"),
        Err(_) => tracing::debug!("no TLS within {HANDSHAKE:?}"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<Peer>,
    router: Router,
    Protocol { is_http2, idle }: Protocol,
    mut closed: watch::Receiver<bool>,
) {
    let pulse = Pulse::new(Mutex::new((0, Instant::now())));
    let of_requests = pulse.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (mut router, under_way) = (router.clone(), UnderWay::new(&of_requests));
        async move {
            let mut request = request.map(Body::new);
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            // A router is always ready.
            let response = router.call(request).await;
            response.map(|response| {
                response.map(|body| {
                    body.map_frame(move |frame| {
                        let _ = &under_way;
                        frame
                    })
                })
            })
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(16 * 1024);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(idle)).max_concurrent_streams(64);
    let builder = if is_http2 { builder } else { builder.http1_only() };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        // An error means that the server is gone, which is the end too.
        _ = closed.wait_for(|closed| *closed) => None,
        () = idled(&pulse, idle) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = timeout(GRACE, connection).await else { return };
            ended
        }
    };
    if let Err(cause) = ended {
        tracing::debug!("connection: {cause}");
    }
}
