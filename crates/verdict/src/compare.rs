//! Runs against a baseline. Invariant: a change is reported only if it is both unlikely to be chance and large enough to matter, and
//! "the same" only if it is surely less than twice what matters; else the answer is inconclusive, and says how long a run would
//! have to be, or how many there would have to be.
//!
//! What is compared is each objective's value over the whole phase, as a verdict has it, and so are steps and stages. How far it
//! may be off, the phase's batches say, or how far several runs of a side differ (`statistics`). Only what can get worse decides: a
//! run that can only be better passes. Steps and stages explain; they decide only if there is no objective.

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    eval::{EvalError, read_files},
    measure::{self, Batching, Measure, MeasuredRun, Pairs, Part},
    verdict::{RunInfo, Status, titled},
};

pub(crate) mod alike;
pub(crate) mod effect;
mod rows;
mod side;
mod statistics;

pub use effect::{Effect, EffectOf};

use rows::{Draft, Sides, settle};
use side::Given;

/// How to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The baseline: runs, or files of them.
    pub base: Vec<PathBuf>,
    /// The runs that are held against it.
    pub new: Vec<PathBuf>,
    /// The SLA files whose objectives' values are compared: paths, or patterns; if empty, those of the new run, else of the
    /// baseline.
    pub slas: Vec<PathBuf>,
    /// The length of a batch; `None` for what the data need.
    pub batch_ms: Option<i64>,
    /// The confidence of intervals, and one less how often two runs of the same may be taken for a regression.
    pub confidence: f64,
    /// The least changes that matter.
    pub effects: Vec<EffectOf>,
    /// Whether runs of different scenarios, modes or plans are compared.
    pub force: bool,
}

impl CompareOptions {
    /// The options that the command line has by default.
    #[must_use]
    pub fn new(base: impl Into<PathBuf>, new: impl Into<PathBuf>) -> Self {
        Self {
            base: vec![base.into()],
            new: vec![new.into()],
            slas: Vec::new(),
            batch_ms: None,
            confidence: 0.95,
            effects: Vec::new(),
            force: false,
        }
    }
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

/// One measure in one phase, on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct CompareRow {
    /// What it is about.
    pub part: Part,
    /// The objective's name, or that of the figure.
    pub name: String,
    /// Its unit, or empty.
    pub unit: String,
    /// The phase, or `None` for the whole run.
    pub phase: Option<String>,
    /// The labels by which series of the two sides were matched.
    pub labels: Pairs,
    /// The outcome.
    pub change: Change,
    /// The value over the phase in the baseline, of several runs their mean; `null` without data.
    pub base: Option<f64>,
    /// The same in the new runs.
    pub new: Option<f64>,
    /// The least change that matters, in the unit.
    pub matters: Option<f64>,
    /// How many runs have a value, in the baseline and the new runs.
    pub runs: (usize, usize),
    /// How many batches have a value, over all runs of a side.
    pub batches: (usize, usize),
    /// The bounds of new − base, at the confidence of the comparison.
    pub interval: Option<(f64, f64)>,
    /// The p value of no change for the worse, corrected for the number of rows of its part (Holm).
    pub p: Option<f64>,
    /// Why, where that is not plain.
    pub reason: String,
}

impl CompareRow {
    /// The name with the labels, as reports show it: of steps and stages `query p99`.
    #[must_use]
    pub fn title(&self) -> String {
        match (self.part, self.labels.as_slice()) {
            (Part::Step | Part::Stage, [(_, value)]) => format!("{value} {}", self.name),
            _ => titled(&self.name, &self.labels),
        }
    }
}

/// A whole comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The outcome: that of [`Comparison::status`].
    pub status: Status,
    /// The baseline's runs.
    pub base: Vec<String>,
    /// The new runs.
    pub new: Vec<String>,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// What the rows that decide are about.
    pub decided_by: Part,
    /// In what the runs differ that may explain a change, and what could not be compared.
    pub warnings: Vec<String>,
    /// By part, then measure, phase and labels.
    pub rows: Vec<CompareRow>,
}

