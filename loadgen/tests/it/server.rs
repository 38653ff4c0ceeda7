//! A server on plain threads that answers by a script and notes when each request came. Invariant: it shares
//! no code with the client it judges.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a request looked like to the server.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Seen {
    /// The method and the path.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("").trim_end_matches(" HTTP/1.1")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }
}

/// One thing the server does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Do {
    /// Writes these bytes.
    Send(Vec<u8>),
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

/// A response with a body.
pub(crate) fn respond(status: u16, headers: &str, body: &str) -> Vec<Do> {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    vec![Do::Send((head + body).into_bytes())]
}

/// A plain success.
pub(crate) fn ok() -> Vec<Do> {
    respond(200, "", "ok")
}

/// Bytes as they are.
pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Do {
    Do::Send(bytes.as_ref().to_vec())
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server that answers each request by `script`.
    pub(crate) fn start(script: impl Fn(&Seen) -> Vec<Do> + Send + Sync + 'static) -> Self {
        Self::start_with(None, script)
    }

    /// The same, with TLS.
    pub(crate) fn start_with(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&Seen) -> Vec<Do> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let (log, script, tls) = (Arc::clone(&log), Arc::clone(&script), tls.clone());
                thread::spawn(move || serve(stream, connection, &log, &*script, tls.as_ref()));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in the order of their arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().expect("no panic").clone();
        seen.sort_by_key(|s| s.at);
        seen
    }
}

/// What bytes go through: a socket, or TLS on it.
trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

type Script = dyn Fn(&Seen) -> Vec<Do> + Send + Sync;

fn serve(
    socket: TcpStream,
    connection: usize,
    log: &Mutex<Vec<Seen>>,
    script: &Script,
    tls: Option<&Arc<ServerConfig>>,
) {
    socket.set_nodelay(true).expect("a socket");
    let raw = socket.try_clone().expect("a socket");
    match tls {
        None => talk(socket, &raw, connection, log, script),
        Some(config) => {
            let session = ServerConnection::new(Arc::clone(config)).expect("a session");
            talk(StreamOwned::new(session, socket), &raw, connection, log, script);
        }
    }
}

fn talk(
    mut stream: impl Duplex,
    socket: &TcpStream,
    connection: usize,
    log: &Mutex<Vec<Seen>>,
    script: &Script,
) {
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut buffer, connection) {
        let actions = script(&seen);
        log.lock().expect("no panic").push(seen);
        for action in actions {
            match action {
                Do::Send(bytes) => {
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
                Do::Wait(time) => thread::sleep(time),
                Do::Close => {
                    let _ = socket.shutdown(Shutdown::Both);
                    return;
                }
                Do::Reset => {
                    let socket = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
                    socket.expect("a socket");
                    return;
                }
                Do::SendForEver(bytes) => while stream.write_all(&bytes).is_ok() {},
                Do::Hang => {
                    let _ = stream.read(&mut [0; 1]);
                    return;
                }
            }
        }
    }
}

fn read_request(stream: &mut impl Duplex, buffer: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let mut at = None;
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).expect("a text head");
            let mut seen =
                Seen { at: at.unwrap_or_else(Instant::now), connection, head, body: String::new() };
            let length: usize = seen.header("content-length").map_or(0, |v| v.parse().expect("a number"));
            while buffer.len() < end + 4 + length {
                fill(stream, buffer)?;
            }
            seen.body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
            buffer.drain(..end + 4 + length);
            return Some(seen);
        }
        fill(stream, buffer)?;
        at.get_or_insert_with(Instant::now);
    }
}

fn fill(stream: &mut impl Duplex, buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
    buffer.extend_from_slice(&piece[..n]);
    Some(())
}

/// Runs a scenario against a server and gives the summary.
pub(crate) fn run(server: &Server, scenario: &str) -> loadgen::Summary {
    run_with(server, scenario, |_| {})
}

/// The same, with a change of the options.
pub(crate) fn run_with(
    server: &Server,
    scenario: &str,
    change: impl FnOnce(&mut loadgen::RunOptions),
) -> loadgen::Summary {
    let scenario =
        loadgen::Scenario::from_text("test.yml", scenario, &[("rows.csv", "id,name\n1,a\n2,b\n3,c\n")])
            .unwrap_or_else(|e| panic!("{e}"));
    let mut options = loadgen::RunOptions::new(Arc::new(scenario));
    options.target = Some(server.url());
    change(&mut options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"))
}
