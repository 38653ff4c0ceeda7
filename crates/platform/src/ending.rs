//! Requests to end a program: by people and the system, and to another program. Invariant: once [`Endings::watch`] has returned,
//! no such request ends the program by itself.

use std::io;

/// How the program was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM; on Windows Ctrl-Break, or that the user logs off or the system shuts down.
    Terminated,
    /// The terminal is gone: SIGHUP; on Windows its window was closed.
    HungUp,
}

#[cfg(unix)]
mod system {
    use std::{future::pending, io};

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Ending;

    pub(super) struct Endings {
        interrupt: Signal,
        terminate: Signal,
        hangup: Option<Signal>,
    }

    impl Endings {
        pub(super) fn watch() -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hangup: if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
            })
        }

        pub(super) async fn next(&mut self) -> Ending {
            let hung_up = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupt.recv() => Ending::Interrupted,
                _ = self.terminate.recv() => Ending::Terminated,
                _ = hung_up => Ending::HungUp,
            }
        }
    }

    /// Whether the program was started to ignore SIGHUP, as far as the system says.
    fn ignores_hangup() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        // Bit 0 is signal 1.
        mask & 1 == 1
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    use tokio::signal::windows;

    use super::Ending;

    pub(super) struct Endings {
        interrupt: windows::CtrlC,
        interrupt_of_group: windows::CtrlBreak,
        close: windows::CtrlClose,
        log_off: windows::CtrlLogoff,
        shut_down: windows::CtrlShutdown,
    }

    impl Endings {
        pub(super) fn watch() -> io::Result<Self> {
            Ok(Self {
                interrupt: windows::ctrl_c()?,
                interrupt_of_group: windows::ctrl_break()?,
                close: windows::ctrl_close()?,
                log_off: windows::ctrl_logoff()?,
                shut_down: windows::ctrl_shutdown()?,
            })
        }

        pub(super) async fn next(&mut self) -> Ending {
            tokio::select! {
                _ = self.interrupt.recv() => Ending::Interrupted,
                _ = self.interrupt_of_group.recv() => Ending::Terminated,
                _ = self.close.recv() => Ending::HungUp,
                _ = self.log_off.recv() => Ending::Terminated,
                _ = self.shut_down.recv() => Ending::Terminated,
            }
        }
    }
}

/// Requests to end the program, in the order in which they come.
pub struct Endings(system::Endings);

impl Endings {
    /// Watches for requests from now on. A SIGHUP that the program was started to ignore, as by `nohup`, stays ignored. Needs a
    /// Tokio runtime.
    ///
    /// # Errors
    /// If the system does not accept a handler.
    pub fn watch() -> io::Result<Self> {
        system::Endings::watch().map(Self)
    }

    /// Waits for the next request.
    pub async fn next(&mut self) -> Ending {
        self.0.next().await
    }
}

/// Asks the process with this id to end (SIGINT, SIGTERM or SIGHUP).
///
/// # Errors
/// If there is no such process, or it belongs to someone else; always on Windows, which has no such request.
pub fn request(process: u32, how: Ending) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        let signal = match how {
            Ending::Interrupted => Signal::INT,
            Ending::Terminated => Signal::TERM,
            Ending::HungUp => Signal::HUP,
        };
        Ok(kill_process(pid.ok_or(io::ErrorKind::InvalidInput)?, signal)?)
    }
    #[cfg(not(unix))]
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("process {process} cannot be asked to end: {how:?}"),
    ))
}
