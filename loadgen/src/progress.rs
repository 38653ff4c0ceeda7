//! How a run stands, for those who watch. Invariant: a [`Progress`] is a copy; looking never holds the load
//! up.

use std::{collections::VecDeque, time::Duration};

use assay_model::histogram::ExponentialHistogram;

use crate::{
    measure::{families::PhaseTotals, tally::histogram},
    scenario::Scenario,
    summary::Summary,
};

/// How many seconds back the figures called "now" go.
const NOW: usize = 5;

/// Shows a run.
pub trait View: Send {
    /// About once a second, and when a phase begins or ends.
    fn update(&mut self, progress: &Progress);

    /// The run is over; a view that took the terminal gives it back.
    fn finish(&mut self, _summary: &Summary) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl View for Quiet {
    fn update(&mut self, _progress: &Progress) {}
}

/// A run as it is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The scenario's name.
    pub scenario: String,
    /// Where the load goes.
    pub target: String,
    /// All phases, in order.
    pub phases: Vec<PhaseState>,
    /// The current one.
    pub current: usize,
    /// Since the start of the run.
    pub elapsed: Duration,
    /// Whether new iterations are held back.
    pub is_paused: bool,
    /// Active users.
    pub users: i64,
    /// Requests of all phases so far.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Failed requests by class, the most frequent first.
    pub error_classes: Vec<(String, u64)>,
    /// Requests by status, ascending.
    pub statuses: Vec<(u16, u64)>,
    /// Iterations that never started, in the current phase.
    pub dropped: u64,
    /// Iterations each second that the schedule intends.
    pub rate_target: Option<f64>,
    /// Users that are to be there, where their number is the load.
    pub users_target: Option<u32>,
    /// The steps of the current phase that made requests, in order.
    pub steps: Vec<StepState>,
    /// The requests of the last seconds, by duration.
    pub now: ExponentialHistogram,
    /// Time to the first content in the current phase; `None` where nothing streams.
    pub first_chunk: Option<ExponentialHistogram>,
    /// The generator's own lag in the current phase.
    pub lag: ExponentialHistogram,
    /// The last seconds, oldest first.
    pub history: VecDeque<Second>,
}

/// A phase of a run.
#[derive(Clone, Debug)]
pub struct PhaseState {
    /// Its name.
    pub name: String,
    /// Its executor.
    pub executor: &'static str,
    /// Whether verdicts leave it out.
    pub warmup: bool,
    /// How long it is meant to be.
    pub length: Duration,
    /// How long it has run; `None` before it starts.
    pub elapsed: Option<Duration>,
    /// Whether it has ended.
    pub is_over: bool,
}

/// A step in the current phase.
#[derive(Clone, Debug)]
pub struct StepState {
    /// Its name.
    pub name: String,
    /// Its requests, by duration.
    pub duration: ExponentialHistogram,
    /// Those that failed.
    pub errors: u64,
}

/// One second of a run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Its end, since the start of the run.
    pub at: Duration,
    /// Active users.
    pub users: i64,
    /// Requests each second.
    pub requests: f64,
    /// Failed requests each second.
    pub errors: f64,
    /// Pieces of content each second.
    pub chunks: f64,
    /// Output tokens each second, of generations that ended.
    pub tokens: f64,
    /// Its requests, by duration.
    pub duration: ExponentialHistogram,
}

impl Progress {
    #[expect(clippy::too_many_arguments, reason = "one call site that has these at hand")]
    pub(crate) fn new(
        scenario: &Scenario,
        target: &str,
        phases: Vec<PhaseState>,
        current: usize,
        elapsed: Duration,
        is_paused: bool,
        totals: &[PhaseTotals],
        history: &VecDeque<Second>,
    ) -> Self {
        let mut progress = Self {
            scenario: scenario.name.clone(),
            target: target.to_owned(),
            phases,
            current,
            elapsed,
            is_paused,
            users: totals.get(current).map_or(0, |t| t.users),
            requests: 0,
            errors: 0,
            error_classes: Vec::new(),
            statuses: Vec::new(),
            dropped: totals.get(current).map_or(0, |t| t.tally.dropped),
            rate_target: totals.get(current).and_then(|t| t.rate_target),
            users_target: None,
            steps: Vec::new(),
            now: histogram(),
            first_chunk: None,
            lag: totals.get(current).map_or_else(histogram, |t| t.tally.lag.clone()),
            history: history.clone(),
        };
        if let (Some(totals), Some(phase)) = (totals.get(current), progress.phases.get(current)) {
            let into = phase.elapsed.filter(|into| *into < phase.length && !phase.is_over);
            progress.users_target = into.and_then(|into| totals.phase.executor.target_users(into));
            let steps = scenario.steps.iter().zip(&totals.tally.steps);
            progress.steps.extend(steps.filter_map(|(name, tally)| {
                let (requests, errors) = tally.counts();
                let mut duration = histogram();
                tally.outcomes.iter().for_each(|o| duration.merge(&o.duration));
                (requests > 0).then(|| StepState { name: name.name.clone(), duration, errors })
            }));
        }
        for second in history.iter().rev().take(NOW) {
            progress.now.merge(&second.duration);
        }
        for outcome in totals.iter().flat_map(|t| &t.tally.steps).flat_map(|s| &s.outcomes) {
            let n = outcome.duration.count();
            progress.requests += n;
            if let Some(error) = outcome.outcome.error.filter(|_| n > 0) {
                progress.errors += n;
                count(&mut progress.error_classes, error.to_string(), n);
            }
            if let Some(status) = outcome.outcome.status.filter(|_| n > 0) {
                count(&mut progress.statuses, status, n);
            }
        }
        progress.error_classes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        progress.statuses.sort_unstable();
        for stream in
            totals.get(current).iter().flat_map(|t| &t.tally.steps).filter_map(|s| s.stream.as_ref())
        {
            progress.first_chunk.get_or_insert_with(histogram).merge(&stream.first_chunk);
        }
        progress
    }

    /// How long the phases still take, by their plan.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let left = |p: &PhaseState| p.length.saturating_sub(p.elapsed.unwrap_or_default());
        self.phases.iter().filter(|p| !p.is_over).map(left).sum()
    }

    /// Requests each second over the last seconds.
    #[must_use]
    pub fn rate_per_s(&self) -> f64 {
        self.mean(|s| s.requests)
    }

    /// Failed requests each second over the last seconds.
    #[must_use]
    pub fn errors_per_s(&self) -> f64 {
        self.mean(|s| s.errors)
    }

    /// Pieces of content each second over the last seconds.
    #[must_use]
    pub fn chunks_per_s(&self) -> f64 {
        self.mean(|s| s.chunks)
    }

    fn mean(&self, value: impl Fn(&Second) -> f64) -> f64 {
        let n = self.history.len().min(NOW);
        let sum: f64 = self.history.iter().rev().take(NOW).map(value).sum();
        if n == 0 { 0.0 } else { sum / n as f64 }
    }
}

fn count<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K, n: u64) {
    match counts.iter_mut().find(|(k, _)| *k == key) {
        Some((_, count)) => *count += n,
        None => counts.push((key, n)),
    }
}
