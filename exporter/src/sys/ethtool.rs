//! `SIOCETHTOOL`, which no safe crate wraps.
//!
//! Invariant: the kernel writes no further than the buffer that it is given: its length is that of the structure of the
//! command, with room for as many entries as the command's header names.
#![allow(unsafe_code)]

use std::{io, os::fd::AsRawFd as _};

use rustix::net::{AddressFamily, SocketType};

const SIOCETHTOOL: u64 = 0x8946;

/// A socket through which devices are asked.
pub(crate) struct Ethtool {
    socket: rustix::fd::OwnedFd,
}

#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut u32,
    /// An `ifreq` is larger than what is used of it here.
    _rest: [u8; 16],
}

impl Ethtool {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)? })
    }

    /// Runs the command in the first word of `data` for a device; the kernel writes the answer over it.
    ///
    /// The caller gives a buffer of the command's own structure: see the module's invariant.
    pub(crate) fn run(&self, device: &str, data: &mut [u32]) -> io::Result<()> {
        let mut request = Request { name: [0; libc::IFNAMSIZ], data: data.as_mut_ptr(), _rest: [0; 16] };
        // The last byte stays zero.
        for (to, from) in request.name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
            *to = from;
        }
        // SAFETY: `request` has the layout of `ifreq` and lives through the call; `data` is exclusively borrowed and as
        // long as its command wants it.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
