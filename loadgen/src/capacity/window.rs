//! What a window measured. Invariant: rates are over the window's whole time, the wait for the last responses
//! among it, so that what a queue still held at the end does not count as served in time.

use serde::Serialize;

use super::{
    Level,
    limits::{self, Misses, Times},
};
use crate::measure::{
    families::PhaseTotals,
    percentiles::{Percentiles, is_late, ratio},
    tally::histogram,
};
use crate::scenario::capacity::Limits;

/// A window: one load, held for a while. Rates are per second, times are seconds, shares between 0 and 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Window {
    /// The phase in the record.
    pub phase: String,
    /// The users, where their number is the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Iterations each second that the schedule intended; where the load is a number of users, those that ended.
    pub rate_per_s: f64,
    /// How long it took, the wait for the last responses among it.
    pub duration_s: f64,
    /// Iterations each second that ended.
    pub achieved_per_s: f64,
    /// The share of the iterations due that ended, times the window's length over the time that they took: below 1
    /// where they were dropped, or where a queue had still to be worked off at the end.
    pub throughput_ratio: f64,
    /// Requests.
    pub requests: u64,
    /// Requests each second.
    pub requests_per_s: f64,
    /// Good requests each second.
    pub goodput_per_s: f64,
    /// The share of good requests.
    pub good_ratio: f64,
    /// The share of failed requests.
    pub error_ratio: f64,
    /// The share of iterations that never started.
    pub dropped_ratio: f64,
    /// From the first byte sent, over all steps.
    pub duration: Percentiles,
    /// From the scheduled instant, over all steps.
    pub latency: Percentiles,
    /// From the first byte sent to the first content, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_chunk: Option<Percentiles>,
    /// Output tokens each second, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_s: Option<f64>,
    /// Output tokens each second of one generation, after its first, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_s_per_user: Option<f64>,
    /// Whether the generator itself was late, so that the times are upper bounds.
    pub is_generator_late: bool,
    /// The objectives that were missed, in words; none where the window held.
    pub missed: Vec<String>,
    /// How often each objective was missed.
    #[serde(skip)]
    pub(crate) misses: Vec<Misses>,
}

impl Window {
    /// The load, as it was asked for.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::of(self.users, self.rate_per_s)
    }

    /// What the phase of a window measured, and which limits it missed.
    pub(crate) fn of(totals: &PhaseTotals, level: Level, duration_s: f64, limits: &Limits) -> Self {
        let tally = &totals.tally;
        let window_s = totals.phase.executor.duration().as_secs_f64();
        // The last iterations take their time also where nothing waits.
        let worked_s = duration_s - tally.iteration_duration.min().unwrap_or(0.0);
        let stretch = if worked_s > window_s { window_s / worked_s } else { 1.0 };
        let (mut duration, mut latency, mut first_chunk) = (histogram(), histogram(), None);
        let (mut requests, mut errors, mut good, mut tokens) = (0, 0, 0, 0.0);
        let mut per_token = histogram();
        for step in &tally.steps {
            let (all, failed) = step.counts();
            (requests, errors, good) = (requests + all, errors + failed, good + step.good);
            for outcome in &step.outcomes {
                duration.merge(&outcome.duration);
                latency.merge(&outcome.latency);
            }
            if let Some(stream) = step.stream.as_ref().filter(|s| s.first_chunk.count() > 0) {
                first_chunk.get_or_insert_with(histogram).merge(&stream.first_chunk);
                tokens += stream.output_tokens.sum();
                per_token.merge(&stream.per_token);
            }
        }
        let share = |n: u64, of: u64| if of > 0 { n as f64 / of as f64 } else { 0.0 };
        let per_s = |n: f64| if duration_s > 0.0 { n / duration_s } else { 0.0 };
        let lag = Percentiles::of(&tally.lag);
        let achieved_per_s = per_s(tally.iterations as f64);
        let (users, rate_per_s) = match level {
            Level::Rate(rate_per_s) => (None, rate_per_s),
            Level::Users(users) => (Some(users), achieved_per_s),
        };
        // What users of a closed model do not start is not due.
        let stretch = if users.is_some() { 1.0 } else { stretch };
        let times = Times { duration, latency, first_chunk };
        let window = Self {
            phase: totals.phase.name.clone(),
            users,
            rate_per_s,
            duration_s,
            achieved_per_s,
            throughput_ratio: stretch * share(tally.iterations, tally.iterations + tally.dropped),
            requests,
            requests_per_s: per_s(requests as f64),
            goodput_per_s: per_s(good as f64),
            good_ratio: share(good, requests),
            error_ratio: share(errors, requests),
            dropped_ratio: share(tally.dropped, tally.iterations + tally.dropped),
            output_tokens_per_s: times.first_chunk.is_some().then(|| per_s(tokens)),
            output_tokens_per_s_per_user: ratio(per_token.count() as f64, per_token.sum()),
            is_generator_late: is_late(lag.p99, times.latency.quantile(0.5)),
            ..Self::default()
        };
        let due = (tally.iterations + tally.dropped) as f64;
        window.judged(limits, &times, due)
    }

    /// The same with its times, and which limits it missed of the iterations that were due.
    pub(super) fn judged(mut self, limits: &Limits, times: &Times, due: f64) -> Self {
        self.duration = Percentiles::of(&times.duration);
        self.latency = Percentiles::of(&times.latency);
        self.first_chunk = times.first_chunk.as_ref().map(Percentiles::of);
        self.missed = limits::missed(limits, &self, times);
        self.misses = limits::misses(limits, &self, times, due);
        self
    }
}
