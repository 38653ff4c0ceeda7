//! Objectives against a run. Invariant: every objective leaves at least one row for each of its windows, so that what
//! could not be measured is seen; a row passes only on data that are complete.

use std::collections::BTreeMap;

use assay_model::{Labels, Value};
use assay_promql::{Annotations, Severity};
use assay_yaml::{Diagnostic, Diagnostics};

use crate::{
    baseline::Baseline,
    data::{RunData, complete},
    measure::matched,
    parallel,
    sla::{Objective, OnMissing, Relative, Sla, holds},
    source::{RecordedSource, RemoteSource, Source, SourceError, samples},
    units,
    verdict::{ObjectiveRow, PhaseSource, RunInfo, Status, Window},
    windows::{self, UnknownPhase, Windows},
};

mod budget;
pub(crate) mod generator;
mod missing;
mod naming;
pub(crate) mod percentile;

pub(crate) use missing::near_name;

/// What is judged.
pub enum Subject<'a> {
    /// A run, in the verdict's view of it.
    Run(&'a RunData<'a>),
    /// What a server answers, as it answers it.
    Server(&'a RemoteSource),
}

/// What is added to the name of an objective's row that a relative limit has.
pub(crate) const AGAINST: &str = " against the baseline";

/// By what it is judged in addition to the SLA.
pub struct Terms<'a> {
    /// What is known of the run.
    pub run: &'a RunInfo,
    /// Its series.
    pub subject: Subject<'a>,
    /// What relative limits are relative to.
    pub baseline: Option<&'a Baseline>,
    /// Whether phases count that did not run to their end.
    pub allow_incomplete: bool,
}

/// The rows of one SLA, with why something was not judged, and notes.
#[derive(Debug, Default)]
pub struct Judged {
    /// By objective, then window, then labels.
    pub rows: Vec<ObjectiveRow>,
    /// The windows of the SLA's own phases.
    pub windows: Vec<Window>,
    /// Each makes the verdict inconclusive.
    pub problems: Vec<String>,
    /// What else should be known.
    pub notes: Vec<String>,
}

/// Why an SLA could not be judged by.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The SLA does not fit the run.
    #[error(transparent)]
    Sla(#[from] Diagnostics),
}

/// Judges the objectives of an SLA.
///
/// # Errors
/// If the source cannot be read, or the SLA names a phase that the scenario does not know.
pub fn judge(sla: &Sla, terms: &Terms<'_>) -> Result<Judged, JudgeError> {
    let mut judged = Judged::default();
    let select = |phases: &[String], position| {
        windows::select(terms.run, phases, terms.allow_incomplete).map_err(|e| unknown(sla, position, &e))
    };
    let common = select(&sla.judge.phases, sla.judge.phases_at)?;
    judged.problems.extend(common.problems.iter().cloned());
    judged.notes.extend(common.notes.iter().cloned());
    judged
        .notes
        .extend(common.skipped.iter().map(|s| format!("phase {} is not judged: {}", s.phase, s.reason)));
    judged.windows.clone_from(&common.list);
    let mut chosen = Vec::new();
    for objective in &sla.objectives {
        let own = match &objective.phases {
            Some(phases) => Some(select(phases, Some(objective.position))?),
            None => None,
        };
        chosen.push((objective, own));
    }
    let faults = faults(terms, chosen.iter().flat_map(|(_, own)| &own.as_ref().unwrap_or(&common).list))?;
    let rows = parallel::each(&chosen, |(objective, own)| {
        let shared = Shared { sla, terms, faults: &faults, objective };
        shared.rows(own.as_ref().unwrap_or(&common), own.is_some())
    })?;
    judged.rows = rows.into_iter().flatten().collect();
    naming::tell_apart(&mut judged.rows);
    Ok(judged)
}

/// The generator's faults by window.
type Faults = BTreeMap<(i64, i64), Option<String>>;

fn faults<'w>(terms: &Terms<'_>, windows: impl Iterator<Item = &'w Window>) -> Result<Faults, SourceError> {
    let Subject::Run(data) = terms.subject else { return Ok(Faults::new()) };
    let different: BTreeMap<(i64, i64), &Window> = windows.map(|w| ((w.start_ms, w.end_ms), w)).collect();
    let different: Vec<_> = different.into_iter().collect();
    let found = parallel::each(&different, |(key, window)| {
        let view = data.window(window);
        Ok::<_, SourceError>((*key, generator::fault(window, &RecordedSource::new(&view))?))
    })?;
    Ok(found.into_iter().collect())
}

fn unknown(sla: &Sla, position: Option<assay_yaml::Position>, error: &UnknownPhase) -> JudgeError {
    let mut problems = Diagnostics::default();
    problems.push(Diagnostic { file: sla.file.clone(), position, message: error.to_string() });
    JudgeError::Sla(problems)
}

/// What all rows of an objective share.
struct Shared<'a> {
    sla: &'a Sla,
    terms: &'a Terms<'a>,
    faults: &'a Faults,
    objective: &'a Objective,
}

