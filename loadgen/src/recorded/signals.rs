//! Ctrl-C and its like end a run cleanly. Invariant: a second one ends the program at once, with the terminal given
//! back.

use std::{io, process};

use crate::{control::Control, view::terminal};

/// The exit code of a program whose run was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Ctrl-C and SIGTERM end the run cleanly; a second one ends the program. The handlers are in place on return.
///
/// # Errors
/// Where the system takes no handlers.
#[cfg(unix)]
pub fn stop_on_signals(control: Control) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            control.stop();
        }
        end();
    });
    Ok(())
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
