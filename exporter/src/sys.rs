//! The system calls that no safe crate wraps. Invariant: all `unsafe` of the exporter's host side is below here, one call
//! a module.

#[cfg(target_os = "linux")]
pub(crate) mod adjtimex;
#[cfg(any(not(target_os = "linux"), test))]
pub(crate) mod cpu_times;
#[cfg(windows)]
pub(crate) mod drives;
#[cfg(target_os = "linux")]
pub(crate) mod ethtool;
pub mod exit;
pub mod memory;
#[cfg(unix)]
pub mod sockets;
