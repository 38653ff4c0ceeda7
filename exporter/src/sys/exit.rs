//! Ending at once.
//!
//! Invariant: nothing of the process runs any more, no destructor and no exit handler: a driver's library may hang in one.
#![allow(unsafe_code)]

/// Ends the process with this exit code, whatever its threads are doing.
pub fn now(code: i32) -> ! {
    #[cfg(unix)]
    // SAFETY: `_exit` takes any number, touches no memory and does not return.
    unsafe {
        libc::_exit(code)
    }
    #[cfg(not(unix))]
    std::process::exit(code)
}
