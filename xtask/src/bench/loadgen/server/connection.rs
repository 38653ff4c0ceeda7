//! One connection of the server: requests in, bytes out. Invariant: at most one request is read ahead of its
//! answer, which is what every client here keeps to.

use std::{
    io::{ErrorKind, IoSliceMut, Write},
    net::TcpStream,
    os::fd::AsRawFd,
};

use anyhow::{Context, Result};
use nix::{
    cmsg_space,
    errno::Errno,
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
        time::TimeSpec,
    },
};

use super::{monotonic_ns, now_ns};

pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    stamps: Vec<u8>,
    /// Where the request that is being answered is logged.
    pub(super) entry: usize,
    /// Events of the current stream that were sent.
    pub(super) events_sent: u32,
}

/// What a read came to.
pub(super) enum Received {
    /// No whole request yet.
    Part,
    /// A whole request, when the kernel had it, and whether it has a body.
    Request { at_ns: u64, has_body: bool },
    /// The request to stop.
    Quit,
    /// The peer has closed, or the socket failed.
    End,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Result<Self> {
        // A request that waits for this thread has come already, and its client is waiting.
        setsockopt(&stream, ReceiveTimestampns, &true)?;
        let stamps = cmsg_space!(TimeSpec);
        Ok(Self { stream, received: Vec::new(), stamps, entry: 0, events_sent: 0 })
    }

    /// Reads once; the socket is asked again where more is left.
    pub(super) fn receive(&mut self) -> Received {
        let mut piece = [0; 4096];
        let mut into = [IoSliceMut::new(&mut piece)];
        let (stamps, flags) = (Some(self.stamps.as_mut_slice()), MsgFlags::empty());
        let (n, at_ns) = match recvmsg::<()>(self.stream.as_raw_fd(), &mut into, stamps, flags) {
            Ok(message) if message.bytes == 0 => return Received::End,
            Ok(message) => {
                let stamp = message.cmsgs().ok().and_then(|mut all| {
                    all.find_map(|c| match c {
                        ControlMessageOwned::ScmTimestampns(t) => {
                            Some(t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
                        }
                        _ => None,
                    })
                });
                (message.bytes, stamp.map_or_else(now_ns, monotonic_ns))
            }
            Err(Errno::EAGAIN) => return Received::Part,
            Err(_) => return Received::End,
        };
        self.received.extend_from_slice(&piece[..n]);
        let Some(length) = request_length(&self.received) else { return Received::Part };
        if self.received.len() < length {
            return Received::Part;
        }
        let is_quit = self.received.starts_with(b"GET /quit ");
        let has_body = !self.received.starts_with(b"GET ");
        self.received.drain(..length);
        if is_quit { Received::Quit } else { Received::Request { at_ns, has_body } }
    }

    /// Writes all of `bytes`, which the socket has room for as long as the client reads.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write_all(bytes) {
            // A client that went away is no failure of the server; its end is read next.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            result => result.context("a client does not read what it is sent"),
        }
    }
}

/// The length of the request at the start of `bytes`, where its head is whole.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    if bytes.starts_with(b"GET ") {
        return Some(head);
    }
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + body.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_long_as_their_heads_say() {
        assert_eq!(request_length(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(27));
        assert_eq!(request_length(b"GET / HTTP/1.1\r\nhost: a\r\n"), None);
        assert_eq!(request_length(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), Some(43));
    }
}