impl Shared<'_> {
    fn rows(&self, windows: &Windows, own: bool) -> Result<Vec<ObjectiveRow>, SourceError> {
        let mut rows = Vec::new();
        for window in &windows.list {
            rows.extend(match self.terms.subject {
                Subject::Run(data) => self.in_run(window, data)?,
                Subject::Server(server) => self.measure(window, server, server, None)?,
            });
        }
        if own {
            let mut row = |status, phase: Option<&String>, reason: &str| {
                let mut row = self.blank(None);
                (row.status, row.phase, row.reason) = (status, phase.cloned(), reason.to_owned());
                rows.push(row);
            };
            windows.skipped.iter().for_each(|s| row(Status::Skipped, Some(&s.phase), &s.reason));
            windows.problems.iter().for_each(|p| row(Status::Inconclusive, None, p));
        }
        Ok(rows)
    }

    fn in_run(&self, window: &Window, data: &RunData<'_>) -> Result<Vec<ObjectiveRow>, SourceError> {
        let view = data.window(window);
        let source = RecordedSource::new(&view);
        let raw = RecordedSource::new(data.source());
        let mut rows = self.measure(window, &source, &raw, Some(data))?;
        let added = view.take_added();
        let fault = self.faults.get(&(window.start_ms, window.end_ms)).cloned().flatten();
        let reasons = self.undecided(window, data, fault)?;
        for row in &mut rows {
            row.added.clone_from(&added);
            undecide(row, &reasons, self.objective);
        }
        Ok(rows)
    }

    /// Why nothing can be decided of the objective in a window, whatever is measured.
    fn undecided(
        &self,
        window: &Window,
        data: &RunData<'_>,
        fault: Option<String>,
    ) -> Result<Vec<String>, SourceError> {
        let mut reasons: Vec<String> = window.incomplete.iter().cloned().collect();
        let has_edges = self.terms.run.phases_from != PhaseSource::None;
        for text in
            [self.objective.require.measure(window.len_ms()), self.objective.require.limit(window.len_ms())]
        {
            let Ok(expr) = assay_promql::parse(&text) else { continue };
            reasons.extend(complete::gaps(data, window, &expr, has_edges).map_err(SourceError::new)?);
        }
        reasons.extend(fault);
        Ok(reasons)
    }

    fn blank(&self, window: Option<&Window>) -> ObjectiveRow {
        let range_ms = window.map_or(0, Window::len_ms);
        let objective = self.objective;
        ObjectiveRow {
            sla: self.sla.name.clone(),
            name: objective.name.clone(),
            category: objective.category.clone(),
            unit: objective.unit.clone(),
            phase: window.and_then(|w| w.phase.clone()),
            labels: Vec::new(),
            named_by: Vec::new(),
            status: Status::Inconclusive,
            value: None,
            base: None,
            raw: None,
            added: Vec::new(),
            notes: Vec::new(),
            comparison: objective.require.op.as_str().to_owned(),
            limit: None,
            reason: String::new(),
            advice: Vec::new(),
            budget: None,
            expression: objective.require.expression(range_ms),
            measure: objective.require.measure(range_ms),
            at_ms: window.map_or(0, |w| w.end_ms),
            description: objective.description.clone(),
            defined_at: format!("{}:{}", self.sla.file, objective.position.line),
        }
    }

    /// One row for each series that is measured; `raw` answers what the run holds as it is.
    fn measure(
        &self,
        window: &Window,
        source: &dyn Source,
        raw: &dyn Source,
        data: Option<&RunData<'_>>,
    ) -> Result<Vec<ObjectiveRow>, SourceError> {
        let objective = self.objective;
        let range_ms = window.len_ms();
        let measure = objective.require.measure(range_ms);
        let measured = source.instant(&measure, window.end_ms)?;
        let (warnings, infos) = remarks(&measured.annotations, &measure);
        let limits = self.limits(window, source)?;
        let raw = samples(raw.instant(&measure, window.end_ms)?);
        let mut rows = Vec::new();
        let measured = samples(measured);
        for (key, at) in matched(measured.iter().enumerate().map(|(at, s)| (s.labels.to_pairs(), at))) {
            let sample = &measured[at];
            let mut row = self.blank(Some(window));
            row.labels = sample.labels.to_pairs();
            row.value = float(&sample.value).filter(|v| !v.is_nan());
            row.base = self.terms.baseline.and_then(|b| b.value(&row, &key));
            row.raw = raw.iter().find(|r| r.labels == sample.labels).and_then(|r| float(&r.value));
            row.notes.clone_from(&infos);
            row.notes.extend(percentile::note(&row, window, source)?);
            match limits.of(objective, &sample.labels) {
                Required::Nothing => {
                    row.status = Status::Skipped;
                    row.reason = format!("only reported in {}", window.title());
                }
                Required::Limit(limit) => {
                    row.limit = limit;
                    settle(&mut row, objective, &sample.value);
                }
            }
            if objective.error_budget {
                row.budget = budget::of(&row, objective, window, source)?;
            }
            undecide(&mut row, &warnings, objective);
            let relative = objective.relative.map(|r| self.relative(&row, r));
            rows.push(row);
            rows.extend(relative);
        }
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        if rows.is_empty() {
            let mut row = self.blank(Some(window));
            if let Required::Limit(limit) = limits.of(objective, &Labels::empty()) {
                row.limit = limit;
            }
            row.reason = match data {
                Some(data) => missing::why(objective, window, data)?,
                None => missing::why_on_server(objective, source)?,
            };
            row.status = when_missing(objective);
            undecide(&mut row, &warnings, objective);
            rows.push(row);
        }
        Ok(rows)
    }

    fn limits(&self, window: &Window, source: &dyn Source) -> Result<Limits, SourceError> {
        let of_phase = self.objective.limits.iter().find(|l| Some(&l.phase) == window.phase.as_ref());
        Ok(match of_phase.map(|l| l.value) {
            Some(None) => Limits::Nothing,
            Some(Some(limit)) => Limits::Number(limit),
            None => {
                let limit = self.objective.require.limit(window.len_ms());
                let found = samples(source.instant(&limit, window.end_ms)?);
                Limits::Series(found.into_iter().map(|s| (s.labels, float(&s.value))).collect())
            }
        })
    }

    /// The row of a value against the baseline's.
    fn relative(&self, row: &ObjectiveRow, relative: Relative) -> ObjectiveRow {
        let mut out = ObjectiveRow { name: format!("{}{AGAINST}", row.name), base: None, ..row.clone() };
        (out.reason, out.budget, out.advice) = (String::new(), None, Vec::new());
        (out.status, out.limit) = (Status::Inconclusive, None);
        let Some(baseline) = self.terms.baseline else {
            out.reason =
                "not judged: no baseline is given; give a run or a baseline file with --baseline".to_owned();
            return out;
        };
        let Some(base) = row.base else {
            out.reason = format!("{} has no value for it", baseline.name);
            return out;
        };
        let Some(value) = row.value else {
            out.reason.clone_from(&row.reason);
            return out;
        };
        let highest = relative.max.map(|part| base + part * base.abs());
        let lowest = relative.min.map(|part| base + part * base.abs());
        let too_high = highest.filter(|h| value > *h);
        let too_low = lowest.filter(|l| value < *l);
        let comparison = if too_low.is_some() || highest.is_none() { ">=" } else { "<=" };
        comparison.clone_into(&mut out.comparison);
        out.limit = if comparison == ">=" { lowest } else { highest };
        out.status = if too_high.is_none() && too_low.is_none() { Status::Pass } else { Status::Fail };
        if out.status == Status::Fail {
            let quantity = |v| units::quantity(v, &row.unit);
            out.reason = format!("measured {}, the baseline {}", quantity(value), quantity(base));
        }
        out
    }
}

