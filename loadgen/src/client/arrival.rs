//! When bytes came, as the kernel knows it: a thread that is late to read them is not to blame the server.
//!
//! Invariant: an arrival lies between the moment it is asked to be after and the present, also where the
//! real-time clock, in which the kernel stamps packets, was set meanwhile.

use std::{
    io::{self, IoSliceMut},
    net::UdpSocket,
    os::fd::{AsFd, AsRawFd},
    sync::OnceLock,
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
    /// Asks the kernel to stamp what comes on a socket. If it does not, bytes come when they are read.
    pub(super) fn of(socket: &impl AsFd) -> Self {
        keep_stamping();
        if let Err(e) = setsockopt(socket, ReceiveTimestampns, &true) {
            tracing::debug!("no stamps of arrival: {e}");
        }
        Self { control: cmsg_space!(TimeSpec) }
    }

    /// Receives into `buffer` from a socket that does not block, and gives how many bytes and when the last of them
    /// came: after `earliest`, if that is known.
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
        let (now, age) = stamp.map_or_else(|| (Instant::now(), Duration::ZERO), age);
        let came = now.checked_sub(age).unwrap_or(now);
        Ok((message.bytes, earliest.map_or(came, |earliest| came.clamp(earliest.min(now), now))))
    }
}

/// Keeps the kernel stamping for as long as this process lives. It begins a moment after the first socket asks and
/// ends with the last; bytes that came unstamped carry the time of the read. So that this holds for no more than the
/// first moment of a run, one socket that nobody sends to keeps asking.
fn keep_stamping() {
    static KEEPER: OnceLock<Option<UdpSocket>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        setsockopt(&socket, ReceiveTimestampns, &true).ok()?;
        Some(socket)
    });
}

/// The present, and how long ago a stamp was then; zero for one in the future. The two clocks are read within 20 µs of
/// each other, unless the thread is interrupted three times in a row.
fn age(stamp: TimeSpec) -> (Instant, Duration) {
    let real_ns = || {
        let now = clock_gettime(ClockId::Realtime);
        i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
    };
    let mut tries = 0;
    let (now, now_ns) = loop {
        let before = real_ns();
        let now = Instant::now();
        tries += 1;
        if tries == 3 || real_ns() - before < 20_000 {
            break (now, before);
        }
    };
    let age = now_ns - i128::from(stamp.tv_sec()) * 1_000_000_000 - i128::from(stamp.tv_nsec());
    (now, Duration::from_nanos(u64::try_from(age).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net};

    use super::*;

    /// Waits until there is something to read, without reading it.
    fn readable(socket: &net::TcpStream) -> io::Result<Instant> {
        socket.peek(&mut [0])?;
        Ok(Instant::now())
    }

    #[test]
    fn bytes_came_when_they_were_sent_not_when_they_are_read() -> io::Result<()> {
        let listener = net::TcpListener::bind("127.0.0.1:0")?;
        let socket = net::TcpStream::connect(listener.local_addr()?)?;
        let mut arrivals = Arrivals::of(&socket);
        let (mut peer, _) = listener.accept()?;
        let mut buffer = [0; 16];
        let begun = Instant::now();
        // However late it is read: longer than the stamps of two clocks are apart. Until the kernel has begun to
        // stamp, what it says is the time of the read.
        let late = Duration::from_millis(20);
        loop {
            let before = Instant::now();
            peer.write_all(b"early")?;
            let there = readable(&socket)?;
            while there.elapsed() < late {
                std::thread::yield_now();
            }
            let read = Instant::now();
            let (n, came) = arrivals.receive(&socket, &mut buffer, Some(before))?;
            assert_eq!(&buffer[..n], b"early");
            assert!(came >= before && came <= Instant::now());
            if came < there + late / 2 {
                break;
            }
            assert!(came >= read, "neither the time of the arrival nor that of the read: {:?}", read - came);
            assert!(begun.elapsed() < Duration::from_secs(60), "the kernel does not begin to stamp");
        }
        // Once it stamps, it does.
        let before = Instant::now();
        peer.write_all(b"again")?;
        let there = readable(&socket)?;
        while there.elapsed() < late {
            std::thread::yield_now();
        }
        let (_, came) = arrivals.receive(&socket, &mut buffer, Some(before))?;
        assert!(came < there + late / 2, "{:?} after it could be read", came - there);
        // Never before the moment that it must come after, whatever the stamp is.
        let asked = Instant::now() + Duration::from_nanos(1);
        peer.write_all(b"more")?;
        readable(&socket)?;
        let (_, came) = arrivals.receive(&socket, &mut buffer, Some(asked))?;
        assert!(came >= asked && came <= Instant::now());
        drop(peer);
        assert_eq!(arrivals.receive(&socket, &mut buffer, None)?.0, 0);
        Ok(())
    }
}
