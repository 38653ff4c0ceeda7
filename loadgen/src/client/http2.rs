//! A connection that speaks HTTP/2, with hyper. Invariant: the task that sent the request also drives the
//! connection, so that no other task stands between socket and stamp.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::TokioIo;

use super::{
    ErrorClass, Failure, connect::Transport, origin::Origin, outgoing::Outgoing, protocol::Version,
    reply::Intake, stamped::Stamps,
};
use crate::timer::Slot;

/// The most bytes that the headers of a response may have.
const MAX_HEADER_LIST: u32 = 64 * 1024;

/// An HTTP/2 connection with at most one request on it.
pub(super) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    driver: Box<http2::Connection<TokioIo<Transport>, Full<Bytes>, OnThisThread>>,
    is_open: bool,
}

/// Runs what HTTP/2 needs in addition to its driver, on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// A response that did not end in time.
fn endless() -> Failure {
    Failure::new(ErrorClass::Timeout, "the response did not end within the step's timeout")
}

impl Http2 {
    /// Begins to speak HTTP/2 on a connected transport.
    pub(super) async fn handshake(transport: Transport) -> hyper::Result<Self> {
        let mut builder = http2::Builder::new(OnThisThread);
        builder.max_header_list_size(MAX_HEADER_LIST);
        let (sender, driver) = builder.handshake(TokioIo::new(transport)).await?;
        Ok(Self { sender, driver: Box::new(driver), is_open: true })
    }

    /// Whether the connection can take another request, as far as is known without asking the peer.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        // Where the sender is not ready, the driver, just polled, will not get any further without the peer.
        self.is_open && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Sends a request and hands the response to `intake` as it comes.
    pub(super) async fn http2_round_trip(
        &mut self,
        request: &Outgoing<'_>,
        origin: &Origin,
        stamps: &Stamps,
        deadline: &Slot,
        intake: &mut impl Intake,
    ) -> Result<(), Failure> {
        let mut request = request.to_request();
        Version::Http2.fit(&mut request, origin);
        let response = self.send(request, stamps, deadline).await?;
        let (head, mut body) = response.into_parts();
        intake.head_map(head.status.as_u16(), head.headers);
        while let Some(piece) = self.piece(&mut body, stamps, deadline).await? {
            intake.piece(&piece, stamps)?;
            // A body that never stops coming has to be held to the clock.
            if deadline.has_passed() {
                return Err(endless());
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        stamps: &Stamps,
        deadline: &Slot,
    ) -> Result<Response<Incoming>, Failure> {
        let mut response = Box::pin(self.sender.send_request(request));
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
            Some(e) => classify(&e, stamps),
        })
    }

    /// The next piece of the body, or `None` at its end.
    async fn piece(
        &mut self,
        body: &mut Incoming,
        stamps: &Stamps,
        deadline: &Slot,
    ) -> Result<Option<Bytes>, Failure> {
        let piece = poll_fn(|cx| {
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
        piece.map_err(|e| match e {
            None => endless(),
            Some(e) => classify_body(&e, stamps),
        })
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.is_open && Pin::new(&mut *self.driver).poll(cx).is_ready() {
            self.is_open = false;
        }
    }
}

/// Before the head of a response.
fn classify(e: &hyper::Error, stamps: &Stamps) -> Failure {
    let class = if e.is_parse_too_large() {
        ErrorClass::TooLarge
    } else if e.is_parse() || is_broken(stamps) {
        ErrorClass::Protocol
    } else if stamps.first_read().is_some() {
        ErrorClass::CutStream
    } else {
        ErrorClass::Reset
    };
    Failure::new(class, describe(e, stamps))
}

fn classify_body(e: &hyper::Error, stamps: &Stamps) -> Failure {
    let class = if e.is_parse() || is_broken(stamps) { ErrorClass::Protocol } else { ErrorClass::CutStream };
    Failure::new(class, describe(e, stamps))
}

/// HTTP/2 informs a peer that breaks the rules by its own errors; the socket has none then.
fn is_broken(stamps: &Stamps) -> bool {
    stamps.error().is_none() && stamps.first_read().is_some()
}

fn describe(e: &hyper::Error, stamps: &Stamps) -> String {
    let cause = std::error::Error::source(e).map(|s| format!(": {s}")).unwrap_or_default();
    match stamps.error() {
        Some(kind) if cause.is_empty() => format!("{e}: {kind}"),
        _ => format!("{e}{cause}"),
    }
}
