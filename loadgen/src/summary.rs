//! What a run came to. Invariant: every figure is of requests that were made; a phase that never ran has no
//! row.
//!
//! The JSON form (`--summary json`) has at its top `requests`, `errors`, `duration_s`, then `phases`, each
//! with its `steps`, `notes` and `warnings`; times are seconds, percentiles are of the time from the first byte sent
//! (`duration`) and from the scheduled instant (`latency`). `docs/summary.schema.json` documents all of it.

mod alert;
pub(crate) mod hgrm;
mod text;
mod threshold;

use std::{collections::BTreeSet, time::Duration};

use assay_model::histogram::ExponentialHistogram;
pub use hgrm::{PercentileFileError, prepare as prepare_hgrm};
use serde::Serialize;

pub use self::{
    alert::AbortingAlert,
    threshold::{Threshold, ThresholdError, ThresholdSummary},
};
pub use crate::measure::percentiles::{Percentiles, seconds};
use crate::{
    capacity::CapacitySummary,
    measure::{
        families::{PhaseTotals, RunFacts},
        percentiles::{is_late, ratio},
        tally::{StepTally, histogram},
    },
    scenario::Scenario,
};

/// A worker this busy cannot send on time.
const BUSY: f64 = 0.9;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All phases ran to their end.
    Completed,
    /// It was stopped.
    Interrupted,
    /// An alert ended it.
    Aborted,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Requests, the failed ones among them.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests that a person's stop cut off; they are in no other figure but for the gaps between their pieces of content.
    pub interrupted: u64,
    /// The phases' time together, in seconds.
    pub duration_s: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// The alert that ended it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<AbortingAlert>,
    /// The scenario's name.
    pub scenario: String,
    /// Iterations that never started.
    pub dropped_iterations: u64,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// Exports of measurements that failed.
    pub export_failures: u64,
    /// The phases that ran, in order.
    pub phases: Vec<PhaseSummary>,
    /// What a search or a sweep came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySummary>,
    /// The checks, those that never ran left out.
    pub checks: Vec<CheckSummary>,
    /// The thresholds that were given, and whether they were met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdSummary>,
    /// What happened in addition to the load, such as a receiver of metrics that was away.
    pub notes: Vec<String>,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// A phase.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseSummary {
    /// Its name.
    pub name: String,
    /// Whether verdicts leave it out.
    pub warmup: bool,
    /// How long it ran, in seconds.
    pub duration_s: f64,
    /// Requests.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests each second.
    pub rate_per_s: f64,
    /// Good requests each second: those that met all their objectives.
    pub goodput_per_s: f64,
    /// Iterations that ended.
    pub iterations: u64,
    /// Iterations that never started.
    pub dropped_iterations: u64,
    /// How late the generator itself started iterations.
    pub schedule_lag: Percentiles,
    /// Its steps, in order.
    pub steps: Vec<StepSummary>,
}

/// A step in a phase.
#[derive(Clone, Debug, Serialize)]
pub struct StepSummary {
    /// Its name.
    pub name: String,
    /// Requests.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests that their clients cancelled; they are in no other figure but for the gaps between their pieces of content.
    pub cancelled: u64,
    /// Requests each second.
    pub rate_per_s: f64,
    /// From the first byte sent.
    #[serde(serialize_with = "null_if_empty")]
    pub duration: Percentiles,
    /// From the scheduled instant.
    #[serde(serialize_with = "null_if_empty")]
    pub latency: Percentiles,
    /// Failed requests by class.
    pub error_types: Vec<(String, u64)>,
    /// The measures of generations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<GenerationSummary>,
}

/// The measures of generations.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationSummary {
    /// From the first byte sent to the first content; unknown if no content was recognised.
    pub time_to_first_chunk: Option<Percentiles>,
    /// Between consecutive pieces of content; unknown if there was none.
    pub time_per_output_chunk: Option<Percentiles>,
    /// From the first content of a generation to its last, for each output token after the first; unknown if none had two.
    pub time_per_output_token: Option<Percentiles>,
    /// Input tokens that servers counted.
    pub input_tokens: u64,
    /// Input tokens that servers had in a cache; among the input tokens.
    pub cached_tokens: u64,
    /// Output tokens, or pieces of content where the server counts none.
    pub output_tokens: u64,
    /// Output tokens that servers count as reasoning; among the output tokens.
    pub reasoning_tokens: u64,
    /// Output tokens each second of the phase.
    pub output_tokens_per_s: f64,
    /// Output tokens each second of one generation, after its first: what a user sees; unknown if none had two.
    pub output_tokens_per_s_per_user: Option<f64>,
    /// Input tokens for each second until the first content, an estimate of the prefill; unknown without either.
    pub prefill_tokens_per_s: Option<f64>,
    /// Whether every server counted its output tokens.
    pub is_counted_by_server: bool,
    /// Streams that succeeded and in which no content was recognised.
    pub without_content: u64,
}

