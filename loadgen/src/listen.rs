//! A listener for a handful of clients: scrapers, and browsers that look at a run. Invariant: no client delays another or the run,
//! and each has a limit on what it may send, and on the time that it takes to send and to read.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a client may take for its request, and to read what it gets.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const MAX_HEAD: u64 = 16 * 1024;
/// The most connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 64;
/// The most connections that wait to be accepted; the standard library asks for 128.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

/// The head of a request.
pub(crate) struct Head {
    request: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The path, without what was asked of it.
    pub(crate) fn path(&self) -> &str {
        let target = self.request.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }

    /// The value of a header, whose name is given in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Listens at an address for as long as the program runs; `answer` is called for each request, on a thread of its own. Yields
/// where it listens.
///
/// # Errors
/// Where the address is taken, or not one of this machine.
pub(crate) fn listen(
    address: SocketAddr,
    name: &str,
    answer: impl Fn(&TcpStream, &Head) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    #[cfg(unix)]
    rustix::net::listen(&listener, BACKLOG)?;
    let address = listener.local_addr()?;
    let (answer, connections) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let client = format!("{name} client");
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let open = Open::one_more(&connections);
            if open.before >= MAX_CONNECTIONS {
                continue;
            }
            let answer = Arc::clone(&answer);
            // Where there is no thread for it, the connection is closed.
            let _ = thread::Builder::new().name(client.clone()).spawn(move || {
                let served = head(&stream).and_then(|head| answer(&stream, &head));
                if let Err(e) = served {
                    tracing::debug!("a client: {e}");
                }
                drop(open);
            });
        }
    })?;
    Ok(address)
}

/// A connection that is counted until this is dropped.
struct Open {
    connections: Arc<AtomicUsize>,
    before: usize,
}

impl Open {
    fn one_more(connections: &Arc<AtomicUsize>) -> Self {
        Self { before: connections.fetch_add(1, Ordering::Relaxed), connections: Arc::clone(connections) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn head(stream: &TcpStream) -> io::Result<Head> {
    let bytes = Deadline::new(stream);
    let mut lines = BufReader::new(bytes.take(MAX_HEAD)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    Ok(Head { request, headers })
}

/// Answers with a body, after which the connection is closed.
pub(crate) fn reply(stream: &TcpStream, status: &str, kind: &str, body: &[u8]) -> io::Result<()> {
    let mut out = Deadline::new(stream);
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    out.write_all(body)
}

/// A stream on which all reads, or all writes, must be done by an instant, however slowly it drips.
pub(crate) struct Deadline<'s> {
    stream: &'s TcpStream,
    until: Instant,
}

impl<'s> Deadline<'s> {
    pub(crate) fn new(stream: &'s TcpStream) -> Self {
        Self { stream, until: Instant::now() + PATIENCE }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl io::Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}

impl io::Write for Deadline<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
