//! When bytes came, as the kernel knows it: a thread that is late to read them is not to blame the server.
//!
//! Invariant: an arrival lies between the moment it is asked to be after and the present, also where the
//! real-time clock, in which the kernel stamps packets, was set meanwhile.

use std::{
    io::{self, IoSliceMut},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use nix::{
    cmsg_space,
    sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
        time::TimeSpec,
    },
};
use rustix::time::{ClockId, clock_gettime};

/// What the kernel writes its stamps to.
#[derive(Debug)]
pub(super) struct Arrivals {
    control: Vec<u8>,
}

impl Arrivals {
    /// Asks the kernel to stamp what comes on a socket. Where it does not, bytes come when they are read.
    pub(super) fn of(socket: &impl std::os::fd::AsFd) -> Self {
        if let Err(e) = setsockopt(socket, ReceiveTimestampns, &true) {
            tracing::debug!("no stamps of arrival: {e}");
        }
        Self { control: cmsg_space!(TimeSpec) }
    }

    /// Receives into `buffer`, and gives how many bytes and when the last of them came: after `earliest`, where
    /// that is known.
    pub(super) fn receive(
        &mut self,
        socket: &impl AsRawFd,
        buffer: &mut [u8],
        earliest: Option<Instant>,
    ) -> io::Result<(usize, Instant)> {
        let mut into = [IoSliceMut::new(buffer)];
        let control = Some(self.control.as_mut_slice());
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut into, control, MsgFlags::empty())?;
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(t) => Some(t),
                _ => None,
            })
        });
        let age = stamp.map_or(Duration::ZERO, age);
        let now = Instant::now();
        let came = now.checked_sub(age).unwrap_or(now);
        Ok((message.bytes, earliest.map_or(came, |earliest| came.clamp(earliest.min(now), now))))
    }
}

/// How long ago a stamp was; zero for one in the future.
fn age(stamp: TimeSpec) -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let age = ns(now.tv_sec, now.tv_nsec) - ns(stamp.tv_sec(), stamp.tv_nsec());
    Duration::from_nanos(u64::try_from(age).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net};

    use super::*;

    #[test]
    fn bytes_came_when_they_were_sent_not_when_they_are_read() -> io::Result<()> {
        let listener = net::TcpListener::bind("127.0.0.1:0")?;
        let socket = net::TcpStream::connect(listener.local_addr()?)?;
        let mut arrivals = Arrivals::of(&socket);
        let (mut peer, _) = listener.accept()?;
        let before = Instant::now();
        peer.write_all(b"early")?;
        let after = Instant::now();
        // However late it is read: longer than the stamps of two clocks are apart.
        let late = Duration::from_millis(20);
        while after.elapsed() < late {
            std::thread::yield_now();
        }
        let mut buffer = [0; 16];
        let (n, came) = arrivals.receive(&socket, &mut buffer, Some(before))?;
        assert_eq!(&buffer[..n], b"early");
        assert!(came >= before && came < after + late / 2, "{:?} after the send", came - after);
        peer.write_all(b"again")?;
        // Never before the moment that it must come after, whatever the stamp says.
        let asked = Instant::now();
        let (_, came) = arrivals.receive(&socket, &mut buffer, Some(asked))?;
        assert!(came >= asked && came <= Instant::now());
        drop(peer);
        assert_eq!(arrivals.receive(&socket, &mut buffer, None)?.0, 0);
        Ok(())
    }
}
