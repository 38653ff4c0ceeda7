//! Connections whose peer does not read.

use std::time::Duration;

/// Has the system close a connection whose peer has not acknowledged what was sent for so long. Only Linux has this; elsewhere such a
/// connection lasts as long as the system's retransmissions.
#[cfg(target_os = "linux")]
pub fn limit(stream: impl std::os::fd::AsFd, longest: Duration) {
    let longest_ms = u32::try_from(longest.as_millis()).unwrap_or(u32::MAX);
    // Without the limit the connection works too.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, longest_ms);
}

/// Does nothing; only Linux has this limit.
#[cfg(not(target_os = "linux"))]
pub fn limit<S>(_stream: S, _longest: Duration) {}
