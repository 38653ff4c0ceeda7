//! What a run plans, and how far it has come, in series: every phase from before the first request, so that anyone who
//! reads the record need not infer phases from activity.
//!
//! Invariant: of the series of an outcome exactly one is 1, at every instant.

use assay_model::LabelsBuilder;

use super::{
    families::{Output, PhaseTotals, RunFacts, with},
    names,
};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    Running,
    Finished,
    Interrupted,
    Aborted,
}

/// How a phase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseOutcome {
    Planned,
    Running,
    Finished,
    CutShort,
}

/// The plan of a phase and what became of it. Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseCourse {
    pub(crate) outcome: PhaseOutcome,
    pub(crate) start_ms: Option<i64>,
    pub(crate) end_ms: Option<i64>,
}

impl Default for PhaseCourse {
    fn default() -> Self {
        Self { outcome: PhaseOutcome::Planned, start_ms: None, end_ms: None }
    }
}

impl RunOutcome {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Running, "running"),
        (Self::Finished, "finished"),
        (Self::Interrupted, "interrupted"),
        (Self::Aborted, "aborted"),
    ];
}

impl PhaseOutcome {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Planned, "planned"),
        (Self::Running, "running"),
        (Self::Finished, "finished"),
        (Self::CutShort, "cut_short"),
    ];
}

/// The series of the run as a whole.
pub(super) fn run(out: &mut Output, base: &LabelsBuilder, facts: &RunFacts) {
    let info = [("load_mode", facts.mode.as_str()), ("load_shard", facts.shard.as_str())];
    out.gauge(&names::RUN_INFO, with(base, &info), 1.0);
    for (outcome, name) in RunOutcome::ALL {
        let value = f64::from(u8::from(outcome == facts.outcome));
        out.gauge(&names::RUN_OUTCOME, with(base, &[("outcome", name)]), value);
    }
}

/// The series of a phase.
pub(super) fn phase(out: &mut Output, base: &LabelsBuilder, totals: &PhaseTotals) {
    let (phase, course) = (&totals.phase, &totals.course);
    let warmup = if phase.warmup { "true" } else { "false" };
    let info = [("executor", phase.executor.name()), ("warmup", warmup)];
    out.gauge(&names::PHASE_INFO, with(base, &info), 1.0);
    out.gauge(&names::PHASE_PLANNED, base.build(), phase.executor.duration().as_secs_f64());
    let seconds = |ms: Option<i64>| ms.map_or(0.0, |ms| ms as f64 / 1e3);
    out.gauge(&names::PHASE_START, base.build(), seconds(course.start_ms));
    out.gauge(&names::PHASE_END, base.build(), seconds(course.end_ms));
    for (outcome, name) in PhaseOutcome::ALL {
        let value = f64::from(u8::from(outcome == course.outcome));
        out.gauge(&names::PHASE_OUTCOME, with(base, &[("outcome", name)]), value);
    }
}
