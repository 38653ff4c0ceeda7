//! Ctrl-C and its like end a run cleanly. Invariant: a second one ends the program at once, with the terminal given
//! back.

use std::{io, process};

use assay_platform::ending::Endings;

use crate::{control::Control, view::terminal};

/// The exit code of a program whose run was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Any request to end ([`Endings`]) ends the run cleanly; a second one ends the program. The handlers are in place on return.
///
/// # Errors
/// If the system does not accept a handler.
pub fn stop_on_signals(control: Control) -> io::Result<()> {
    let mut endings = Endings::watch()?;
    tokio::spawn(async move {
        for _ in 0..2 {
            endings.next().await;
            control.stop();
        }
        terminal::restore();
        process::exit(i32::from(INTERRUPTED))
    });
    Ok(())
}
