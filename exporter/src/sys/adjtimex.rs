//! Asking the kernel how its clock is disciplined: `adjtimex(2)`, which no safe crate wraps.
//!
//! Invariant: the call reads only (`modes` is 0), so that it needs no privilege and changes nothing.
#![allow(unsafe_code)]

use std::io;

/// The clock's state, and what the kernel thinks of it (5 is "not synchronized").
pub(crate) fn read() -> io::Result<(libc::timex, i32)> {
    // SAFETY: `timex` is plain numbers, for which zero bytes are valid values.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed `timex` of the layout that the kernel writes.
    match unsafe { libc::adjtimex(&raw mut state) } {
        -1 => Err(io::Error::last_os_error()),
        status => Ok((state, status)),
    }
}
