//! Makes a baseline file of runs. Invariant: the runs are of the same; what was measured of all of them decides later, and the newest
//! is described.

use std::path::{Path, PathBuf};

use assay_run::{Run, folder, time};
use assay_yaml::block;
use serde::Serialize;
use serde_json::Value;

use super::{
    describe::{Described, describe},
    fields::Fields,
    file::{FORMAT_VERSION, WrittenMeasure, WrittenRun, write_measures, write_run},
    names,
};
use crate::{
    compare::alike,
    data::RunData,
    eval::{EvalError, EvalOptions, judge_opened, standards_for},
    measure::{Batching, MeasuredRun, measure, of_objectives, of_steps_and_stages},
    verdict::{RunInfo, Verdict},
};

/// What a baseline is made from.
#[derive(Clone, Debug, Default)]
pub struct BaselineOptions {
    /// At least one run; a folder of runs means its newest that has ended.
    pub runs: Vec<PathBuf>,
    /// Rule files, by which the newest run is judged; if there are none and no SLA files, those of the run itself.
    pub rules: Vec<String>,
    /// SLA files, whose objectives are measured.
    pub slas: Vec<PathBuf>,
    /// Who measured.
    pub measured_by: String,
    /// What was done to the service to make it fast.
    pub applied: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// A baseline's text, and what is to be said about it.
pub struct Made {
    /// YAML.
    pub text: String,
    /// What makes it a doubtful baseline.
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
struct Card<'a> {
    format_version: u32,
    metadata: Fields,
    #[serde(flatten)]
    described: Described,
    runs: Vec<WrittenRun>,
    measures: Vec<WrittenMeasure<'a>>,
}

/// Measures runs and writes a baseline.
///
/// # Errors
/// Where a file is wrong, a run cannot be read, or the runs are not of the same.
pub fn make(options: &BaselineOptions) -> Result<Made, EvalError> {
    let paths: Vec<PathBuf> =
        options.runs.iter().map(|p| Ok(folder::choose(p, None)?.path)).collect::<Result<_, EvalError>>()?;
    let mut opened: Vec<(String, Run, RunInfo)> = Vec::new();
    for (name, path) in names(&paths).into_iter().zip(&paths) {
        let run = Run::open(path)?;
        let info = crate::eval::run_info(&run, &[], None)?;
        opened.push((name, run, info));
    }
    opened.sort_by_key(|(_, _, info)| info.start_ms);
    let warnings = check(&opened)?;
    let Some((described, run, info)) = opened.last() else {
        return Err(EvalError::Compare("a baseline needs at least one run".to_owned()));
    };
    let eval_options = EvalOptions {
        rules: options.rules.clone(),
        slas: options.slas.clone(),
        allow_incomplete: true,
        ..EvalOptions::new(&run.path)
    };
    let (files, slas) = standards_for(&eval_options)?;
    let verdict = judge_opened(run, info, &files, &slas, &eval_options)?;
    let card = describe(&RunData::new(&run.database, info), &verdict, &options.applied)?;
    let metadata = metadata(options, &opened, described, &verdict, !slas.is_empty(), &warnings);
    let mut measures = of_objectives(&slas);
    measures.extend(of_steps_and_stages());
    let names: Vec<String> = opened.iter().map(|(name, ..)| name.clone()).collect();
    let measured: Vec<MeasuredRun> = opened
        .into_iter()
        .map(|(_, run, info)| measure(&run, info, &measures, Batching::Several))
        .collect::<Result<_, _>>()?;
    let card = Card {
        format_version: FORMAT_VERSION,
        metadata,
        described: card,
        runs: names.iter().zip(&measured).map(|(name, m)| write_run(name, &m.info)).collect(),
        measures: write_measures(&names, &measured),
    };
    Ok(Made { text: written(&card)?, warnings })
}

fn written(card: &Card<'_>) -> Result<String, EvalError> {
    let json = serde_json::to_string(card).map_err(|e| EvalError::Baseline(e.to_string()))?;
    let title = "# A baseline: `ruleseval compare FILE RUN` holds a run against it, `ruleseval eval RUN --baseline FILE` judges relative\n\
                 # limits by it. `runs` and `measures` decide; everything above is for people, and may be edited.\n";
    Ok(format!("{title}{}", block::from_json(&json)?))
}

/// Refuses runs that are not of the same; says what makes the baseline doubtful.
fn check(opened: &[(String, Run, RunInfo)]) -> Result<Vec<String>, EvalError> {
    let mut warnings = Vec::new();
    for (name, _, info) in opened {
        let (first, _, base) = &opened[0];
        alike::check(base, info)
            .map_err(|e| EvalError::Compare(format!("{first} and {name} are not runs of the same: {e}")))?;
        warnings.extend(alike::warnings(base, info).into_iter().map(|w| format!("{first} and {name}: {w}")));
        if !info.is_whole() {
            warnings.push(format!("{name} did not run to its end: it was measured as far as it went"));
        }
    }
    Ok(warnings)
}

fn metadata(
    options: &BaselineOptions,
    opened: &[(String, Run, RunInfo)],
    described: &str,
    verdict: &Verdict,
    is_judged: bool,
    warnings: &[String],
) -> Fields {
    let of = |path: &str| verdict.run.manifest.pointer(path).cloned().unwrap_or_default();
    let span = opened.iter().fold((i64::MAX, i64::MIN), |(from, to), (_, _, info)| {
        (from.min(info.start_ms), to.max(info.end_ms))
    });
    let notes: Vec<String> = options.notes.iter().chain(warnings).cloned().collect();
    let command = of("/command")
        .as_array()
        .map(|words| words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    let judged = |text: &str| is_judged.then(|| text.to_owned());
    Fields::default()
        .with("scenario", verdict.run.scenario.clone())
        .with("mode", of("/mode"))
        .with("target", of("/target"))
        .with("measured_by", options.measured_by.clone())
        .with("measured_from", time::to_rfc3339(span.0))
        .with("measured_to", time::to_rfc3339(span.1))
        .with("run_count", opened.len())
        .with("described_run", described)
        .with("verdict", judged(verdict.status.as_str()))
        .with("summary", judged(&verdict.summary))
        .with("seed", of("/seed"))
        .with("command", command)
        .with("made_with", format!("{} {}", verdict.tool.name, verdict.tool.version))
        .with("notes", notes)
}

/// Whether a path can be a baseline file, by its name.
#[must_use]
pub fn is_baseline_name(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}
