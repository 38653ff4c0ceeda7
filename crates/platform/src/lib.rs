//! What operating systems do differently, one subject per module. Invariant: each function exists on every system, and its
//! documentation says what it does where the system has no such thing.

pub mod descriptors;
pub mod ending;
pub mod host_name;
pub mod priority;
pub mod processor_time;
pub mod since_boot;
pub mod unread;
#[cfg(windows)]
mod windows;
