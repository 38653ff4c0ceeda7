//! Giving memory back to the system, which glibc does not do by itself where small pieces are in use above free ones.
//!
//! Invariant: nothing that is in use is touched.
#![allow(unsafe_code)]

/// Returns what the allocator holds and nobody uses.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number, and works on the allocator's own state under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
