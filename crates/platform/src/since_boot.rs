//! A clock that also runs while the machine sleeps.

use std::time::Duration;

/// The time since some moment before the program started, including the time that the machine slept.
#[must_use]
pub fn elapsed() -> Duration {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        // On macOS the monotonic clock includes sleep, which on Linux only this one does.
        #[cfg(target_os = "linux")]
        const CLOCK: ClockId = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        const CLOCK: ClockId = ClockId::Monotonic;
        Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
    }
    #[cfg(windows)]
    crate::windows::since_boot()
}
