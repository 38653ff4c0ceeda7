//! What is known of a run. Invariant: no phase ends after the run, and none before it begins; phases come from what the
//! run says of itself, and never from what it did.

use std::str::FromStr;

use assay_model::QueryError;
use assay_run::{LoadOutcome, Manifest, Outcome, Phase, PhaseOutcome, Plan, Run, time};

use crate::verdict::{PhaseInfo, PhaseSource, RunInfo};

/// A phase that was given by hand: `NAME=START..END`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPhase {
    /// Its name.
    pub name: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// When it ended.
    pub end_ms: i64,
}

impl FromStr for GivenPhase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not a phase; write NAME=START..END, such as peak=2026-11-23T13:00:00Z..2026-11-23T13:05:00Z"
            )
        };
        let (name, span) = text.split_once('=').ok_or_else(bad)?;
        let (start, end) = span.split_once("..").ok_or_else(bad)?;
        let (start_ms, end_ms) = (time::parse(start).ok_or_else(bad)?, time::parse(end).ok_or_else(bad)?);
        if start_ms >= end_ms || name.is_empty() {
            return Err(bad());
        }
        Ok(Self { name: name.to_owned(), start_ms, end_ms })
    }
}

/// The run as reports show it: `given` takes the place of its own phases, `range_ms` that of its own length.
///
/// # Errors
/// If its series cannot be read.
pub fn run_info(
    run: &Run,
    given: &[GivenPhase],
    range_ms: Option<(i64, i64)>,
) -> Result<RunInfo, QueryError> {
    let manifest = run.manifest.as_ref();
    let (start_ms, end_ms) = range_ms.or(run.span()).unwrap_or_default();
    let mut info = RunInfo {
        source: run.path.display().to_string(),
        scenario: manifest.map(|m| m.scenario.clone()),
        start_ms,
        end_ms,
        cut_short_ms: run.cut_short,
        manifest: manifest.and_then(|m| serde_json::to_value(m).ok()).unwrap_or_default(),
        ..RunInfo::default()
    };
    if let Some(manifest) = manifest {
        info.outcome = Some(outcome_of(manifest).to_owned());
    }
    if let Some(plan) = &Plan::read(&run.database)? {
        of_plan(&mut info, plan);
    } else if let Some(manifest) = manifest.filter(|m| !m.phases.is_empty()) {
        of_manifest(&mut info, manifest);
    }
    if !given.is_empty() {
        info.phases = given.iter().map(of_given).collect();
        info.not_begun.clear();
        info.phases_from = PhaseSource::Given;
    }
    Ok(info)
}

pub(super) fn of_plan(info: &mut RunInfo, plan: &Plan) {
    info.phases_from = PhaseSource::Plan;
    info.scenario = info.scenario.take().or_else(|| plan.scenario.clone());
    info.outcome = Some(
        match plan.outcome {
            LoadOutcome::Finished => "finished",
            LoadOutcome::Running => "running",
            LoadOutcome::Interrupted => "interrupted",
            LoadOutcome::Aborted => "aborted",
        }
        .to_owned(),
    );
    if plan.outcome == LoadOutcome::Running {
        info.cut_short_ms = info.cut_short_ms.or(Some(plan.last_ms));
    }
    for phase in &plan.phases {
        let Some(start_ms) = phase.start_ms.filter(|s| *s < info.end_ms) else {
            info.not_begun.push(phase.name.clone());
            continue;
        };
        let end_ms = phase.end_ms.unwrap_or(plan.last_ms).clamp(start_ms, info.end_ms.max(start_ms));
        let is_cut = phase.end_ms.is_some_and(|end| end > info.end_ms) || start_ms < info.start_ms;
        info.phases.push(PhaseInfo {
            name: phase.name.clone(),
            start_ms,
            end_ms,
            warmup: phase.warmup,
            outcome: match phase.outcome {
                // The record ends, or begins, within the phase.
                PhaseOutcome::Finished if is_cut => PhaseOutcome::Running,
                outcome => outcome,
            },
            planned_ms: phase.planned_ms,
        });
    }
}

fn of_manifest(info: &mut RunInfo, manifest: &Manifest) {
    info.phases_from = PhaseSource::Manifest;
    let count = manifest.phases.len();
    let finished = info.is_whole();
    for (i, phase) in manifest.phases.iter().enumerate() {
        let end_ms = phase.end_ms.unwrap_or(info.end_ms).min(info.end_ms).max(phase.start_ms);
        let outcome = outcome_of_phase(phase, finished, i + 1 == count);
        info.phases.push(PhaseInfo {
            name: phase.name.clone(),
            start_ms: phase.start_ms,
            end_ms,
            warmup: phase.warmup,
            outcome,
            planned_ms: None,
        });
    }
}

/// How a phase ended; older descriptions do not say so, but only the last one can have been cut short.
fn outcome_of_phase(phase: &Phase, finished: bool, is_last: bool) -> PhaseOutcome {
    match phase.outcome {
        Some(outcome) => outcome,
        None if phase.end_ms.is_none() => PhaseOutcome::Running,
        None if finished || !is_last => PhaseOutcome::Finished,
        None => PhaseOutcome::CutShort,
    }
}

fn outcome_of(manifest: &Manifest) -> &'static str {
    match manifest.outcome {
        Some(Outcome::Finished) => "finished",
        Some(Outcome::Interrupted) => "interrupted",
        Some(Outcome::Aborted { .. }) => "aborted",
        None => "running",
    }
}

/// Whether there are data for all of it, the edges of the data say.
fn of_given(given: &GivenPhase) -> PhaseInfo {
    PhaseInfo {
        name: given.name.clone(),
        start_ms: given.start_ms,
        end_ms: given.end_ms,
        warmup: false,
        outcome: PhaseOutcome::Finished,
        planned_ms: Some(given.end_ms - given.start_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_given_by_name_and_span() {
        let given: GivenPhase = "peak=10..1970-01-01T00:01:00Z".parse().expect("is right");
        assert_eq!((given.name.as_str(), given.start_ms, given.end_ms), ("peak", 10_000, 60_000));
        for bad in ["peak", "peak=1", "peak=2..1", "=1..2", "peak=soon..later"] {
            assert!(bad.parse::<GivenPhase>().is_err(), "{bad}");
        }
    }
}
