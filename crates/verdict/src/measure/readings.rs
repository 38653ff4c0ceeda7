//! The values of objectives, one a series, from a verdict or from what was measured. Invariant: both name a series alike, so that
//! the same of two runs is found.

use assay_model::duration;

use super::{Measure, MeasuredRun, Pairs, Part, matched};
use crate::verdict::{ObjectiveRow, Verdict, Window};

/// The value of an objective in a phase; finite.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) measure: Measure,
    pub(crate) phase: Option<String>,
    pub(crate) labels: Pairs,
    pub(crate) value: f64,
}

/// The values of a verdict's objectives.
pub(crate) fn of_verdict(verdict: &Verdict) -> Vec<Reading> {
    let rows: Vec<&ObjectiveRow> = verdict.objectives.iter().filter(|r| !r.is_relative()).collect();
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for row in &rows {
        let of = key(row);
        if seen.contains(&of) {
            continue;
        }
        seen.push(of);
        let same = rows.iter().filter(|r| key(r) == of);
        let found = same.filter_map(|r| Some((r.labels.clone(), r.value.filter(|v| v.is_finite())?)));
        let length_ms = verdict.windows.iter().find(|w| w.phase == row.phase).map_or(0, Window::len_ms);
        let measure = Measure {
            part: Part::Objective,
            sla: row.sla.clone(),
            name: row.name.clone(),
            unit: row.unit.clone(),
            measure: without_length(&row.measure, length_ms),
            comparison: row.comparison.clone(),
            limit: row.limit,
            phases: Vec::new(),
        };
        out.extend(matched(found).into_iter().map(|(labels, value)| Reading {
            measure: measure.clone(),
            phase: row.phase.clone(),
            labels,
            value,
        }));
    }
    out
}

fn key(row: &ObjectiveRow) -> (&str, &str, &Option<String>) {
    (&row.sla, &row.name, &row.phase)
}

/// An expression without the length of its phase: phases of two runs differ by milliseconds, which changes nothing.
fn without_length(text: &str, length_ms: i64) -> String {
    if length_ms <= 0 {
        return text.to_owned();
    }
    let seconds = assay_model::number::format_f(length_ms as f64 / 1e3);
    text.replace(&duration::format_ms(length_ms), "$__range")
        .replace(&length_ms.to_string(), "$__range_ms")
        .replace(&seconds, "$__range_s")
}

/// The values of a measured run's objectives.
pub(crate) fn of_run(run: &MeasuredRun) -> impl Iterator<Item = Reading> {
    let objectives = run.measured.iter().filter(|m| m.measure.part == Part::Objective);
    let figures = objectives.flat_map(|m| m.figures.iter().map(|f| (&m.measure, f)));
    figures.filter_map(|(measure, figure)| {
        let value = figure.value.filter(|v| v.is_finite())?;
        let (phase, labels) = (figure.phase.clone(), figure.labels.clone());
        Some(Reading { measure: measure.clone(), phase, labels, value })
    })
}
