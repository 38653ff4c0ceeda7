//! What is done once before the phases, and once after them. Invariant: a person's stop ends it at once.

use std::pin::pin;

use super::{Run, Signal};
use crate::{engine::error::RunError, summary::Outcome};

impl Run {
    /// Does what comes before the phases; gives the outcome if the run is to stop.
    pub(super) async fn before(&mut self) -> Result<Option<Outcome>, RunError> {
        let once = self.once.clone();
        match self.unless_stopped(once.before_run(None)).await {
            Ok(done) => done.map(|()| None),
            Err(stopped) => Ok(Some(stopped)),
        }
    }

    /// Does what comes after the phases; gives what was wrong.
    pub(super) async fn after(&mut self) -> Option<String> {
        let once = self.once.clone();
        match self.unless_stopped(once.after_run(None)).await {
            Ok(done) => done.unwrap_or_else(|e| Some(e.to_string())),
            Err(_) => Some("cut short by a stop".to_owned()),
        }
    }

    /// Waits for some work, which is dropped if the run is to stop; then gives the outcome.
    pub(super) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Outcome> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => match signal {
                    Signal::Stop => return Err(Outcome::Interrupted),
                    Signal::Abort => return Err(Outcome::Aborted),
                    Signal::EndPhase | Signal::Pause(_) => {}
                },
                done = &mut work => return Ok(done),
            }
        }
    }
}
