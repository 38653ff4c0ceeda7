//! Programs of others that tests hold this one against: Prometheus, VictoriaMetrics. Invariant: a peer ends with its
//! test.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Where the peers are; `None`, and a word of it, where that is not known.
pub(crate) fn peers() -> Option<PathBuf> {
    match std::env::var_os("ASSAY_PEERS") {
        Some(dir) => Some(dir.into()),
        None if std::env::var_os("CI").is_some() => panic!("ASSAY_PEERS is not set"),
        None => {
            eprintln!("left out: ASSAY_PEERS is not set");
            None
        }
    }
}

/// A peer that is ended with the test.
pub(crate) struct Peer {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Starts a program that listens at the address it is given, and waits until it answers at `ready`.
    pub(crate) fn start(
        program: &Path,
        arguments: impl FnOnce(SocketAddr) -> Vec<String>,
        ready: &str,
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = Command::new(program);
        command.args(arguments(address)).stdout(Stdio::null()).stderr(Stdio::null());
        let peer = Self { child: command.spawn().expect("the peer starts"), address };
        wait_for(|| peer.get(ready).is_some());
        peer
    }

    /// The body of a successful answer.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that another program does.
pub(crate) fn wait_for(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "the peer did not get there in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}
