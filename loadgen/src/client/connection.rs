//! One connection of one virtual user. Invariant: at most one request is on it at a time, and the
//! task that sent it also drives the connection, so that no other task stands between socket and stamp.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;

use super::{
    ErrorClass, Failure,
    connect::{ConnectTimes, connect},
    origin::Origin,
    protocol::{Driver, Sender, Version, handshake},
    proxy::Proxy,
    stamped::Stamps,
};
use crate::engine::timer::Slot;

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) version: Version,
    pub(crate) proxy: Option<Arc<Proxy>>,
}

/// An open connection.
pub(crate) struct Connection {
    sender: Sender,
    driver: Driver,
    stamps: Rc<Stamps>,
    is_open: bool,
    /// Requests answered so far.
    pub(crate) served: u64,
}

impl Connection {
    /// Opens a connection; gives up with [`ErrorClass::Timeout`] when `deadline` passes.
    pub(crate) async fn open(
        origin: &Origin,
        settings: &Settings,
        deadline: &Slot,
    ) -> Result<(Self, ConnectTimes), Failure> {
        let stamps = Rc::new(Stamps::default());
        let mut connecting = Box::pin(connect(origin, settings, &stamps));
        let (transport, times) = poll_fn(|cx| match deadline.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Failure::new(
                ErrorClass::Timeout,
                format!("no connection to {origin} within the step's timeout"),
            ))),
            Poll::Pending => connecting.as_mut().poll(cx),
        })
        .await?;
        drop(connecting);
        let (sender, driver) = handshake(transport, settings.version)
            .await
            .map_err(|e| Failure::new(ErrorClass::Protocol, e))?;
        Ok((Self { sender, driver, stamps, is_open: true, served: 0 }, times))
    }

    /// The stamps of the request that is on the connection, or was last.
    pub(crate) fn stamps(&self) -> Rc<Stamps> {
        Rc::clone(&self.stamps)
    }

    /// Whether the connection can take another request, as far as is known without asking the peer.
    pub(crate) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            match self.sender.poll_ready(cx) {
                _ if !self.is_open => Poll::Ready(false),
                Poll::Ready(result) => Poll::Ready(result.is_ok()),
                // The driver was just polled and will not get any further without the peer.
                Poll::Pending => Poll::Ready(false),
            }
        })
        .await
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: &Slot,
    ) -> Result<Response<Incoming>, Failure> {
        self.stamps.reset();
        let mut response = self.sender.send(request);
        let mut polls = 0u32;
        let result = poll_fn(|cx| {
            polls += 1;
            // A response takes a few polls; a peer that never stops sending takes any number.
            if deadline.poll(cx).is_ready() || (polls > 2 && deadline.has_passed()) {
                return Poll::Ready(Err(None));
            }
            // The driver again after the response: the head may be in the bytes it just read.
            for _ in 0..2 {
                self.drive(cx);
                if let Poll::Ready(result) = response.as_mut().poll(cx) {
                    return Poll::Ready(result.map_err(Some));
                }
            }
            Poll::Pending
        })
        .await;
        result.map_err(|e| match e {
            None => Failure::new(ErrorClass::Timeout, "no response within the step's timeout"),
            Some(e) => self.classify(&e),
        })
    }

    /// The next piece of the body, or `None` at its end.
    pub(crate) async fn body_chunk(
        &mut self,
        body: &mut Incoming,
        deadline: &Slot,
    ) -> Result<Option<Bytes>, Failure> {
        let chunk = poll_fn(|cx| {
            if deadline.poll(cx).is_ready() {
                return Poll::Ready(Err(None));
            }
            'again: loop {
                // What has arrived is taken before more is read, so that its stamp is its own.
                for drive in [false, true] {
                    if drive {
                        self.drive(cx);
                    }
                    match Pin::new(&mut *body).poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                            Ok(data) => return Poll::Ready(Ok(Some(data))),
                            // Trailers are of no interest here; what follows is the end.
                            Err(_) => continue 'again,
                        },
                        Poll::Ready(Some(Err(e))) => return Poll::Ready(Err(Some(e))),
                        Poll::Ready(None) => return Poll::Ready(Ok(None)),
                        Poll::Pending => {}
                    }
                }
                return Poll::Pending;
            }
        })
        .await;
        chunk.map_err(|e| match e {
            None => Self::endless(),
            Some(e) => self.classify_body(&e),
        })
    }

    /// A response that did not end in time.
    pub(crate) fn endless() -> Failure {
        Failure::new(ErrorClass::Timeout, "the response did not end within the step's timeout")
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.is_open && self.driver.poll(cx).is_ready() {
            self.is_open = false;
        }
    }

    /// Before the head of a response.
    fn classify(&self, e: &hyper::Error) -> Failure {
        let class = if e.is_parse_too_large() {
            ErrorClass::TooLarge
        } else if e.is_parse() || self.is_broken_http2() {
            ErrorClass::Protocol
        } else if self.stamps.first_read().is_some() {
            ErrorClass::CutStream
        } else {
            ErrorClass::Reset
        };
        Failure::new(class, self.describe(e))
    }

    fn classify_body(&self, e: &hyper::Error) -> Failure {
        // hyper reports a malformed chunk as an invalid-data error of the body, not as a parse error.
        let is_malformed = e.is_parse()
            || source_kind(e) == Some(std::io::ErrorKind::InvalidData)
            || source_kind(e) == Some(std::io::ErrorKind::InvalidInput);
        let class =
            if is_malformed || self.is_broken_http2() { ErrorClass::Protocol } else { ErrorClass::CutStream };
        Failure::new(class, self.describe(e))
    }

    /// HTTP/2 tells a peer that breaks the rules by its own errors; the socket has none then.
    fn is_broken_http2(&self) -> bool {
        matches!(self.driver, Driver::Http2(_))
            && self.stamps.error().is_none()
            && self.stamps.first_read().is_some()
    }

    fn describe(&self, e: &hyper::Error) -> String {
        let cause = std::error::Error::source(e).map(|s| format!(": {s}")).unwrap_or_default();
        match self.stamps.error() {
            Some(kind) if cause.is_empty() => format!("{e}: {kind}"),
            _ => format!("{e}{cause}"),
        }
    }
}

fn source_kind(e: &hyper::Error) -> Option<std::io::ErrorKind> {
    std::error::Error::source(e)?.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}
