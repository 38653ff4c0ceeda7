//! The plan of a merged run from those of its parts: the earliest start, the latest end, the worst outcome.
//!
//! Invariant: what is known of a part stays known after its last sample, for a part that has ended has ended.

use std::collections::BTreeMap;

use assay_model::{Column, Labels};

use super::{MergeError, sum::walk};
use crate::import::Store;

/// The label whose values are the outcomes of which one holds.
const OUTCOME: &str = "outcome";

/// How the values of the parts become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The largest.
    Largest,
    /// The smallest above 0, which stands for "not yet".
    Earliest,
    /// The largest, or 0 while any part has 0.
    Latest,
    /// The worst outcome.
    Worst,
}

/// Each outcome that a part may have, with its series, by the number of the part.
type OutcomesByPart<'c> = BTreeMap<usize, Vec<(String, &'c Column)>>;

/// The outcomes of a run, and of a phase, the worst last.
const RUN: [&str; 4] = ["finished", "running", "interrupted", "aborted"];
const PHASE: [&str; 4] = ["planned", "finished", "running", "cut_short"];

fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "load_run_info" | "load_phase_info" | "load_phase_planned_seconds" => Rule::Largest,
        "load_request_duration_max_seconds" => Rule::Largest,
        "load_phase_start_time_seconds" | "load_request_duration_min_seconds" => Rule::Earliest,
        "load_phase_end_time_seconds" => Rule::Latest,
        "load_run_outcome" | "load_phase_outcome" => Rule::Worst,
        _ => return None,
    })
}

/// Whether a series describes a run's plan, or the ends of what was measured, rather than counts.
pub(super) fn is_plan(labels: &Labels) -> bool {
    rule(labels.metric_name()).is_some()
}

/// Writes the plan of the whole from the series of the parts, each with the number of its part.
pub(super) fn write(
    series: &BTreeMap<Labels, Vec<(usize, Column)>>,
    store: &mut Store,
) -> Result<(), MergeError> {
    // The outcomes of one thing are decided together.
    let mut outcomes: BTreeMap<Labels, OutcomesByPart<'_>> = BTreeMap::new();
    for (labels, parts) in series {
        let rule = rule(labels.metric_name());
        if rule == Some(Rule::Worst) {
            let mut thing = labels.to_builder();
            thing.del(OUTCOME);
            let by_part = outcomes.entry(thing.build()).or_default();
            let outcome = labels.get(OUTCOME).unwrap_or_default();
            for (part, column) in parts {
                by_part.entry(*part).or_default().push((outcome.to_owned(), column));
            }
            continue;
        }
        let place = store.series(labels)?;
        let times: Vec<&[i64]> = parts.iter().map(|(_, c)| c.times.as_slice()).collect();
        walk(&times, |t_ms, latest| {
            let values = parts.iter().zip(latest).map(|((_, c), at)| at.map_or(0.0, |at| c.values[at]));
            let value = match rule {
                Some(Rule::Earliest) => values.filter(|v| *v > 0.0).reduce(f64::min).unwrap_or(0.0),
                Some(Rule::Latest) => {
                    let values: Vec<f64> = values.collect();
                    if values.contains(&0.0) { 0.0 } else { values.into_iter().fold(0.0, f64::max) }
                }
                Some(Rule::Largest | Rule::Worst) | None => values.fold(0.0, f64::max),
            };
            store.push(place, t_ms, value)
        })?;
    }
    for (thing, parts) in &outcomes {
        write_outcomes(thing, parts, store)?;
    }
    Ok(())
}

fn write_outcomes(thing: &Labels, parts: &OutcomesByPart<'_>, store: &mut Store) -> Result<(), MergeError> {
    let ranks = if thing.metric_name() == "load_run_outcome" { RUN } else { PHASE };
    let mut places = Vec::new();
    for outcome in ranks {
        let mut labels = thing.to_builder();
        labels.set(OUTCOME, outcome);
        places.push(store.series(&labels.build())?);
    }
    let flat: Vec<(usize, &str, &Column)> = parts
        .iter()
        .flat_map(|(part, list)| list.iter().map(|(outcome, column)| (*part, outcome.as_str(), *column)))
        .collect();
    let times: Vec<&[i64]> = flat.iter().map(|(_, _, c)| c.times.as_slice()).collect();
    walk(&times, |t_ms, latest| {
        let holds = |part: usize| {
            flat.iter().zip(latest).find_map(|((of, outcome, column), at)| {
                let is_set = *of == part && at.is_some_and(|at| column.values[at] == 1.0);
                is_set.then(|| ranks.iter().position(|r| r == outcome)).flatten()
            })
        };
        // A part that is not on record yet has planned, and not begun.
        let ranked: Vec<usize> = parts.keys().map(|part| holds(*part).unwrap_or(0)).collect();
        let worst = worst(&ranked, ranks == PHASE);
        for (rank, place) in places.iter().enumerate() {
            store.push(*place, t_ms, f64::from(u8::from(rank == worst)))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// The rank of the whole. A phase that some parts have ended and others not begun is under way.
fn worst(ranks: &[usize], is_phase: bool) -> usize {
    let worst = ranks.iter().copied().max().unwrap_or(0);
    let is_between = is_phase && worst == 1 && ranks.contains(&0);
    if is_between { 2 } else { worst }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_is_the_whole() {
        let phase = |names: &[&str]| {
            let ranks: Vec<usize> =
                names.iter().map(|n| PHASE.iter().position(|p| p == n).expect("known")).collect();
            PHASE[worst(&ranks, true)]
        };
        assert_eq!(phase(&["planned", "planned"]), "planned");
        assert_eq!(phase(&["planned", "finished"]), "running");
        assert_eq!(phase(&["finished", "running"]), "running");
        assert_eq!(phase(&["finished", "finished"]), "finished");
        assert_eq!(phase(&["finished", "cut_short"]), "cut_short");
        assert_eq!(RUN[worst(&[0, 2, 1], false)], "interrupted");
    }
}
