//! What is done once before the phases, and once after them. Invariant: a person's stop ends it at once.

use std::pin::pin;

use super::{Run, Signal};
use crate::{engine::error::RunError, summary::Outcome};

impl Run {
    /// Does what comes before the phases; gives the outcome if the run is to stop.
    pub(super) async fn before(&mut self) -> Result<Option<Outcome>, RunError> {
        let once = self.once.clone();
        let mut before = pin!(once.before_run(None));
        loop {
            tokio::select! {
                biased;
                done = &mut before => return done.map(|()| None),
                Some(signal) = self.signals.recv() => match signal {
                    Signal::Stop => return Ok(Some(Outcome::Interrupted)),
                    Signal::Abort => return Ok(Some(Outcome::Aborted)),
                    Signal::EndPhase | Signal::Pause(_) => {}
                },
            }
        }
    }

    /// Does what comes after the phases; gives what was wrong.
    pub(super) async fn after(&mut self) -> Option<String> {
        let once = self.once.clone();
        let mut after = pin!(once.after_run(None));
        loop {
            tokio::select! {
                biased;
                done = &mut after => return done.unwrap_or_else(|e| Some(e.to_string())),
                Some(signal) = self.signals.recv() => {
                    if matches!(signal, Signal::Stop | Signal::Abort) {
                        return Some("cut short by a stop".to_owned());
                    }
                }
            }
        }
    }
}