impl Comparison {
    /// The rows of a part.
    pub fn of(&self, part: Part) -> impl Iterator<Item = &CompareRow> {
        self.rows.iter().filter(move |r| r.part == part)
    }

    /// Fail where anything that decides regressed, else inconclusive where anything is, else pass.
    fn settle(mut self) -> Self {
        let has = |change| self.of(self.decided_by).any(|r| r.change == change);
        self.status = if has(Change::Regression) {
            Status::Fail
        } else if has(Change::Inconclusive) || self.of(self.decided_by).all(|r| r.change == Change::Skipped) {
            Status::Inconclusive
        } else {
            Status::Pass
        };
        self
    }
}

/// Compares runs with a baseline.
///
/// # Errors
/// Where a file is wrong, a run cannot be read, or the two sides are not of the same.
pub fn compare(options: &CompareOptions) -> Result<Comparison, EvalError> {
    let (base, new) = (side::open(&options.base)?, side::open(&options.new)?);
    let infos = |side: &[Given]| side.iter().flat_map(Given::infos).cloned().collect::<Vec<_>>();
    let all = (infos(&base), infos(&new));
    if !options.force {
        check(&all.0, &all.1)?;
    }
    let measures = measures(options, &base, &new)?;
    if let Some(one) = options.effects.iter().find(|e| e.names_none(&measures)) {
        return Err(EvalError::Compare(format!("--min-effect {one}: there is no such objective")));
    }
    let batching = match options.batch_ms {
        Some(_) if base.iter().chain(&new).any(|g| matches!(g, Given::File(_))) => {
            let what = "--batch: a baseline file has the batches that it was made with; leave it out";
            return Err(EvalError::Compare(what.to_owned()));
        }
        Some(length_ms) => Batching::Of(length_ms),
        None => Batching::Several,
    };
    let measured = |side: Vec<Given>| {
        let runs: Vec<Vec<MeasuredRun>> =
            side.into_iter().map(|g| g.measured(&measures, batching)).collect::<Result<_, _>>()?;
        Ok::<_, EvalError>(runs.into_iter().flatten().collect::<Vec<_>>())
    };
    let (base, new) = (measured(base)?, measured(new)?);
    let sides = Sides { base: &base, new: &new, options };
    let mut rows: Vec<Draft> = measures.iter().flat_map(|m| sides.rows(m)).collect();
    for part in Part::ALL {
        settle(&mut rows, part, options);
    }
    let sources = |infos: Vec<RunInfo>| infos.into_iter().map(|i| i.source).collect();
    Ok(Comparison {
        status: Status::Inconclusive,
        warnings: sides.warnings(),
        base: sources(all.0),
        new: sources(all.1),
        confidence: options.confidence,
        decided_by: decided_by(&measures),
        rows: rows.into_iter().map(|r| r.row).collect(),
    }
    .settle())
}

/// Objectives, or if there are none, steps.
fn decided_by(measures: &[Measure]) -> Part {
    measures.first().map_or(Part::Step, |m| m.part)
}

/// Refuses runs that are not runs of the same.
fn check(base: &[RunInfo], new: &[RunInfo]) -> Result<(), EvalError> {
    let Some(first) = base.first() else {
        return Err(EvalError::Compare("the baseline has no run".to_owned()));
    };
    for other in base[1..].iter().chain(new) {
        alike::check(first, other)
            .map_err(|what| EvalError::Compare(format!("{what}; --force compares them all the same")))?;
    }
    Ok(())
}

/// What is measured: the objectives of the SLAs that are given, else those that the new side brings along, else the baseline's;
/// and steps and stages.
fn measures(options: &CompareOptions, base: &[Given], new: &[Given]) -> Result<Vec<Measure>, EvalError> {
    let mut all = match options.slas.as_slice() {
        [] => {
            let mut found = Vec::new();
            for given in new.iter().chain(base) {
                found = given.measures()?;
                if !found.is_empty() {
                    break;
                }
            }
            found
        }
        given => measure::of_objectives(&read_files(&[], given)?.1),
    };
    all.extend(measure::of_steps_and_stages());
    Ok(all)
}
