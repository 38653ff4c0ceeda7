//! Whether a client on this machine has read what it was sent. Invariant: the kernel says so, by the queues of both sockets.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::wait::PATIENCE;

/// What was sent and read: for each [`Action::SendAndWait`](super::Action::SendAndWait) an instant before it was written, and one
/// after the client had read it.
#[derive(Clone, Debug, Default)]
pub struct Deliveries(Arc<Mutex<Vec<(Instant, Instant)>>>);

impl Deliveries {
    /// Those so far, in their order.
    ///
    /// # Panics
    /// If a thread that noted one panicked.
    #[must_use]
    pub fn all(&self) -> Vec<(Instant, Instant)> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until the client has read all that was `written` to it, or has closed the connection.
    pub(super) fn note(&self, written: Instant, socket: &TcpStream) {
        let (Ok(ours), Ok(theirs)) = (socket.local_addr(), socket.peer_addr()) else { return };
        // What the peer has confirmed is in its socket at least; only then an empty one means that it was read.
        wait_until(|| queues(ours, theirs).is_none_or(|(unconfirmed, _)| unconfirmed == 0));
        wait_until(|| queues(theirs, ours).is_none_or(|(_, unread)| unread == 0));
        self.0.lock().unwrap().push((written, Instant::now()));
    }
}

/// Asks often, for what is noted is the time of the answer.
fn wait_until(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "a client does not read what it is sent");
        thread::sleep(Duration::from_micros(50));
    }
}

/// Bytes that are not confirmed and bytes that are not read, of a socket of this machine; `None` if it is not open.
fn queues(local: SocketAddr, remote: SocketAddr) -> Option<(u64, u64)> {
    const ESTABLISHED: &str = "01";
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table of sockets");
    let is_at = |field: &str, end: SocketAddr| field.ends_with(&format!(":{:04X}", end.port()));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, at, to, state, queues, ..] = fields.as_slice() else { return None };
        let (sent, received) = queues.split_once(':')?;
        let is_it = is_at(at, local) && is_at(to, remote) && *state == ESTABLISHED;
        is_it.then_some((u64::from_str_radix(sent, 16).ok()?, u64::from_str_radix(received, 16).ok()?))
    })
}
