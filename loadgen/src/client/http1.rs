//! HTTP/1.1, the part of it that a client needs (RFC 9112), over one connection.
//!
//! Of our own because of what it costs: a general client hands each request through two channels, a second task
//! and several allocations, which is a third of what a tiny request costs in all. Invariant: the task that awaits the
//! response moves the bytes; what has been read is parsed where it lies, and only an unfinished head is copied.

mod chunked;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod head;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    chunked::Chunked,
    head::{Found, Framing},
};
use super::{ErrorClass, Failure, connect::Transport, outgoing::Outgoing, reply::Intake, stamped::Stamps};
use crate::timer::Slot;

/// The most that is read at a time.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// What is read lies here until it is parsed, which is before the next read: one for all connections.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection that speaks HTTP/1.1.
pub(super) struct Http1 {
    transport: Transport,
    /// The request that is being sent, or was last.
    request: Vec<u8>,
    /// A head that is not whole yet.
    unfinished: Vec<u8>,
    is_open: bool,
}

/// How far a round trip has come.
enum State {
    Head,
    Body(Body),
    Done,
}

/// What is left of a body.
enum Body {
    Bytes(u64),
    Chunks(Chunked),
    UntilClose,
}

/// One trip.
struct RoundTrip<'e, I> {
    state: State,
    written: usize,
    is_head_request: bool,
    stamps: &'e Stamps,
    intake: &'e mut I,
}

