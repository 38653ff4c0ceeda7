//! An HTTP/1.1 server on plain threads that answers by a script and notes what came when. Invariant: it does exactly
//! what the script says, good manners or not.

mod read;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

pub use read::Deliveries;

/// A request, as the server saw it.
#[derive(Clone, Debug)]
pub struct Request {
    /// When its first byte was read.
    pub at: Instant,
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The request line and the headers.
    pub head: String,
    /// The body as text.
    pub body: String,
    /// The body's bytes.
    pub bytes: Vec<u8>,
}

impl Request {
    /// The method and the path.
    #[must_use]
    pub fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or("");
        line.trim_end_matches(" HTTP/1.1").trim_end_matches(" HTTP/1.0")
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

/// One thing that the server does with a connection.
#[derive(Clone, Debug)]
pub enum Action {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Writes these bytes, waits until the client has read them, and notes when.
    SendAndWait(Vec<u8>, Deliveries),
    /// Waits.
    Wait(Duration),
    /// Closes the connection in order.
    Close,
    /// Resets the connection.
    Reset,
    /// Sends these bytes until the client goes away.
    SendForEver(Vec<u8>),
    /// Does nothing until the client goes away.
    Hang,
}

/// A response with a body; `headers` are whole lines that end in `\r\n`.
#[must_use]
pub fn respond(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<Action> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    vec![Action::Send([head.as_bytes(), body].concat())]
}

/// A plain success.
#[must_use]
pub fn ok() -> Vec<Action> {
    respond(200, "", "ok")
}

/// Bytes as they are.
#[must_use]
pub fn raw(bytes: impl AsRef<[u8]>) -> Action {
    Action::Send(bytes.as_ref().to_vec())
}

/// What bytes go through: a socket, or TLS on it.
pub trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

type Script = dyn Fn(&Request) -> Vec<Action> + Send + Sync;
type Wrap = dyn Fn(TcpStream) -> Box<dyn Duplex> + Send + Sync;

/// A running server; it serves until the process ends.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that answers each request by `script`.
    pub fn start(script: impl Fn(&Request) -> Vec<Action> + Send + Sync + 'static) -> Self {
        Self::start_with(|socket| Box::new(socket), script)
    }

    /// The same; `wrap` puts a layer such as TLS on each connection.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start_with(
        wrap: impl Fn(TcpStream) -> Box<dyn Duplex> + Send + Sync + 'static,
        script: impl Fn(&Request) -> Vec<Action> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let (script, wrap): (Arc<Script>, Arc<Wrap>) = (Arc::new(script), Arc::new(wrap));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let (log, script, wrap) = (Arc::clone(&log), Arc::clone(&script), Arc::clone(&wrap));
                thread::spawn(move || {
                    stream.set_nodelay(true).unwrap();
                    let socket = stream.try_clone().unwrap();
                    talk(wrap(stream), &socket, connection, &log, &*script);
                });
            }
        });
        Self { address, seen }
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in the order of their arrival.
    ///
    /// # Panics
    /// If the script panicked.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        let mut seen = self.seen.lock().unwrap().clone();
        seen.sort_by_key(|s| s.at);
        seen
    }
}

fn talk(
    mut stream: Box<dyn Duplex>,
    socket: &TcpStream,
    connection: usize,
    log: &Mutex<Vec<Request>>,
    script: &Script,
) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, connection) {
        let actions = script(&request);
        let ends = request.head.lines().next().is_some_and(|line| line.ends_with("/1.0"));
        log.lock().unwrap().push(request);
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Action::SendAndWait(bytes, deliveries) => {
                    let before = Instant::now();
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                    deliveries.note(before, socket);
                }
                Action::Wait(time) => thread::sleep(time),
                Action::Close => {
                    let _ = socket.shutdown(Shutdown::Both);
                    return;
                }
                Action::Reset => {
                    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
                    return;
                }
                Action::SendForEver(bytes) => while stream.write_all(&bytes).is_ok() {},
                Action::Hang => {
                    let _ = stream.read(&mut [0; 1]);
                    return;
                }
            }
        }
        // A client of HTTP/1.0 waits for the end.
        if ends {
            return;
        }
    }
}

fn read_request(stream: &mut Box<dyn Duplex>, buffer: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let mut at = None;
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).expect("a text head");
            let at = at.unwrap_or_else(Instant::now);
            let mut request = Request { at, connection, head, body: String::new(), bytes: Vec::new() };
            let length: usize = request.header("content-length").map_or(0, |v| v.parse().unwrap());
            while buffer.len() < end + 4 + length {
                fill(stream, buffer)?;
            }
            request.bytes = buffer[end + 4..end + 4 + length].to_vec();
            request.body = String::from_utf8_lossy(&request.bytes).into_owned();
            buffer.drain(..end + 4 + length);
            return Some(request);
        }
        fill(stream, buffer)?;
        at.get_or_insert_with(Instant::now);
    }
}

fn fill(stream: &mut Box<dyn Duplex>, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
    buffer.extend_from_slice(&piece[..n]);
    Some(())
}
