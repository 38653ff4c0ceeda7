//! The windows of a search or a sweep, after the phases. Invariant: a window that was stopped is in the
//! record and in the summary's phases, and proves nothing about its rate.

use std::time::Duration;

use super::{PhaseTotals, Run, SinkFailed};
use crate::{
    capacity::{Campaign, Level, Window},
    summary::Outcome,
};

impl Run {
    /// Runs windows until the campaign has what it wants.
    pub(super) async fn windows(&mut self, campaign: &mut Campaign) -> Result<Outcome, SinkFailed> {
        while let Some((phase, level)) = campaign.next() {
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
            // What this shard drives of it.
            let level = match level {
                Level::Rate(rate_per_s) => Level::Rate(self.shard.of_rate(rate_per_s)),
                Level::Users(users) => Level::Users(self.shard.of_users(users)),
            };
            let window = Window::of(&self.totals[index], level, length_s, &campaign.capacity.limits);
            campaign.take(window);
        }
        Ok(Outcome::Completed)
    }

    /// Leaves the target alone for a while; gives the outcome if the run is to stop.
    pub(super) async fn rest(&mut self, rest: Duration) -> Option<Outcome> {
        self.unless_stopped(tokio::time::sleep(rest)).await.err()
    }
}
