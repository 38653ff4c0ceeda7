//! A run against a baseline. Invariant: a difference is reported only where it is both unlikely to be chance and large
//! enough to matter; where the data could hide one that matters, the answer is inconclusive.
//!
//! Each objective's measured value is taken over short windows that do not overlap, in the same phases of both
//! runs: single requests are far too dependent on each other for a test, and one number a run has no spread.

use std::path::{Path, PathBuf};

use assay_run::Run;
use serde::Serialize;

use crate::{
    eval::{EvalError, run_info},
    sla::{self, Objective, Sla},
    source::{RecordedSource, Source, SourceError, series},
    verdict::{RunInfo, Status, Window},
    windows,
};

mod statistics;

/// The fewest windows on either side that a comparison is made with.
const LEAST_WINDOWS: usize = 8;

/// How to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The baseline.
    pub base: PathBuf,
    /// The run that is held against it.
    pub new: PathBuf,
    /// The objectives whose values are compared; their limits are not looked at.
    pub slas: Vec<PathBuf>,
    /// The length of a window; `None` for a thirtieth of the phase, and at least five seconds.
    pub window_ms: Option<i64>,
    /// The confidence of the interval, and one less the chance of a false alarm.
    pub confidence: f64,
    /// The least relative change that matters, such as 0.05.
    pub min_effect: f64,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Worse by enough to matter.
    Regression,
    /// Better by enough to matter.
    Improvement,
    /// No change that matters.
    Same,
    /// The data could hide a change that matters.
    Inconclusive,
    /// There is no data on either side.
    Skipped,
}

impl Change {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Improvement => "improvement",
            Self::Same => "same",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
        }
    }
}

/// One objective in one phase, in both runs.
#[derive(Clone, Debug, Serialize)]
pub struct CompareRow {
    /// The objective's name.
    pub name: String,
    /// Its unit, or empty.
    pub unit: String,
    /// The phase, or `None` for the whole run.
    pub phase: Option<String>,
    /// The labels of the series.
    pub labels: Vec<(String, String)>,
    /// The outcome.
    pub change: Change,
    /// The median over the windows of the baseline, `null` without data.
    pub base_median: Option<f64>,
    /// The median over the windows of the new run.
    pub new_median: Option<f64>,
    /// How many windows have a value, in the baseline and the new run.
    pub windows: (usize, usize),
    /// The shift from base to new (Hodges–Lehmann) and its confidence interval.
    pub shift: Option<(f64, f64, f64)>,
    /// The p value, corrected for the number of rows (Holm).
    pub p: Option<f64>,
    /// Cliff's delta, from -1 to 1.
    pub delta: Option<f64>,
    /// Why, where that is not plain.
    pub reason: String,
}

/// A whole comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The baseline as given.
    pub base: String,
    /// The new run as given.
    pub new: String,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// By objective, phase and labels.
    pub rows: Vec<CompareRow>,
}

impl Comparison {
    /// Fail where anything regressed, else inconclusive where anything is, else pass.
    #[must_use]
    pub fn status(&self) -> Status {
        let has = |change| self.rows.iter().any(|r| r.change == change);
        if has(Change::Regression) {
            Status::Fail
        } else if has(Change::Inconclusive) || !self.rows.iter().any(|r| r.change != Change::Skipped) {
            Status::Inconclusive
        } else {
            Status::Pass
        }
    }
}

/// Compares two runs.
///
/// # Errors
/// Where a file is wrong or a run cannot be read.
pub fn compare(options: &CompareOptions) -> Result<Comparison, EvalError> {
    let slas = sla::read_files(&options.slas)?;
    let (base, new) = (Side::open(&options.base)?, Side::open(&options.new)?);
    let mut rows = Vec::new();
    for sla in &slas {
        for objective in &sla.objectives {
            rows.extend(objective_rows(sla, objective, &base, &new, options)?);
        }
    }
    settle(&mut rows, options);
    Ok(Comparison {
        base: base.info.source,
        new: new.info.source,
        confidence: options.confidence,
        rows: rows.into_iter().map(|r| r.row).collect(),
    })
}

struct Side {
    run: Run,
    info: RunInfo,
}

impl Side {
    fn open(path: &Path) -> Result<Self, EvalError> {
        let run = Run::open(path)?;
        let info = run_info(&run, &[], None)?;
        Ok(Self { run, info })
    }

    fn windows(&self, phases: &[String]) -> Vec<Window> {
        windows::select(&self.info, phases, true).unwrap_or_default().list
    }

