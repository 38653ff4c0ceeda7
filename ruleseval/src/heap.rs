//! How much memory the process has allocated, exactly and at any time, so that the queries of `serve` are held to what they
//! really take: labels, remarks and answers as well as samples.
//!
//! Invariant: every call goes to the system's allocator as it came; the sum over all shards is what is allocated and not
//! yet freed.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Counters of their own for some threads each, so that threads do not wait for each other's.
const SHARDS: usize = 32;

/// What one shard's threads allocated less what they freed; it wraps, as threads free what others allocated.
#[repr(align(128))]
struct Shard(AtomicUsize);

static LIVE: [Shard; SHARDS] = [const { Shard(AtomicUsize::new(0)) }; SHARDS];
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The bytes that are allocated.
#[must_use]
pub fn live_bytes() -> usize {
    let sum = LIVE.iter().fold(0usize, |sum, shard| sum.wrapping_add(shard.0.load(Ordering::Relaxed)));
    // Between two loads a piece may have been freed that was counted by neither.
    usize::try_from(sum as isize).unwrap_or(0)
}

/// Lets the system have back what is freed, early: by default glibc keeps the largest pieces, for each of many threads.
pub(crate) fn give_back_early() {
    /// Pieces of at least so many bytes go back to the system as they are freed; so does what is free at the end of an arena.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    const LARGE: libc::c_int = 256 << 10;
    /// Threads that share what is free.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    const ARENAS: libc::c_int = 4;
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (what, value) in
        [(libc::M_MMAP_THRESHOLD, LARGE), (libc::M_TRIM_THRESHOLD, LARGE), (libc::M_ARENA_MAX, ARENAS)]
    {
        // SAFETY: the call takes two numbers, and sets what the allocator looks at under its own locks.
        unsafe { libc::mallopt(what, value) };
    }
}

fn count(more: usize, less: usize) {
    let of_thread = SHARD.try_with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        shard.get()
    });
    let shard = &LIVE[of_thread.unwrap_or(0)].0;
    // Addition wraps.
    shard.fetch_add(more.wrapping_sub(less), Ordering::Relaxed);
}

/// The system's allocator, counted.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

// SAFETY: every call is passed on to the system's allocator as it came, and counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_by_another_thread_is_no_longer_counted() {
        let before = live_bytes();
        let large = vec![1u8; 256 << 20];
        assert!(live_bytes() > before + (200 << 20));
        std::thread::spawn(move || drop(large)).join().expect("ends");
        // Other tests run at the same time.
        assert!(live_bytes() < before + (50 << 20));
    }
}
