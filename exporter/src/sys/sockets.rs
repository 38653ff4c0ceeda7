//! Sockets that systemd hands over (`sd_listen_fds(3)`).
//!
//! Invariant: they are taken once, and only where they are meant for this process.
#![allow(unsafe_code)]

use std::{
    env, io,
    net::TcpListener,
    os::fd::FromRawFd as _,
    sync::atomic::{AtomicBool, Ordering},
};

/// The first of them.
const FIRST: i32 = 3;

/// The listening sockets in the order of the unit file.
///
/// # Errors
/// Where there is none, or they were taken before.
pub fn take() -> io::Result<Vec<TcpListener>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let count = match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or(0),
        _ => 0,
    };
    if count == 0 || TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "systemd handed over no socket: start the exporter through its .socket unit",
        ));
    }
    // SAFETY: systemd opened these descriptors for this process, and nobody else here knows of them: `TAKEN` sees to
    // it that they are owned once.
    Ok((FIRST..FIRST + count as i32).map(|fd| unsafe { TcpListener::from_raw_fd(fd) }).collect())
}