    /// The values of each series over windows that do not overlap.
    fn values(&self, objective: &Objective, window: &Window, length_ms: i64) -> Result<Values, SourceError> {
        let source = RecordedSource::new(&self.run.database);
        let measure = objective.require.measure(length_ms);
        let found = source.range(&measure, window.start_ms + length_ms, window.end_ms, length_ms)?;
        Ok(series(found)
            .into_iter()
            .map(|s| {
                let labels = s.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
                (labels, s.samples.values.into_iter().filter(|v| v.is_finite()).collect())
            })
            .collect())
    }
}

type Labels = Vec<(String, String)>;
type Values = Vec<(Labels, Vec<f64>)>;

/// A row before the correction for their number.
struct Draft {
    row: CompareRow,
    difference: Option<statistics::Difference>,
    /// Whether more is better.
    more_is_better: bool,
}

fn objective_rows(
    sla: &Sla,
    objective: &Objective,
    base: &Side,
    new: &Side,
    options: &CompareOptions,
) -> Result<Vec<Draft>, SourceError> {
    let phases = objective.phases.as_ref().unwrap_or(&sla.judge.phases);
    let mut rows = Vec::new();
    let others = base.windows(phases);
    for window in new.windows(phases) {
        let Some(other) = others.iter().find(|w| w.phase == window.phase) else { continue };
        let shorter_ms = window.len_ms().min(other.len_ms());
        let length_ms = options.window_ms.unwrap_or_else(|| (shorter_ms / 30 / 1000 * 1000).max(5_000));
        let was = base.values(objective, other, length_ms)?;
        let is = new.values(objective, &window, length_ms)?;
        let mut labels: Vec<&Labels> = was.iter().chain(&is).map(|(l, _)| l).collect();
        labels.sort();
        labels.dedup();
        if labels.is_empty() {
            rows.push(draft(objective, &window, &Vec::new(), (&[], &[]), options));
        }
        for one in labels {
            let of = |side: &Values| {
                side.iter().find(|(l, _)| l == one).map_or_else(Vec::new, |(_, values)| values.clone())
            };
            rows.push(draft(objective, &window, one, (&of(&was), &of(&is)), options));
        }
    }
    Ok(rows)
}

fn draft(
    objective: &Objective,
    window: &Window,
    labels: &Labels,
    (base, new): (&[f64], &[f64]),
    options: &CompareOptions,
) -> Draft {
    let enough = base.len() >= LEAST_WINDOWS && new.len() >= LEAST_WINDOWS;
    let difference = enough.then(|| statistics::compare(base, new, options.confidence));
    let median = |values: &[f64]| (!values.is_empty()).then(|| statistics::median(values));
    let (change, reason) = match (base.len(), new.len()) {
        (0, 0) => (Change::Skipped, "neither run has data".to_owned()),
        _ if enough => (Change::Same, String::new()),
        (b, n) => (
            Change::Inconclusive,
            format!("{b} and {n} windows have a value; it takes {LEAST_WINDOWS} on either side"),
        ),
    };
    Draft {
        row: CompareRow {
            name: objective.name.clone(),
            unit: objective.unit.clone(),
            phase: window.phase.clone(),
            labels: labels.clone(),
            change,
            base_median: median(base),
            new_median: median(new),
            windows: (base.len(), new.len()),
            shift: difference.map(|d| (d.shift, d.low, d.high)),
            p: None,
            delta: difference.map(|d| d.delta),
            reason,
        },
        difference,
        more_is_better: matches!(objective.require.op.as_str(), ">" | ">="),
    }
}

/// Corrects the p values for their number and decides.
fn settle(rows: &mut [Draft], options: &CompareOptions) {
    let compared: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].difference.is_some()).collect();
    let values: Vec<f64> = compared.iter().filter_map(|i| rows[*i].difference.map(|d| d.p)).collect();
    for (i, p) in compared.into_iter().zip(statistics::holm(&values)) {
        let draft = &mut rows[i];
        let Some(difference) = draft.difference else { continue };
        draft.row.p = Some(p);
        // What matters is relative to the baseline; from a baseline of nothing every change does.
        let matters = options.min_effect * draft.row.base_median.unwrap_or_default().abs();
        let significant = p < 1.0 - options.confidence;
        let large = difference.shift.abs() > matters;
        let within = difference.low.abs() <= matters && difference.high.abs() <= matters;
        draft.row.change = if significant && large {
            let better = (difference.shift > 0.0) == draft.more_is_better;
            if better { Change::Improvement } else { Change::Regression }
        } else if significant || within {
            Change::Same
        } else {
            "the spread is wider than the change that would matter: run longer"
                .clone_into(&mut draft.row.reason);
            Change::Inconclusive
        };
    }
}
