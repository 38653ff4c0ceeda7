//! Baselines: what was measured once, for runs to be held against. As a file (`ruleseval baseline`) it is kept with the sources; an
//! SLA's relative limits take their base from one. Invariant: a value is compared with that of the same objective, phase and labels.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use assay_run::Run;

use crate::{
    compare::alike,
    eval::{EvalError, run_info},
    measure::{
        Batching, MeasuredRun, Pairs, measure, of_objectives,
        readings::{self, Reading},
    },
    sla::Sla,
    verdict::{ObjectiveRow, RunInfo, Verdict},
};

mod card;
mod describe;
mod fields;
mod file;
mod read;

pub use card::{BaselineOptions, Made, is_baseline_name, make};
pub use file::BaselineFile;

/// The measured values of a baseline.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The run or file, as messages show it.
    pub name: String,
    /// What it was measured of.
    infos: Vec<RunInfo>,
    values: Values<f64>,
}

/// Something of each series: by SLA, objective, phase and labels.
type Values<T> = BTreeMap<(String, String, Option<String>, Pairs), T>;

fn key(Reading { measure, phase, labels, .. }: Reading) -> (String, String, Option<String>, Pairs) {
    (measure.sla, measure.name, phase, labels)
}

impl Baseline {
    /// What a path holds: a run, measured by the SLAs that are judged by; a baseline file; or the JSON of a verdict.
    ///
    /// # Errors
    /// If it cannot be read, or is none of these.
    pub fn read(path: &Path, slas: &[Sla]) -> Result<Self, EvalError> {
        let name = path.display().to_string();
        if !path.is_file() {
            let run = Run::open(path)?;
            let info = run_info(&run, &[], None)?;
            let measured = measure(&run, info, &of_objectives(slas), Batching::Whole)?;
            return Ok(Self::of_runs(name, vec![measured]));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| EvalError::Baseline(format!("{name}: cannot be read: {e}")))?;
        if text.trim_start().starts_with('{') {
            let verdict = serde_json::from_str(&text)
                .map_err(|e| EvalError::Baseline(format!("{name}: not a verdict's JSON: {e}")))?;
            return Ok(Self::of_verdict(name, verdict));
        }
        Ok(Self::of_runs(name, BaselineFile::parse(path.display().to_string(), text)?.runs))
    }

    fn of_verdict(name: String, verdict: Verdict) -> Self {
        let readings = readings::of_verdict(&verdict).into_iter();
        let values = readings
            .map(|reading| {
                let value = reading.value;
                (key(reading), value)
            })
            .collect();
        Self { name, values, infos: vec![verdict.run] }
    }

    /// Of several runs the mean.
    fn of_runs(name: String, runs: Vec<MeasuredRun>) -> Self {
        let mut sums: Values<(f64, f64)> = BTreeMap::new();
        for reading in runs.iter().flat_map(readings::of_run) {
            let value = reading.value;
            let (sum, count) = sums.entry(key(reading)).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
        let values = sums.into_iter().map(|(key, (sum, count))| (key, sum / count)).collect();
        Self { name, values, infos: runs.into_iter().map(|r| r.info).collect() }
    }

    /// In what a run differs from it that may explain a change.
    ///
    /// # Errors
    /// If it is not of the same scenario, mode or plan: its values say nothing about the run.
    pub fn check(&self, run: &RunInfo) -> Result<Vec<String>, EvalError> {
        let mut warnings = Vec::new();
        for info in &self.infos {
            alike::check(info, run).map_err(|e| EvalError::Baseline(format!("{}: {e}", self.name)))?;
            let short = (!info.is_whole()).then(|| format!("{} did not run to its end", info.source));
            for warning in alike::warnings(info, run).into_iter().chain(short) {
                let text = format!("against {}: {warning}", self.name);
                if !warnings.contains(&text) {
                    warnings.push(text);
                }
            }
        }
        Ok(warnings)
    }

    /// The value for a row; `key` is its series among those of the objective in its phase, as [`crate::measure::matched`] has it.
    #[must_use]
    pub(crate) fn value(&self, row: &ObjectiveRow, key: &Pairs) -> Option<f64> {
        let key = (row.sla.clone(), row.name.clone(), row.phase.clone(), key.clone());
        self.values.get(&key).copied()
    }
}

/// The directories' names, each once: a second one of the same name has a number.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for path in paths {
        let name = path.canonicalize().unwrap_or_else(|_| path.clone());
        let name = name.file_name().map_or_else(|| "run".to_owned(), |n| n.to_string_lossy().into_owned());
        let mut free = name.clone();
        for number in 2.. {
            if !out.contains(&free) {
                break;
            }
            free = format!("{name}-{number}");
        }
        out.push(free);
    }
    out
}
