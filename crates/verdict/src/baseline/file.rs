//! A baseline file's runs, in both directions. Invariant: what is written is what decides a comparison, to seven digits; everything
//! else in the file is for people.

use std::{collections::BTreeMap, path::Path};

use assay_run::time;
use assay_yaml::{Diagnostics, Document};
use serde::Serialize;

use super::read;
use crate::{
    eval::EvalError,
    measure::{Figure, Measure, MeasuredRun},
    verdict::RunInfo,
};

/// The version of the format that this program writes, and the latest that it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The runs that a baseline file was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineFile {
    /// At least one.
    pub runs: Vec<MeasuredRun>,
}

impl BaselineFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read; all that is wrong in it, with positions.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| EvalError::Files(Diagnostics::file(&name, format!("cannot be read: {e}"))))?;
        Self::parse(name, text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// All that is wrong in it, with positions.
    pub fn parse(name: String, text: String) -> Result<Self, EvalError> {
        let document = Document::parse(name, text)?;
        Ok(read::runs(&document)?)
    }

    /// What was measured, each once.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        let seen = |i: usize, m: &Measure| self.runs[..i].iter().any(|r| r.of(m).is_some());
        let all = self.runs.iter().enumerate().flat_map(|(i, r)| r.measured.iter().map(move |m| (i, m)));
        all.filter(move |(i, m)| !seen(*i, &m.measure)).map(|(_, m)| &m.measure)
    }
}

/// A run as the file has it.
#[derive(Serialize)]
pub(super) struct WrittenRun {
    name: String,
    start: String,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    phases: Vec<WrittenPhase>,
}

#[derive(Serialize)]
struct WrittenPhase {
    name: String,
    start: String,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    planned: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warmup: bool,
}

/// A measure with the figures of all runs.
#[derive(Serialize)]
pub(super) struct WrittenMeasure<'a> {
    #[serde(flatten)]
    measure: &'a Measure,
    figures: Vec<WrittenFigure<'a>>,
}

#[derive(Serialize)]
struct WrittenFigure<'a> {
    run: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a str>,
    length: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// By length, the shortest first, which the text of a length does not sort by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    batches: Vec<WrittenBatches>,
}

#[derive(Serialize)]
struct WrittenBatches {
    length: String,
    values: Vec<f64>,
}

/// The runs for the file, by name.
pub(super) fn write_run(name: &str, info: &RunInfo) -> WrittenRun {
    WrittenRun {
        name: name.to_owned(),
        start: time::to_rfc3339(info.start_ms),
        end: time::to_rfc3339(info.end_ms),
        outcome: match info.cut_short_ms {
            Some(_) => Some("interrupted".to_owned()),
            None => info.outcome.clone(),
        },
        phases: info
            .phases
            .iter()
            .map(|p| WrittenPhase {
                name: p.name.clone(),
                start: time::to_rfc3339(p.start_ms),
                end: time::to_rfc3339(p.end_ms),
                planned: p.planned_ms.map(assay_model::duration::format_ms),
                warmup: p.warmup,
            })
            .collect(),
    }
}

/// The measures of all runs, which have the same ones, for the file.
pub(super) fn write_measures<'a>(names: &'a [String], runs: &'a [MeasuredRun]) -> Vec<WrittenMeasure<'a>> {
    let Some(first) = runs.first() else { return Vec::new() };
    let of = |measure: &'a Measure| WrittenMeasure {
        measure,
        figures: names
            .iter()
            .zip(runs)
            .filter_map(|(name, run)| Some((name, run.of(measure)?)))
            .flat_map(|(name, m)| m.figures.iter().map(|f| write_figure(name, f)))
            .collect(),
    };
    first.measured.iter().map(|m| of(&m.measure)).collect()
}

fn write_figure<'a>(run: &'a str, figure: &'a Figure) -> WrittenFigure<'a> {
    WrittenFigure {
        run,
        phase: figure.phase.as_deref(),
        length: assay_model::duration::format_ms(figure.length_ms),
        labels: figure.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
        value: figure.value.map(seven_digits),
        batches: figure
            .batches
            .iter()
            .map(|b| WrittenBatches {
                length: assay_model::duration::format_ms(b.length_ms),
                values: b.values.iter().copied().map(seven_digits).collect(),
            })
            .collect(),
    }
}

/// A number to seven digits, which is more than any decision needs, and a third of the file.
fn seven_digits(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// A number to four digits, for people.
pub(super) fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