/// The right sides of a comparison in a window.
enum Limits {
    Nothing,
    Number(f64),
    Series(Vec<(Labels, Option<f64>)>),
}

/// What is required of a series.
enum Required {
    /// Its value is only reported.
    Nothing,
    /// It is to be compared; `None` if its limit has no value.
    Limit(Option<f64>),
}

impl Limits {
    fn of(&self, objective: &Objective, labels: &Labels) -> Required {
        match self {
            Self::Nothing => Required::Nothing,
            Self::Number(limit) => Required::Limit(Some(*limit)),
            Self::Series(list) => {
                let signature = objective.require.signature(labels);
                let found = list.iter().find(|(l, _)| objective.require.signature(l) == signature);
                Required::Limit(found.and_then(|(_, limit)| *limit))
            }
        }
    }
}

/// Warnings and infos of a query, with their positions.
fn remarks(annotations: &Annotations, expression: &str) -> (Vec<String>, Vec<String>) {
    let (warnings, infos): (Vec<_>, Vec<_>) =
        annotations.iter().partition(|a| a.severity == Severity::Warning);
    let texts = |list: Vec<&assay_promql::Annotation>| list.iter().map(|a| a.text(expression)).collect();
    (texts(warnings), texts(infos))
}

/// Takes what was decided back, if there are reasons; what is only reported or left out stays so.
fn undecide(row: &mut ObjectiveRow, reasons: &[String], objective: &Objective) {
    let Some(first) = reasons.first() else { return };
    let skips = row.value.is_none() && objective.on_missing == OnMissing::Skip;
    if row.status == Status::Skipped && (skips || row.value.is_some()) {
        return;
    }
    row.status = Status::Inconclusive;
    let more = match reasons.len() {
        1 => String::new(),
        n => format!("; and {} more reasons", n - 1),
    };
    let outcome = if row.reason.is_empty() { String::new() } else { format!(" ({})", row.reason) };
    row.reason = format!("{first}{more}{outcome}");
}

/// Compares, or says why that cannot be done.
fn settle(row: &mut ObjectiveRow, objective: &Objective, sample: &Value) {
    let (Some(value), Some(limit)) = (row.value, row.limit) else {
        row.status = when_missing(objective);
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

fn when_missing(objective: &Objective) -> Status {
    match objective.on_missing {
        OnMissing::Inconclusive => Status::Inconclusive,
        OnMissing::Fail => Status::Fail,
        OnMissing::Skip => Status::Skipped,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(v) => Some(*v),
        Value::Histogram(_) => None,
    }
}
