//! The system calls that no safe crate wraps. Invariant: all `unsafe` of the exporter's host side is below here, one call
//! a module.

#[cfg(target_os = "linux")]
pub(crate) mod adjtimex;
#[cfg(target_os = "linux")]
pub(crate) mod ethtool;
pub mod exit;
pub(crate) mod memory;
#[cfg(unix)]
pub mod sockets;
