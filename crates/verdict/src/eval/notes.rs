//! What a reader should know of a run in addition to its verdict.

use assay_model::Queryable;
use assay_run::Plan;

use crate::{
    source::SourceError,
    units,
    verdict::{RunInfo, Verdict},
};

/// Notes on a run: other loads in its data, how the rest of it ended, alerts outside of the judged windows.
pub(super) fn of_run(
    data: &dyn Queryable,
    info: &RunInfo,
    verdict: &Verdict,
) -> Result<Vec<String>, SourceError> {
    let mut notes = Vec::new();
    if let Some(plan) = Plan::read(data).map_err(SourceError::new)?.filter(|p| !p.others.is_empty()) {
        let judged = plan.run.as_deref().unwrap_or("without an id");
        let others = plan.others.join(", ");
        notes.push(format!("the data hold several loads: judged is the last, {judged}, and not {others}"));
    }
    if let Some(outcome) = info.outcome.as_deref().filter(|o| *o != "finished") {
        notes.push(match outcome {
            "running" => {
                "the load has no end on record: its generator was killed, or is still at work".to_owned()
            }
            other => format!("the load was {other}"),
        });
    }
    for alert in verdict.alerts.iter().filter(|a| a.counts) {
        for one in alert.instances.iter().filter(|i| i.phases.is_empty()) {
            let Some(fired_ms) = one.fired_at_ms else { continue };
            notes.push(format!(
                "{} would also have fired at {}, outside of the judged phases, which does not count",
                alert.name,
                units::clock(fired_ms)
            ));
        }
    }
    Ok(notes)
}