/// A check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckSummary {
    /// Its step.
    pub step: String,
    /// Its name.
    pub name: String,
    /// Times passed.
    pub passed: u64,
    /// Times failed.
    pub failed: u64,
}

/// A step that made no request has no times, which is not the same as times of zero.
fn null_if_empty<S: serde::Serializer>(times: &Percentiles, serializer: S) -> Result<S::Ok, S::Error> {
    Some(times).filter(|t| **t != Percentiles::default()).serialize(serializer)
}

pub(crate) fn summarise(
    scenario: &Scenario,
    facts: &RunFacts,
    totals: &[PhaseTotals],
    lengths: &[Duration],
    outcome: Outcome,
    busiest: f64,
) -> Summary {
    let phases: Vec<PhaseSummary> =
        totals.iter().zip(lengths).map(|(t, length)| phase(scenario, t, length.as_secs_f64())).collect();
    let checks: Vec<CheckSummary> = scenario
        .checks
        .iter()
        .enumerate()
        .map(|(i, check)| {
            let count = |result: usize| totals.iter().map(|t| t.tally.checks[i][result]).sum();
            CheckSummary {
                step: scenario.steps.get(check.step).map_or_else(String::new, |s| s.name.clone()),
                name: check.name.clone(),
                passed: count(0),
                failed: count(1),
            }
        })
        .filter(|c| c.passed + c.failed > 0)
        .collect();
    Summary {
        requests: phases.iter().map(|p| p.requests).sum(),
        errors: phases.iter().map(|p| p.errors).sum(),
        interrupted: totals.iter().flat_map(|t| &t.tally.steps).map(|s| s.interrupted).sum(),
        duration_s: phases.iter().map(|p| p.duration_s).sum(),
        outcome,
        aborted_by: None,
        scenario: scenario.name.clone(),
        dropped_iterations: phases.iter().map(|p| p.dropped_iterations).sum(),
        checks_passed: checks.iter().map(|c| c.passed).sum(),
        checks_failed: checks.iter().map(|c| c.failed).sum(),
        export_failures: facts.export_failures,
        thresholds: Vec::new(),
        notes: Vec::new(),
        warnings: warnings(scenario, &phases, facts, busiest),
        phases,
        capacity: None,
        checks,
    }
}

fn phase(scenario: &Scenario, totals: &PhaseTotals, seconds: f64) -> PhaseSummary {
    let tally = &totals.tally;
    let is_expected = |id: usize| tally.iterations > 0 && scenario.is_in_flow_of(&totals.phase, id);
    let steps: Vec<StepSummary> = scenario
        .steps
        .iter()
        .zip(&tally.steps)
        .map(|(name, t)| step(&name.name, t, seconds))
        .enumerate()
        .filter(|(id, s)| s.requests + s.cancelled > 0 || is_expected(*id))
        .map(|(_, s)| s)
        .collect();
    let requests: u64 = steps.iter().map(|s| s.requests).sum();
    let good: u64 = tally.steps.iter().map(|s| s.good).sum();
    PhaseSummary {
        name: totals.phase.name.clone(),
        warmup: totals.phase.warmup,
        duration_s: seconds,
        requests,
        errors: steps.iter().map(|s| s.errors).sum(),
        rate_per_s: per_second(requests as f64, seconds),
        goodput_per_s: per_second(good as f64, seconds),
        iterations: tally.iterations,
        dropped_iterations: tally.dropped,
        schedule_lag: Percentiles::of(&tally.lag),
        steps,
    }
}