impl Http1 {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, request: Vec::new(), unfinished: Vec::new(), is_open: true }
    }

    /// Whether the peer has closed the connection, by asking the socket.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_closed_by_peer(),
            Transport::Tls(stream) => stream.get_ref().0.is_closed_by_peer(),
        }
    }

    /// Whether the connection can take another request, as far as is known without asking the peer.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_open {
            // Between two responses the peer has nothing to say but that it closes. Where nothing came, this
            // is no system call.
            let mut byte = [0; 1];
            self.is_open =
                Pin::new(&mut self.transport).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending();
        }
        self.is_open
    }

    /// Sends a request and hands the response to `intake` as it comes.
    pub(super) async fn http1_round_trip(
        &mut self,
        request: &Outgoing<'_>,
        stamps: &Stamps,
        deadline: &Slot,
        intake: &mut impl Intake,
    ) -> Result<(), Failure> {
        encode::encode(request, &mut self.request);
        self.unfinished.clear();
        let is_head_request = request.method == http::Method::HEAD;
        let mut trip = RoundTrip { state: State::Head, written: 0, is_head_request, stamps, intake };
        let mut polls = 0u32;
        let result = poll_fn(|cx| {
            polls += 1;
            // A response takes a few polls; a peer that never stops sending takes any number.
            if deadline.poll(cx).is_ready() || (polls > 2 && deadline.has_passed()) {
                return Poll::Ready(Err(trip.timed_out()));
            }
            self.poll(cx, &mut trip)
        })
        .await;
        if result.is_err() || trip.written < self.request.len() {
            self.is_open = false;
        }
        result
    }

    fn poll<I: Intake>(
        &mut self,
        cx: &mut Context<'_>,
        trip: &mut RoundTrip<'_, I>,
    ) -> Poll<Result<(), Failure>> {
        while trip.written < self.request.len() {
            match Pin::new(&mut self.transport).poll_write(cx, &self.request[trip.written..]) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(trip.failed(&io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(n)) => trip.written += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(trip.failed(&e))),
                // A server may answer before it has all of the request.
                Poll::Pending => break,
            }
        }
        if matches!(self.transport, Transport::Tls(_))
            && let Poll::Ready(Err(e)) = Pin::new(&mut self.transport).poll_flush(cx)
        {
            return Poll::Ready(Err(trip.failed(&e)));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut read = ReadBuf::new(scratch);
                match Pin::new(&mut self.transport).poll_read(cx, &mut read) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(trip.failed(&e))),
                    Poll::Ready(Ok(())) => {}
                }
                let result = match read.filled() {
                    [] => self.ended(trip),
                    bytes => self.received(bytes, trip),
                };
                if result.is_err() || matches!(trip.state, State::Done) {
                    return Poll::Ready(result);
                }
            }
        })
    }

    /// The peer has closed.
    fn ended<I: Intake>(&mut self, trip: &mut RoundTrip<'_, I>) -> Result<(), Failure> {
        self.is_open = false;
        match trip.state {
            State::Body(Body::UntilClose) => {
                trip.state = State::Done;
                Ok(())
            }
            _ => Err(trip.failed(&io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn received<I: Intake>(&mut self, bytes: &[u8], trip: &mut RoundTrip<'_, I>) -> Result<(), Failure> {
        let mut rest = bytes;
        while matches!(trip.state, State::Head) {
            if self.unfinished.is_empty() {
                match self.head(rest, trip)? {
                    Some(used) => rest = &rest[used..],
                    None => {
                        self.unfinished.extend_from_slice(rest);
                        return Ok(());
                    }
                }
            } else {
                let before = self.unfinished.len();
                self.unfinished.extend_from_slice(rest);
                if !head::may_be_whole(&self.unfinished, before) {
                    return head::check_length(self.unfinished.len());
                }
                let whole = std::mem::take(&mut self.unfinished);
                match self.head(&whole, trip)? {
                    // What belongs to the head that was unfinished is no longer among the rest.
                    Some(used) => rest = &rest[used.saturating_sub(before)..],
                    None => {
                        self.unfinished = whole;
                        return Ok(());
                    }
                }
            }
        }
        let rest = trip.body(rest)?;
        if !rest.is_empty() {
            // More than the response: what follows cannot be told apart from the next one.
            self.is_open = false;
        }
        Ok(())
    }

    /// Reads a head; gives its length, or `None` where it is not whole.
    fn head<I: Intake>(
        &mut self,
        bytes: &[u8],
        trip: &mut RoundTrip<'_, I>,
    ) -> Result<Option<usize>, Failure> {
        let Some(Found { length, status, framing, is_kept }) =
            head::parse(bytes, trip.is_head_request, trip.intake)?
        else {
            return Ok(None);
        };
        // Other than 101, what comes before the final response changes nothing for this client.
        if (100..200).contains(&status) && status != 101 {
            return Ok(Some(length));
        }
        self.is_open &= is_kept && framing != Framing::UntilClose;
        trip.state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(n) => State::Body(Body::Bytes(n)),
            Framing::Chunked => State::Body(Body::Chunks(Chunked::default())),
            Framing::UntilClose => State::Body(Body::UntilClose),
        };
        Ok(Some(length))
    }
}

impl<I: Intake> RoundTrip<'_, I> {
    /// Takes what belongs to the body and gives what does not.
    fn body<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Failure> {
        match &mut self.state {
            State::Body(Body::Bytes(left)) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                self.intake.piece(&bytes[..n], self.stamps)?;
                *left -= n as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                Ok(&bytes[n..])
            }
            State::Body(Body::Chunks(chunked)) => {
                let (intake, stamps) = (&mut *self.intake, self.stamps);
                let used = chunked.push(bytes, |piece| intake.piece(piece, stamps))?;
                if chunked.is_done() {
                    self.state = State::Done;
                }
                Ok(&bytes[used..])
            }
            State::Body(Body::UntilClose) => {
                self.intake.piece(bytes, self.stamps)?;
                Ok(&[])
            }
            State::Head | State::Done => Ok(bytes),
        }
    }

    fn timed_out(&self) -> Failure {
        let detail = match self.state {
            State::Head => "no response within the step's timeout",
            _ => "the response did not end within the step's timeout",
        };
        Failure::new(ErrorClass::Timeout, detail)
    }

    /// What an error of the socket means, by how far the response had come.
    fn failed(&self, e: &io::Error) -> Failure {
        let class = if matches!(e.kind(), io::ErrorKind::InvalidData) {
            // TLS that does not decrypt.
            ErrorClass::Protocol
        } else if self.stamps.first_read().is_some() {
            ErrorClass::CutStream
        } else {
            ErrorClass::Reset
        };
        let detail = match (e.kind(), &self.state) {
            (io::ErrorKind::UnexpectedEof, State::Head) => {
                "the connection was closed before the response".to_owned()
            }
            (io::ErrorKind::UnexpectedEof, _) => "the connection was closed inside the response".to_owned(),
            _ => e.to_string(),
        };
        Failure::new(class, detail)
    }
}
