//! The windows of a search or a sweep, after the phases. Invariant: a window that was stopped is in the
//! record and in the summary's phases, and proves nothing about its rate.

use std::time::{Duration, Instant};

use super::{PhaseTotals, Run, Signal, SinkFailed};
use crate::{
    capacity::{Campaign, Window},
    summary::Outcome,
};

impl Run {
    /// Runs windows until the campaign has what it wants.
    pub(super) async fn windows(&mut self, campaign: &mut Campaign) -> Result<Outcome, SinkFailed> {
        while let Some((phase, rate_per_s)) = campaign.next() {
            if let Some(stopped) = self.rest(campaign.capacity.shape.rest).await {
                return Ok(stopped);
            }
            self.phases.push(phase.clone());
            self.totals.push(PhaseTotals::new(&self.scenario, phase, self.facts.start_ms));
            let index = self.phases.len() - 1;
            let outcome = self.one_phase(index).await?;
            if outcome != Outcome::Completed {
                return Ok(outcome);
            }
            let length_s = self.lengths().last().map_or(0.0, Duration::as_secs_f64);
            let rate_per_s = self.shard.of_rate(rate_per_s);
            campaign.take(Window::of(&self.totals[index], rate_per_s, length_s));
        }
        Ok(Outcome::Completed)
    }

    /// Leaves the target alone for a while; gives the outcome if the run is to stop.
    pub(super) async fn rest(&mut self, rest: Duration) -> Option<Outcome> {
        let until = Instant::now() + rest;
        loop {
            tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => match signal {
                    Signal::Stop => return Some(Outcome::Interrupted),
                    Signal::Abort => return Some(Outcome::Aborted),
                    Signal::EndPhase | Signal::Pause(_) => {}
                },
                () = tokio::time::sleep_until(until.into()) => return None,
            }
        }
    }
}
