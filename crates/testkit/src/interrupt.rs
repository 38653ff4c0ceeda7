//! Ctrl-C for a program that a test started. Invariant: it reaches that program alone.
//!
//! Windows sends Ctrl-C to all programs of a console. So the program gets a console of its own, and the test starts itself again as
//! a helper that joins that console and presses the keys.

use std::process::Command;

#[cfg(windows)]
const PROCESS: &str = "ASSAY_TEST_INTERRUPTS";

/// Prepares a command so that [`interrupt`] reaches what it starts.
pub fn prepare(command: &mut Command) -> &mut Command {
    #[cfg(windows)]
    std::os::windows::process::CommandExt::creation_flags(
        command,
        windows_sys::Win32::System::Threading::CREATE_NO_WINDOW,
    );
    command
}

/// Sends Ctrl-C (SIGINT) to a process. A test that calls this first asks [`is_helper`], and returns if it is.
///
/// # Panics
/// If there is no such process.
pub fn interrupt(process: u32) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process};
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }
    #[cfg(windows)]
    {
        let thread = std::thread::current();
        let mut helper = Command::new(std::env::current_exe().unwrap());
        helper.args(["--exact", thread.name().unwrap(), "--nocapture"]).env(PROCESS, process.to_string());
        let output = prepare(&mut helper).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// On Windows, whether this process is the helper that presses the keys; if so, it has done that. Elsewhere there is none.
///
/// # Panics
/// If the process has no console.
#[must_use]
pub fn is_helper() -> bool {
    #[cfg(windows)]
    if let Ok(process) = std::env::var(PROCESS) {
        windows::press(process.parse().unwrap()).unwrap();
        return true;
    }
    false
}

#[cfg(windows)]
mod windows {
    #![allow(unsafe_code)]

    use std::io;

    use windows_sys::Win32::System::Console::{
        AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
    };

    pub(super) fn press(process: u32) -> io::Result<()> {
        // SAFETY: the calls take numbers, and no handler, which means that this process ignores Ctrl-C.
        let done = unsafe {
            FreeConsole();
            AttachConsole(process) != 0
                && SetConsoleCtrlHandler(None, 1) != 0
                && GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
