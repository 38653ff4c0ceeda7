//! HTTP/1.1 and HTTP/2 behind one face. Invariant: whoever polls the driver moves the bytes; nothing runs on
//! another thread.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Request, Response, Uri, header,
    uri::{Authority, Parts, Scheme},
};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;

use super::{connect::Transport, origin::Origin};

/// The most headers a response may have; hyper answers more with an error.
const MAX_HEADERS: usize = 256;
/// The most bytes that a header section may have, and that are buffered at a time.
const MAX_BUFFER: usize = 256 * 1024;
/// The same for the headers of HTTP/2.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// The version of HTTP that a scenario speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    Http1,
    Http2,
}

impl Version {
    /// Gives a request the form that the version has: HTTP/2 names scheme and host with the path.
    pub(crate) fn fit<B>(self, request: &mut Request<B>, origin: &Origin) {
        if self == Self::Http1 {
            return;
        }
        let path = request.uri().path_and_query().cloned();
        let scheme = if origin.is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Authority::try_from(origin.authority.as_bytes()).ok();
        parts.path_and_query = path;
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request.headers_mut().remove(header::HOST);
    }
}

type Io = TokioIo<Transport>;
/// A response on its way.
pub(super) type Pending = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>>>>;

/// Takes requests.
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Moves the bytes of a connection.
pub(super) enum Driver {
    Http1(Box<http1::Connection<Io, Full<Bytes>>>),
    Http2(Box<http2::Connection<Io, Full<Bytes>, OnThisThread>>),
}

/// Runs what HTTP/2 needs beside its driver, on the worker's own thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Begins to speak HTTP on a connected transport.
pub(super) async fn handshake(transport: Transport, version: Version) -> hyper::Result<(Sender, Driver)> {
    let io = TokioIo::new(transport);
    match version {
        Version::Http1 => {
            let mut builder = http1::Builder::new();
            builder.max_headers(MAX_HEADERS).max_buf_size(MAX_BUFFER);
            let (sender, driver) = builder.handshake(io).await?;
            Ok((Sender::Http1(sender), Driver::Http1(Box::new(driver))))
        }
        Version::Http2 => {
            let mut builder = http2::Builder::new(OnThisThread);
            builder.max_header_list_size(MAX_HEADER_LIST);
            let (sender, driver) = builder.handshake(io).await?;
            Ok((Sender::Http2(sender), Driver::Http2(Box::new(driver))))
        }
    }
}

impl Sender {
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1(sender) => sender.poll_ready(cx),
            Self::Http2(sender) => sender.poll_ready(cx),
        }
    }

    pub(super) fn send(&mut self, request: Request<Full<Bytes>>) -> Pending {
        match self {
            Self::Http1(sender) => Box::pin(sender.send_request(request)),
            Self::Http2(sender) => Box::pin(sender.send_request(request)),
        }
    }
}

impl Driver {
    /// Moves bytes; ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(driver) => Pin::new(&mut **driver).poll(cx).map(drop),
            Self::Http2(driver) => Pin::new(&mut **driver).poll(cx).map(drop),
        }
    }
}
