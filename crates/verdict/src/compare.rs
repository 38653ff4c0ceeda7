//! A run against a baseline. Invariant: a change is reported only if it is both unlikely to be chance and large enough to matter, and
//! "the same" only if it is surely less than twice what matters; else the answer is inconclusive, and says how long a run would
//! have to be.
//!
//! What is compared is each objective's value over the whole phase, as a verdict has it. How far it may be off, the phase's
//! batches say (`statistics`). Only what can get worse decides: a run that can only be better passes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use assay_run::Run;
use serde::Serialize;

use crate::{
    data::RunData,
    eval::{EvalError, read_files, run_info, standards_of},
    sla::{Objective, Sla},
    source::{RecordedSource, Source, SourceError, numbers, series},
    units,
    verdict::{RunInfo, Status, Window},
    windows,
};

mod alike;
mod effect;
mod statistics;

pub use effect::{Effect, EffectOf};

use statistics::{Decision, Difference, FEWEST, MOST_ALIKE, Sample};

/// How many batches a phase is cut into at first.
const BATCHES: i64 = 30;
/// The shortest batch.
const SHORTEST_MS: i64 = 3_000;

/// How to compare.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The baseline.
    pub base: PathBuf,
    /// The run that is held against it.
    pub new: PathBuf,
    /// The SLA files whose objectives' values are compared: paths, or patterns; if empty, those of the new run.
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
    /// The labels by which series of the two runs were matched.
    pub labels: Vec<(String, String)>,
    /// The outcome.
    pub change: Change,
    /// The value over the phase in the baseline, `null` without data.
    pub base: Option<f64>,
    /// The same in the new run.
    pub new: Option<f64>,
    /// The least change that matters, in the unit.
    pub matters: Option<f64>,
    /// How many batches have a value, in the baseline and the new run.
    pub batches: (usize, usize),
    /// The bounds of new − base, at the confidence of the comparison.
    pub interval: Option<(f64, f64)>,
    /// The p value of no change for the worse, corrected for the number of rows (Holm).
    pub p: Option<f64>,
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
    /// In what the runs differ that may explain a change.
    pub warnings: Vec<String>,
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
/// Where a file is wrong, a run cannot be read, or the two are not runs of the same.
pub fn compare(options: &CompareOptions) -> Result<Comparison, EvalError> {
    let slas = match options.slas.as_slice() {
        [] => standards_of(&options.new)?.1,
        given => read_files(&[], given)?.1,
    };
    if slas.is_empty() {
        return Err(EvalError::Compare("the new run brings no SLA along: give one with --sla".to_owned()));
    }
    let (base, new) = (Side::open(&options.base)?, Side::open(&options.new)?);
    if !options.force {
        alike::check(&base.info, &new.info).map_err(EvalError::Compare)?;
    }
    let mut rows = Vec::new();
    for sla in &slas {
        for objective in &sla.objectives {
            rows.extend(objective_rows(sla, objective, &base, &new, options)?);
        }
    }
    if let Some(one) = options.effects.iter().find(|e| e.names_none(&slas)) {
        return Err(EvalError::Compare(format!("--min-effect {one}: no SLA has such an objective")));
    }
    settle(&mut rows, options);
    Ok(Comparison {
        warnings: alike::warnings(&base.info, &new.info),
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

    /// The value of each series over the phase, as a verdict has it.
    fn values(&self, objective: &Objective, window: &Window) -> Result<BTreeMap<Labels, f64>, SourceError> {
        let data = RunData::new(&self.run.database, &self.info);
        let view = data.window(window);
        let measure = objective.require.measure(window.len_ms());
        let found = numbers(RecordedSource::new(&view).instant(&measure, window.end_ms)?);
        Ok(matched(found.map(|(labels, v)| (labels.to_pairs(), v))))
    }

    /// The values of each series over batches.
    fn batches(
        &self,
        objective: &Objective,
        window: &Window,
        length_ms: i64,
    ) -> Result<BTreeMap<Labels, Vec<f64>>, SourceError> {
        let source = RecordedSource::new(&self.run.database);
        let measure = objective.require.measure(length_ms);
        let found = series(source.range(&measure, window.start_ms + length_ms, window.end_ms, length_ms)?);
        Ok(matched(found.into_iter().map(|s| {
            let finite = s.samples.values.into_iter().filter(|v| v.is_finite()).collect();
            (s.labels.to_pairs(), finite)
        })))
    }
}

type Labels = Vec<(String, String)>;

/// The labels that say where something ran and not what it is: other ports, hosts and boards are the same thing in another run.
const PLACES: [&str; 5] = ["instance", "UUID", "Hostname", "pci_bus_id", "load_run"];

/// Series by what they are. Several that only differ in their place keep it, in order.
fn matched<T>(found: impl Iterator<Item = (Labels, T)>) -> BTreeMap<Labels, T> {
    let mut all: Vec<_> = found.collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let mut out = BTreeMap::new();
    for (labels, value) in all {
        let mut key: Labels = labels.into_iter().filter(|(n, _)| !PLACES.contains(&n.as_str())).collect();
        let count = out.keys().filter(|k: &&Labels| k.starts_with(&key)).count();
        if count > 0 {
            key.push(("number".to_owned(), (count + 1).to_string()));
        }
        out.insert(key, value);
    }
    out
}

/// A row before the correction for their number.
struct Draft {
    row: CompareRow,
    difference: Option<Difference>,
    /// Whether more is better.
    more_is_better: bool,
    length_ms: i64,
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
        let was = base.values(objective, other)?;
        let is = new.values(objective, &window)?;
        let (mut b, mut n) = (BTreeMap::new(), BTreeMap::new());
        for length_ms in batch_lengths_ms(options, other, &window) {
            (b, n) =
                (base.batches(objective, other, length_ms)?, new.batches(objective, &window, length_ms)?);
            if b.values().chain(n.values()).all(|v| statistics::likeness(v) <= MOST_ALIKE) {
                break;
            }
        }
        let mut labels: Vec<&Labels> = was.keys().chain(is.keys()).collect();
        labels.sort();
        labels.dedup();
        if labels.is_empty() {
            rows.push(draft(objective, &window, &Vec::new(), &[None, None], options));
        }
        for one in labels {
            let of = |values: &BTreeMap<Labels, f64>, batches: &BTreeMap<Labels, Vec<f64>>| {
                let value = *values.get(one)?;
                Some(Sample { value, batches: batches.get(one).cloned().unwrap_or_default() })
            };
            rows.push(draft(objective, &window, one, &[of(&was, &b), of(&is, &n)], options));
        }
    }
    Ok(rows)
}

/// The lengths of batches that are tried: twice as long each time, as long as there are enough.
fn batch_lengths_ms(options: &CompareOptions, base: &Window, new: &Window) -> impl Iterator<Item = i64> {
    let shorter_ms = base.len_ms().min(new.len_ms());
    let first_ms = options.batch_ms.unwrap_or_else(|| (shorter_ms / BATCHES / 1000 * 1000).max(SHORTEST_MS));
    let longest_ms = match options.batch_ms {
        Some(given_ms) => given_ms,
        None => first_ms.max(shorter_ms / FEWEST as i64),
    };
    std::iter::successors(Some(first_ms), |length_ms| Some(length_ms * 2))
        .take_while(move |length_ms| *length_ms <= longest_ms)
}

fn draft(
    objective: &Objective,
    window: &Window,
    labels: &Labels,
    samples: &[Option<Sample>; 2],
    options: &CompareOptions,
) -> Draft {
    let [base, new] = samples;
    let value = |sample: &Option<Sample>| sample.as_ref().map(|s| s.value);
    let count = |sample: &Option<Sample>| sample.as_ref().map_or(0, |s| s.batches.len());
    let batches = (count(base), count(new));
    let enough = batches.0 >= FEWEST && batches.1 >= FEWEST;
    let difference = match (base, new) {
        (Some(base), Some(new)) if enough => Some(Difference::of(base, new)),
        _ => None,
    };
    let (change, reason) = match (value(base), value(new)) {
        (None, None) => (Change::Skipped, "neither run has data".to_owned()),
        (None, Some(_)) => (Change::Inconclusive, "the baseline has no data".to_owned()),
        (Some(_), None) => (Change::Inconclusive, "the new run has no data".to_owned()),
        _ if enough => (Change::Same, String::new()),
        _ => (
            Change::Inconclusive,
            format!("{} and {} batches have a value; it takes {FEWEST} on either side", batches.0, batches.1),
        ),
    };
    let matters = value(base).map(|base| effect::least(objective, base, &options.effects));
    Draft {
        row: CompareRow {
            name: objective.name.clone(),
            unit: objective.unit.clone(),
            phase: window.phase.clone(),
            labels: labels.clone(),
            change,
            base: value(base),
            new: value(new),
            matters,
            batches,
            interval: difference.map(|d| d.interval(options.confidence)),
            p: None,
            reason,
        },
        difference,
        more_is_better: matches!(objective.require.op.as_str(), ">" | ">="),
        length_ms: window.len_ms(),
    }
}

/// Corrects the p values for their number and decides.
fn settle(rows: &mut [Draft], options: &CompareOptions) {
    let compared: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].difference.is_some()).collect();
    let worse = |draft: &Draft| draft.difference.map(|d| if draft.more_is_better { d.turned() } else { d });
    let values: Vec<f64> = compared.iter().filter_map(|i| worse(&rows[*i]).map(|d| d.p_above())).collect();
    for (i, p) in compared.into_iter().zip(statistics::holm(&values)) {
        let draft = &mut rows[i];
        let (Some(difference), Some(matters)) = (worse(draft), draft.row.matters) else { continue };
        let alarm = 1.0 - options.confidence;
        draft.row.p = Some(p);
        let better = difference.turned();
        draft.row.change = match difference.decide(matters, p, alarm) {
            Decision::Changed => Change::Regression,
            Decision::Same if better.shift > matters && better.p_above() < alarm => Change::Improvement,
            Decision::Same => Change::Same,
            Decision::Open { times } => {
                draft.row.reason = too_short(times, draft.length_ms);
                Change::Inconclusive
            }
        };
    }
}

/// What to do about a comparison that decides nothing.
fn too_short(times: f64, length_ms: i64) -> String {
    /// A phase that nobody would run.
    const TOO_LONG: f64 = 1_000.0;
    if !times.is_finite() || times > TOO_LONG {
        return "its spread is far wider than the change that would matter: no length of run decides it"
            .to_owned();
    }
    let length_ms = (times * length_ms as f64 / 60_000.0).ceil() * 60_000.0;
    format!(
        "its spread is wider than the change that would matter: a phase of about {} would decide",
        units::length(length_ms as i64)
    )
}
