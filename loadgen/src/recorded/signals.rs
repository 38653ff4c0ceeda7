//! Ctrl-C and its like end a run cleanly. Invariant: a second one ends the program at once, with the terminal given
//! back.

use std::{io, process};

use crate::{control::Control, view::terminal};

/// The exit code of a program whose run was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Ctrl-C, SIGTERM and SIGHUP end the run cleanly; a second one ends the program. The handlers are in place on return. A
/// SIGHUP that the program was started to ignore, as by `nohup`, stays ignored.
///
/// # Errors
/// Where the system takes no handlers.
#[cfg(unix)]
pub fn stop_on_signals(control: Control) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
    tokio::spawn(async move {
        for _ in 0..2 {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up => {}
            }
            control.stop();
        }
        end();
    });
    Ok(())
}

/// Whether the program was started to ignore SIGHUP, as far as the system says.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // Bit 0 is signal 1.
    mask & 1 == 1
}

/// Ctrl-C ends the run cleanly; a second one ends the program.
///
/// # Errors
/// None here; other systems may take no handlers.
#[cfg(not(unix))]
pub fn stop_on_signals(control: Control) -> io::Result<()> {
    tokio::spawn(async move {
        for _ in 0..2 {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            control.stop();
        }
        end();
    });
    Ok(())
}

fn end() -> ! {
    terminal::restore();
    process::exit(i32::from(INTERRUPTED))
}