fn step(name: &str, tally: &StepTally, seconds: f64) -> StepSummary {
    let (mut duration, mut latency) = (histogram(), histogram());
    let mut error_types: Vec<(String, u64)> = Vec::new();
    for outcome in &tally.outcomes {
        duration.merge(&outcome.duration);
        latency.merge(&outcome.latency);
        if let Some(error) = outcome.outcome.error.filter(|_| outcome.duration.count() > 0) {
            let class = error.to_string();
            match error_types.iter_mut().find(|(c, _)| *c == class) {
                Some((_, n)) => *n += outcome.duration.count(),
                None => error_types.push((class, outcome.duration.count())),
            }
        }
    }
    error_types.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let (requests, errors) = tally.counts();
    let generation = tally.stream.as_ref().map(|s| GenerationSummary {
        time_to_first_chunk: known(&s.first_chunk),
        time_per_output_chunk: known(&s.per_chunk),
        time_per_output_token: known(&s.per_token),
        input_tokens: s.input_tokens.sum() as u64,
        cached_tokens: s.cached_tokens,
        output_tokens: s.output_tokens.sum() as u64,
        reasoning_tokens: s.reasoning_tokens,
        output_tokens_per_s: per_second(s.output_tokens.sum(), seconds),
        output_tokens_per_s_per_user: ratio(s.per_token.count() as f64, s.per_token.sum()),
        prefill_tokens_per_s: ratio(s.input_tokens.sum(), s.first_chunk.sum()),
        is_counted_by_server: s.uncounted == 0,
        without_content: s.without_content,
    });
    StepSummary {
        name: name.to_owned(),
        requests,
        errors,
        cancelled: tally.cancelled[0],
        rate_per_s: per_second(requests as f64, seconds),
        duration: Percentiles::of(&duration),
        latency: Percentiles::of(&latency),
        error_types,
        generation,
    }
}

/// The percentiles of what was observed, if anything was.
fn known(h: &ExponentialHistogram) -> Option<Percentiles> {
    (h.count() > 0).then(|| Percentiles::of(h))
}

fn per_second(n: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { n / seconds } else { 0.0 }
}

/// What makes the figures doubtful: the generator was the bottleneck, or lost something.
fn warnings(scenario: &Scenario, phases: &[PhaseSummary], facts: &RunFacts, busiest: f64) -> Vec<String> {
    let mut warnings = Vec::new();
    for p in phases {
        let median = p.steps.iter().max_by_key(|s| s.requests).map_or(0.0, |s| s.latency.p50);
        let lag = p.schedule_lag.p99;
        if is_late(lag, median) {
            warnings.push(format!(
                "{}: the generator itself was late (99 % of starts within {}): its times are upper bounds; give it more --workers or a machine of its own",
                p.name,
                seconds(lag)
            ));
        }
        if p.dropped_iterations > 0 {
            warnings.push(format!(
                "{}: {} iterations never started because no user was free; the target is too slow for this rate, or max_vus too low",
                p.name, p.dropped_iterations
            ));
        }
    }
    warnings.extend(unreached(phases));
    warnings.extend(without_content(scenario, phases));
    if busiest > BUSY {
        warnings.push(format!(
            "a worker used {:.0} % of its core: the generator may have been the bottleneck; give it more --workers",
            busiest * 100.0
        ));
    }
    if facts.export_failures > 0 {
        warnings.push(format!("{} exports of measurements failed", facts.export_failures));
    }
    warnings
}

/// Steps of the flows that no iteration came to; a phase that ran lists them without requests.
fn unreached(phases: &[PhaseSummary]) -> Vec<String> {
    let listed: BTreeSet<&str> = phases.iter().flat_map(|p| &p.steps).map(|s| s.name.as_str()).collect();
    listed
        .into_iter()
        .filter(|name| requests_of(phases, name) == 0)
        .map(|name| {
            format!(
                "{name}: no iteration came to this step; its condition was never true, or a failed step ended each iteration before it (on_failure: continue)"
            )
        })
        .collect()
}

fn requests_of(phases: &[PhaseSummary], step: &str) -> u64 {
    phases.iter().flat_map(|p| &p.steps).filter(|s| s.name == step).map(|s| s.requests + s.cancelled).sum()
}

/// Steps whose streams had no content that was recognised.
fn without_content(scenario: &Scenario, phases: &[PhaseSummary]) -> Vec<String> {
    let count = |name: &str| -> u64 {
        let steps = phases.iter().flat_map(|p| &p.steps).filter(|s| s.name == name);
        steps.filter_map(|s| s.generation.as_ref()).map(|g| g.without_content).sum()
    };
    let names = scenario.step_names().map(|name| (name, count(name))).filter(|(_, n)| *n > 0);
    names
        .map(|(name, n)| {
            format!(
                "{name}: no content was recognised in {n} of its streams, so they have no time to the first chunk; name its place, such as stream: {{sse: {{content: $.text}}}}"
            )
        })
        .collect()
}
