//! A socket that notes when bytes went out and came in. Invariant: a stamp is taken next to the system call
//! that moved the bytes, below TLS and HTTP, so that no parsing and no waiting task is in it; where the kernel
//! says when bytes came, it is that.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

#[cfg(target_os = "linux")]
use tokio::io::Interest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Socket;

/// What happened on a socket since [`Stamps::reset`].
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    first_write: Cell<Option<Instant>>,
    last_write: Cell<Option<Instant>>,
    first_read: Cell<Option<Instant>>,
    last_read: Cell<Option<Instant>>,
    read_bytes: Cell<u64>,
    written_bytes: Cell<u64>,
    error: Cell<Option<io::ErrorKind>>,
    /// Reads in a row that found something.
    reads: Cell<u32>,
}

/// After so many reads in a row the task lets others run: a peer that never stops sending would otherwise hold up
/// the worker's timers and its other users.
const MOST_READS: u32 = 16;

impl Stamps {
    /// Forgets everything, before a request is sent.
    pub(crate) fn reset(&self) {
        self.first_write.set(None);
        self.last_write.set(None);
        self.first_read.set(None);
        self.last_read.set(None);
        self.read_bytes.set(0);
        self.written_bytes.set(0);
        self.reads.set(0);
    }

    /// When the first byte was written.
    pub(crate) fn first_write(&self) -> Option<Instant> {
        self.first_write.get()
    }

    /// When the last byte so far was written.
    pub(crate) fn last_write(&self) -> Option<Instant> {
        self.last_write.get()
    }

    /// When the first byte was read.
    pub(crate) fn first_read(&self) -> Option<Instant> {
        self.first_read.get()
    }

    /// When the last bytes so far were read.
    pub(crate) fn last_read(&self) -> Option<Instant> {
        self.last_read.get()
    }

    /// Bytes read and written.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.read_bytes.get(), self.written_bytes.get())
    }

    /// The last error of the socket.
    pub(crate) fn error(&self) -> Option<io::ErrorKind> {
        self.error.get()
    }
}

/// A socket with stamps.
#[derive(Debug)]
pub(crate) struct Stamped {
    stream: Socket,
    stamps: Rc<Stamps>,
    #[cfg(target_os = "linux")]
    arrivals: super::arrival::Arrivals,
}

impl Stamped {
    pub(super) fn new(stream: Socket, stamps: Rc<Stamps>) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            arrivals: super::arrival::Arrivals::of(&stream),
            stream,
            stamps,
        }
    }

    /// Whether the peer has closed the connection: its end lies in the socket, read or not by the runtime.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.stream.is_closed_by_peer()
    }

    /// Receives, and gives when the last byte came.
    #[cfg(target_os = "linux")]
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<Instant>> {
        let nothing = || Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock));
        let earliest = self.stamps.first_write.get();
        loop {
            std::task::ready!(self.stream.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let whole = space.len();
            let (stream, arrivals) = (&self.stream, &mut self.arrivals);
            match stream.try_io(Interest::READABLE, || arrivals.receive(stream, space, earliest)) {
                Ok((n, came)) => {
                    // The socket is empty, and what comes next is told of: asking again would be in vain. The
                    // result says so to Tokio and is otherwise of no interest.
                    if n > 0 && n < whole {
                        let _ = stream.try_io(Interest::READABLE, nothing);
                    }
                    buf.advance(n);
                    return Poll::Ready(Ok(came));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Receives, and gives when that was.
    #[cfg(not(target_os = "linux"))]
    fn poll_receive(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<Instant>> {
        Pin::new(&mut self.stream).poll_read(cx, buf).map_ok(|()| Instant::now())
    }

    /// When a write that is about to be tried began, where it may be the first. Taken before the call: a thread
    /// that loses its processor right after it would else find the response there already.
    fn begin_write(&self) -> Option<Instant> {
        self.stamps.first_write.get().is_none().then(Instant::now)
    }

    fn wrote(&self, began: Option<Instant>, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(n)) => {
                self.stamps.last_write.set(Some(Instant::now()));
                if began.is_some() {
                    self.stamps.first_write.set(began);
                }
                self.stamps.written_bytes.set(self.stamps.written_bytes.get() + *n as u64);
            }
            Poll::Ready(Err(e)) => self.stamps.error.set(Some(e.kind())),
            Poll::Pending => {}
        }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reads = self.stamps.reads.get();
        if reads >= MOST_READS {
            self.stamps.reads.set(0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.stamps.reads.set(reads + 1);
        let before = buf.filled().len();
        let result = self.poll_receive(cx, buf);
        match &result {
            Poll::Ready(Ok(came)) => {
                let n = buf.filled().len() - before;
                if n > 0 {
                    self.stamps.last_read.set(Some(*came));
                    if self.stamps.first_read.get().is_none() {
                        self.stamps.first_read.set(Some(*came));
                    }
                    self.stamps.read_bytes.set(self.stamps.read_bytes.get() + n as u64);
                }
            }
            Poll::Ready(Err(e)) => self.stamps.error.set(Some(e.kind())),
            Poll::Pending => self.stamps.reads.set(0),
        }
        result.map_ok(drop)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let began = self.begin_write();
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(began, &result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let began = self.begin_write();
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(began, &result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
