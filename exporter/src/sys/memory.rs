//! Keeping little memory, which glibc does not do by itself: it has a heap for each thread, and keeps what is free in it.
//!
//! Invariant: nothing that is in use is touched.
#![allow(unsafe_code)]

/// From now on threads share one heap, and what is free at its end goes back to the system early. Scrapes take turns
/// anyway.
pub fn economize() {
    /// Free at the end of the heap at most; larger pieces are apart and go back as they are freed.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    const LARGE: libc::c_int = 256 << 10;
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (what, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE)]
    {
        // SAFETY: the call takes two numbers, and sets what the allocator looks at under its own locks.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Returns what the allocator holds and nobody uses.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number, and works on the allocator's own state under the allocator's locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
