//! Objectives against a source. Invariant: every objective leaves at least one row for each of its windows, so
//! that what could not be measured is seen.

use assay_model::{Labels, Value};

use crate::{
    sla::{Objective, OnMissing, Sla, holds},
    source::{Source, SourceError, samples},
    units,
    verdict::{ObjectiveRow, RunInfo, Status, Window},
    windows::{self, Windows},
};

mod advice;
mod budget;

/// The rows of one SLA, with why something was not judged, and notes.
#[derive(Debug, Default)]
pub struct Judged {
    /// By objective, then window, then labels.
    pub rows: Vec<ObjectiveRow>,
    /// The windows of the SLA's own phases.
    pub windows: Vec<Window>,
    /// Each makes the verdict inconclusive.
    pub problems: Vec<String>,
    /// What should be known beside.
    pub notes: Vec<String>,
}

/// Judges the objectives of an SLA.
///
/// # Errors
/// Where the source cannot be read.
pub fn judge(sla: &Sla, run: &RunInfo, source: &dyn Source) -> Result<Judged, SourceError> {
    let mut judged = Judged::default();
    let common = windows::select(run, &sla.judge.phases);
    judged.problems.extend(common.problem.clone().map(|p| format!("{}: {p}", sla.name)));
    judged.notes.extend(common.note.clone().map(|n| format!("{}: {n}", sla.name)));
    judged.windows.clone_from(&common.list);
    for objective in &sla.objectives {
        let windows = match &objective.phases {
            Some(phases) => windows::select(run, phases),
            None => common.clone(),
        };
        let at = format!("{}:{}", sla.file, objective.position.line);
        let rows = judge_objective(objective, &windows, source, &Shared { sla: &sla.name, defined_at: &at })?;
        judged.rows.extend(rows);
    }
    for row in &mut judged.rows {
        if row.status == Status::Fail {
            let window = Window {
                phase: row.phase.clone(),
                start_ms: start_of(row, &judged.windows, run),
                end_ms: row.at_ms,
            };
            row.advice.extend(advice::advise(row, &window, source)?);
        }
    }
    Ok(judged)
}

fn start_of(row: &ObjectiveRow, windows: &[Window], run: &RunInfo) -> i64 {
    let phase = run.phases.iter().find(|p| Some(&p.name) == row.phase.as_ref()).map(|p| p.start_ms);
    let window = windows.iter().find(|w| w.phase == row.phase).map(|w| w.start_ms);
    phase.or(window).unwrap_or(run.start_ms)
}

/// What all rows of an objective share.
struct Shared<'a> {
    sla: &'a str,
    defined_at: &'a str,
}

fn judge_objective(
    objective: &Objective,
    windows: &Windows,
    source: &dyn Source,
    shared: &Shared<'_>,
) -> Result<Vec<ObjectiveRow>, SourceError> {
    let mut rows = Vec::new();
    for window in &windows.list {
        rows.extend(judge_window(objective, window, source, shared)?);
    }
    if windows.list.is_empty() && objective.phases.is_some() {
        // Phases of the objective's own that were not run: there was nothing to judge, and that is no failure.
        let mut row = blank(objective, None, shared);
        row.status = Status::Skipped;
        row.reason = windows.problem.clone().unwrap_or_default();
        rows.push(row);
    }
    Ok(rows)
}

fn blank(objective: &Objective, window: Option<&Window>, shared: &Shared<'_>) -> ObjectiveRow {
    let range_ms = window.map_or(0, Window::len_ms);
    ObjectiveRow {
        sla: shared.sla.to_owned(),
        name: objective.name.clone(),
        category: objective.category.clone(),
        unit: objective.unit.clone(),
        phase: window.and_then(|w| w.phase.clone()),
        labels: Vec::new(),
        status: Status::Inconclusive,
        value: None,
        comparison: objective.require.op.as_str().to_owned(),
        limit: None,
        reason: String::new(),
        advice: Vec::new(),
        budget: None,
        expression: objective.require.expression(range_ms),
        measure: objective.require.measure(range_ms),
        at_ms: window.map_or(0, |w| w.end_ms),
        description: objective.description.clone(),
        defined_at: shared.defined_at.to_owned(),
    }
}

fn judge_window(
    objective: &Objective,
    window: &Window,
    source: &dyn Source,
    shared: &Shared<'_>,
) -> Result<Vec<ObjectiveRow>, SourceError> {
    let range_ms = window.len_ms();
    let measured = samples(source.instant(&objective.require.measure(range_ms), window.end_ms)?);
    let limits = samples(source.instant(&objective.require.limit(range_ms), window.end_ms)?);
    let limit_for = |labels: &Labels| {
        let signature = objective.require.signature(labels);
        limits
            .iter()
            .find(|s| objective.require.signature(&s.labels) == signature)
            .and_then(|s| float(&s.value))
    };
    let mut rows = Vec::new();
    for sample in &measured {
        let mut row = blank(objective, Some(window), shared);
        row.labels = pairs(&sample.labels);
        row.limit = limit_for(&sample.labels);
        row.value = float(&sample.value).filter(|v| !v.is_nan());
        settle(&mut row, objective, &sample.value);
        if objective.error_budget {
            row.budget = budget::of(&row, objective, window, source)?;
        }
        rows.push(row);
    }
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    if rows.is_empty() {
        let mut row = blank(objective, Some(window), shared);
        row.limit = limit_for(&Labels::empty());
        row.reason = why_empty(objective, source)?;
        row.status = missing(objective);
        rows.push(row);
    }
    Ok(rows)
}

/// Compares, or says why that cannot be done.
fn settle(row: &mut ObjectiveRow, objective: &Objective, sample: &Value) {
    let (Some(value), Some(limit)) = (row.value, row.limit) else {
        row.status = missing(objective);
        row.reason = match (row.value, sample) {
            (Some(_), _) => format!("the limit `{}` has no value for these labels", objective.require.limit(0)),
            (None, Value::Histogram(_)) => {
                "the measured value is a native histogram; take histogram_quantile(…) or histogram_avg(…) of it"
                    .to_owned()
            }
            (None, Value::Float(_)) => "the measured value is NaN: there was nothing to divide by".to_owned(),
        };
        return;
    };
    if holds(objective.require.op, value, limit) {
        row.status = Status::Pass;
        return;
    }
    row.status = Status::Fail;
    row.reason = format!(
        "measured {}, required {} {}",
        units::quantity(value, &row.unit),
        row.comparison,
        units::quantity(limit, &row.unit)
    );
    if !objective.advice.is_empty() {
        row.advice.push(objective.advice.clone());
    }
}

fn missing(objective: &Objective) -> Status {
    match objective.on_missing {
        OnMissing::Inconclusive => Status::Inconclusive,
        OnMissing::Fail => Status::Fail,
        OnMissing::Skip => Status::Skipped,
    }
}

fn why_empty(objective: &Objective, source: &dyn Source) -> Result<String, SourceError> {
    let mut absent = Vec::new();
    for name in objective.require.metrics() {
        if !source.has_metric(name)? {
            absent.push(name.as_str());
        }
    }
    Ok(match absent.as_slice() {
        [] => "no sample of its series lies in the judged window".to_owned(),
        [one] => format!("the run has no series of {one}"),
        many => format!("the run has no series of {}", many.join(", ")),
    })
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(v) => Some(*v),
        Value::Histogram(_) => None,
    }
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}
