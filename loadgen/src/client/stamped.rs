//! A socket that notes when bytes went out and came in. Invariant: a stamp is taken beside the system call
//! that moved the bytes, below TLS and HTTP, so that no parsing and no waiting task is in it.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

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

/// A TCP stream with stamps.
#[derive(Debug)]
pub(crate) struct Stamped {
    stream: TcpStream,
    stamps: Rc<Stamps>,
}

impl Stamped {
    pub(crate) fn new(stream: TcpStream, stamps: Rc<Stamps>) -> Self {
        Self { stream, stamps }
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
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => {
                let n = buf.filled().len() - before;
                if n > 0 {
                    let now = Instant::now();
                    self.stamps.last_read.set(Some(now));
                    if self.stamps.first_read.get().is_none() {
                        self.stamps.first_read.set(Some(now));
                    }
                    self.stamps.read_bytes.set(self.stamps.read_bytes.get() + n as u64);
                }
            }
            Poll::Ready(Err(e)) => self.stamps.error.set(Some(e.kind())),
            Poll::Pending => self.stamps.reads.set(0),
        }
        result
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
