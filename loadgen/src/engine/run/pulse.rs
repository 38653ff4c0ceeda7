//! Whether the whole program stood still: stopped by a signal, or with its machine asleep. A closed model sends less then
//! and nothing else shows it. Invariant: what is reported is time in which a tick was due and none came.

use std::time::Duration;

use assay_platform::since_boot;

/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// A machine that is busy delays a tick by less.
const LEAST: Duration = Duration::from_secs(1);

/// Watches the ticks of a run.
pub(super) struct Pulse {
    last: Duration,
    /// The phases in which the program stood still, and for how long in all.
    stood_still: Vec<(String, Duration)>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { last: since_boot::elapsed(), stood_still: Vec::new() }
    }

    /// Ticks begin to come.
    pub(super) fn begin(&mut self) {
        self.last = since_boot::elapsed();
    }

    /// A tick has come, in a phase.
    pub(super) fn tick(&mut self, phase: &str) {
        self.tick_at(since_boot::elapsed(), phase);
    }

    fn tick_at(&mut self, now: Duration, phase: &str) {
        let still = now.saturating_sub(std::mem::replace(&mut self.last, now)).saturating_sub(TICK);
        if still < LEAST {
            return;
        }
        match self.stood_still.last_mut().filter(|(name, _)| name == phase) {
            Some((_, sum)) => *sum += still,
            None => self.stood_still.push((phase.to_owned(), still)),
        }
    }

    /// What a reader of the summary should know.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.stood_still.iter().map(|(phase, still)| {
            format!(
                "{phase}: the generator itself stood still for {:.1} s (stopped, or its machine slept): no load was driven \
                 then, and the times of requests that were under way have the pause in them",
                still.as_secs_f64()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_added_up_for_each_phase() {
        let mut pulse = Pulse { last: Duration::ZERO, stood_still: Vec::new() };
        for (at_ms, phase) in
            [(1000, "a"), (2900, "a"), (6400, "a"), (9400, "a"), (10_400, "b"), (14_400, "b")]
        {
            pulse.tick_at(Duration::from_millis(at_ms), phase);
        }
        let found: Vec<_> = pulse.stood_still.iter().map(|(p, t)| (p.as_str(), t.as_millis())).collect();
        assert_eq!(found, [("a", 4500), ("b", 3000)]);
    }
}
