//! The one alarm behind a worker's timers: a `timerfd` on Linux, Tokio's clock elsewhere. Invariant: only
//! the time set last rings.

use std::{io, time::Instant};

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;

    use super::{Instant, io};

    pub(in crate::timer) struct Alarm {
        fd: AsyncFd<OwnedFd>,
    }

    impl Alarm {
        pub(in crate::timer) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // Deprecated for types whose descriptor may change under it; an `OwnedFd` keeps its own.
            #[expect(deprecated, reason = "its replacement is unsafe, and an OwnedFd meets its demands")]
            let fd = AsyncFd::new(fd)?;
            Ok(Self { fd })
        }

        /// Rings at `at`, at once where that has passed.
        pub(in crate::timer) fn set(&self, at: Instant) {
            let wait = at.saturating_duration_since(Instant::now());
            let value = Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                // Zero would take the alarm away.
                tv_nsec: i64::from(wait.subsec_nanos()).max(i64::from(wait.as_secs() == 0)),
            };
            let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
            if let Err(e) = timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::empty(), &spec) {
                tracing::error!("the timer could not be set: {e}");
            }
        }

        /// Returns when it has rung.
        pub(in crate::timer) async fn rang(&self) -> io::Result<()> {
            loop {
                let mut ready = self.fd.readable().await?;
                let mut count = [0u8; 8];
                let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?));
                if let Ok(result) = read {
                    return result.map(drop);
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::cell::Cell;

    use tokio::sync::Notify;

    use super::{Instant, io};

    pub(in crate::timer) struct Alarm {
        at: Cell<Option<Instant>>,
        changed: Notify,
    }

    impl Alarm {
        pub(in crate::timer) fn new() -> io::Result<Self> {
            Ok(Self { at: Cell::new(None), changed: Notify::new() })
        }

        /// Rings at `at`, at once where that has passed.
        pub(in crate::timer) fn set(&self, at: Instant) {
            self.at.set(Some(at));
            self.changed.notify_one();
        }

        /// Returns when it has rung.
        pub(in crate::timer) async fn rang(&self) -> io::Result<()> {
            loop {
                match self.at.get() {
                    Some(at) => tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {
                            self.at.set(None);
                            return Ok(());
                        }
                        () = self.changed.notified() => {}
                    },
                    None => self.changed.notified().await,
                }
            }
        }
    }
}
