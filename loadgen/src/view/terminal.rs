//! The live view on a terminal: phases, rates, latencies, errors.
//!
//! Invariant: the terminal is given back as it was, however the run ends.

use std::{
    io::{self, Stderr, stderr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossterm::{
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal as Screen, backend::CrosstermBackend};

use super::{View, draw::draw};
use crate::{control::Control, progress::Progress, summary::Summary};

/// How often the keyboard is looked at.
const KEYS_EVERY: Duration = Duration::from_millis(100);

/// The live view.
pub struct Terminal {
    screen: Screen<CrosstermBackend<Stderr>>,
    is_over: Arc<AtomicBool>,
}

impl Terminal {
    /// Takes the terminal over; keys go to `control`.
    ///
    /// # Errors
    /// Where there is no terminal.
    pub fn start(control: Control) -> io::Result<Self> {
        enable_raw_mode()?;
        let entered = execute!(stderr(), EnterAlternateScreen).and_then(|()| {
            let screen = Screen::new(CrosstermBackend::new(stderr()))?;
            let is_over = Arc::new(AtomicBool::new(false));
            let over = Arc::clone(&is_over);
            thread::Builder::new().name("keys".to_owned()).spawn(move || keys(&control, &over))?;
            Ok(Self { screen, is_over })
        });
        if entered.is_err() {
            restore();
        }
        entered
    }
}

/// Gives the terminal back; does nothing where it was not taken.
pub fn restore() {
    if disable_raw_mode().is_ok() {
        let _ = execute!(stderr(), LeaveAlternateScreen);
    }
}

impl View for Terminal {
    fn update(&mut self, progress: &Progress) {
        if let Err(e) = self.screen.draw(|frame| draw(frame, progress)) {
            tracing::debug!("the terminal: {e}");
        }
    }

    fn finish(&mut self, _summary: &Summary) {
        self.leave();
    }
}

impl Terminal {
    fn leave(&mut self) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            let _ = self.screen.show_cursor();
            restore();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Reads keys until the run is over. In raw mode Ctrl-C is a key like any other.
fn keys(control: &Control, is_over: &AtomicBool) {
    let mut paused = false;
    let mut stops = 0;
    while !is_over.load(Ordering::Relaxed) {
        if !event::poll(KEYS_EVERY).unwrap_or(false) {
            continue;
        }
        let Ok(Event::Key(key)) = event::read() else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                stops += 1;
                if stops > 1 {
                    restore();
                    std::process::exit(130);
                }
                control.stop();
            }
            KeyCode::Char('q') => control.stop(),
            KeyCode::Char('e') => control.end_phase(),
            KeyCode::Char('p' | ' ') => {
                paused = !paused;
                control.pause(paused);
            }
            _ => {}
        }
    }
}
