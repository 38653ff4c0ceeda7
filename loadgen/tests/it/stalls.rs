//! How long this machine keeps a thread from running, so that a test can allow for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the watching thread sleeps each time.
const NAP: Duration = Duration::from_millis(1);

/// A thread that sleeps and looks by how much it overslept.
pub(crate) struct Stalls {
    longest_ns: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Stalls {
    /// Watches from now on, until it is dropped.
    pub(crate) fn watch() -> Self {
        let stalls = Self { longest_ns: Arc::default(), is_over: Arc::default() };
        let (longest_ns, is_over) = (Arc::clone(&stalls.longest_ns), Arc::clone(&stalls.is_over));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(NAP);
                let late = began.elapsed().saturating_sub(NAP);
                longest_ns.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        stalls
    }

    /// The longest time so far for which the thread did not run though it was due.
    pub(crate) fn longest_s(&self) -> f64 {
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed)).as_secs_f64()
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
