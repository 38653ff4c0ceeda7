//! The processor time of a thread.

use std::time::Duration;

/// The processor time that the calling thread has used.
#[must_use]
pub fn of_thread() -> Duration {
    #[cfg(unix)]
    return Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime))
        .unwrap_or_default();
    #[cfg(windows)]
    crate::windows::thread_time()
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_processor_time() {
        let before = super::of_thread();
        let mut n = 1_u64;
        while super::of_thread() == before {
            n = std::hint::black_box(n.wrapping_mul(3));
        }
        assert!(super::of_thread() > before);
    }
}
