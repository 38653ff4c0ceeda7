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
            if !self.rest(campaign.capacity.shape.rest).await {
                return Ok(Outcome::Interrupted);
            }
            self.phases.push(phase.clone());
            self.totals.push(PhaseTotals::new(&self.scenario, phase, self.facts.start_ms));
            let index = self.phases.len() - 1;
            if self.one_phase(index).await? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
            let length_s = self.lengths().last().map_or(0.0, Duration::as_secs_f64);
            let rate_per_s = self.shard.of_rate(rate_per_s);
            // The last start of a window is a gap before its end, so one without a queue ends that much early.
            let window_s = campaign.capacity.shape.window.as_secs_f64();
            let length_s = length_s.max(window_s.min(length_s + 1.0 / rate_per_s));
            campaign.take(Window::of(&self.totals[index], rate_per_s, length_s));
        }
        Ok(Outcome::Completed)
    }

    /// Leaves the target alone for a while; false where the run is to stop.
    pub(super) async fn rest(&mut self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        loop {
            tokio::select! {
                biased;
                signal = self.signals.recv() => if signal == Some(Signal::Stop) { return false },
                () = tokio::time::sleep_until(until.into()) => return true,
            }
        }
    }
}
