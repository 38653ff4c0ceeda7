//! The whole way from a run and its files to a verdict. Invariant: nothing is evaluated unless every file was
//! read without a problem.

use std::path::{Path, PathBuf};

use assay_model::Queryable;
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, SlotMode, replay},
};
use assay_run::{OpenError, Run};
use assay_yaml::Diagnostics;

use crate::{
    charts::{self, Charts},
    judge,
    sla::{self, Judge, Sla},
    source::{RecordedSource, Source, SourceError},
    verdict::{AlertRow, FORMAT_VERSION, RunInfo, SlaInfo, Status, Tool, Verdict, Window},
    windows,
};

mod alerts;
mod info;
mod server;

pub use info::run_info;
pub use server::{ServerOptions, eval_server};

/// What to judge, and by what.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// A run directory, any Prometheus data directory, or a snapshot.
    pub run: PathBuf,
    /// Rule files: paths, or patterns as Prometheus takes them.
    pub rules: Vec<String>,
    /// SLA files.
    pub slas: Vec<PathBuf>,
    /// Where the slots of rule groups lie.
    pub slots: SlotMode,
    /// How often groups without an interval of their own are evaluated.
    pub interval_ms: i64,
    /// Whether the series that the HTML report draws are fetched.
    pub charts: bool,
    /// The command that gives the same verdict again, for the reports.
    pub command: String,
}

impl EvalOptions {
    /// The options that the command line has by default, for a run and no files yet.
    #[must_use]
    pub fn new(run: impl Into<PathBuf>) -> Self {
        Self {
            run: run.into(),
            rules: Vec::new(),
            slas: Vec::new(),
            slots: SlotMode::Start,
            interval_ms: 15_000,
            charts: false,
            command: String::new(),
        }
    }
}

/// A verdict, and what the HTML report draws beside it.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The verdict.
    pub verdict: Verdict,
    /// The charts; empty unless they were asked for.
    pub charts: Charts,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A rule or SLA file is wrong: all problems of all files.
    #[error(transparent)]
    Files(#[from] Diagnostics),
    /// The run cannot be opened.
    #[error(transparent)]
    Run(#[from] OpenError),
    /// The series cannot be read or evaluated.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Neither rules nor an SLA were given.
    #[error("there is nothing to judge by: give --rules, --sla or both")]
    NothingToJudgeBy,
}

/// Judges a run.
///
/// # Errors
/// See [`EvalError`]; a run that misses its objectives is no error.
pub fn eval(options: &EvalOptions) -> Result<Evaluation, EvalError> {
    let (files, slas) = read_files(&options.rules, &options.slas)?;
    let run = Run::open(&options.run)?;
    let info = run_info(&run);
    let data: &dyn Queryable = &run.database;
    let mut replay_options = ReplayOptions::new(info.start_ms, info.end_ms);
    replay_options.interval_ms = options.interval_ms;
    replay_options.slots = options.slots;
    let replayed = replay(data, &files, &replay_options);
    let source = RecordedSource::new(data);
    let mut verdict = judge_all(&info, &slas, &files, &replayed, &source)?;
    verdict.notes.extend(run.database.warnings().iter().map(ToString::to_string));
    verdict.tool.command.clone_from(&options.command);
    let charts = if options.charts { charts::query(&info, &slas, &source)? } else { Charts::default() };
    Ok(Evaluation { verdict, charts })
}

/// Reads all rule and SLA files.
///
/// # Errors
/// All problems of all of them, or that there is no file at all.
pub fn read_files(rules: &[String], slas: &[PathBuf]) -> Result<(RuleFiles, Vec<Sla>), EvalError> {
    if rules.is_empty() && slas.is_empty() {
        return Err(EvalError::NothingToJudgeBy);
    }
    let rules = RuleFiles::load(rules);
    let slas = sla::read_files(slas);
    match (rules, slas) {
        (Ok(rules), Ok(slas)) => Ok((rules, slas)),
        (Err(mut problems), Err(more)) => {
            problems.extend(more);
            Err(problems.into())
        }
        (Err(problems), _) | (_, Err(problems)) => Err(problems.into()),
    }
}

fn judge_all(
    info: &RunInfo,
    slas: &[Sla],
    files: &RuleFiles,
    replayed: &ReplayResult,
    source: &dyn Source,
) -> Result<Verdict, EvalError> {
    let mut verdict = blank_verdict(info, slas);
    verdict.notes.clone_from(&files.warnings);
    judge_objectives(&mut verdict, slas, info, source)?;
    if slas.is_empty() {
        let whole = windows::select(info, &[]);
        verdict.windows = whole.list;
        verdict.problems.extend(whole.problem);
    }
    let judges = severities(slas);
    let terms = alerts::Terms::new(&verdict.windows, &judges, info, replayed);
    let rows = alerts::rows(files, replayed, source, &terms)?;
    verdict.problems.extend(alerts::problems(&rows, files, replayed));
    verdict.alerts = rows;
    verdict.settle();
    Ok(verdict)
}

/// A verdict in which nothing was judged yet.
fn blank_verdict(info: &RunInfo, slas: &[Sla]) -> Verdict {
    Verdict {
        format_version: FORMAT_VERSION,
        status: Status::Inconclusive,
        summary: String::new(),
        run: info.clone(),
        slas: slas.iter().map(sla_info).collect(),
        windows: Vec::new(),
        objectives: Vec::new(),
        alerts: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        tool: Tool {
            name: "ruleseval".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
        },
    }
}

/// Adds the rows of all SLAs, with their windows, problems and notes.
fn judge_objectives(
    verdict: &mut Verdict,
    slas: &[Sla],
    info: &RunInfo,
    source: &dyn Source,
) -> Result<(), SourceError> {
    for sla in slas {
        let judged = judge::judge(sla, info, source)?;
        verdict.objectives.extend(judged.rows);
        add_new(&mut verdict.windows, judged.windows);
        verdict.problems.extend(judged.problems);
        verdict.notes.extend(judged.notes);
    }
    Ok(())
}

/// The alerting rules of a replay and the failed evaluations of any rule, where nothing is to be judged.
///
/// # Errors
/// Where the source cannot be read.
pub(crate) fn alerting_rows(
    info: &RunInfo,
    files: &RuleFiles,
    replayed: &ReplayResult,
    source: &dyn Source,
) -> Result<(Vec<AlertRow>, Vec<String>), SourceError> {
    let none = [Judge { phases: Vec::new(), fail_on_alerts: Vec::new() }];
    let terms = alerts::Terms::new(&[], &none, info, replayed);
    let rows = alerts::rows(files, replayed, source, &terms)?;
    Ok((rows, alerts::failed_evaluations(files, replayed)))
}

/// The severities that fail a run, each with the phases in which they do.
fn severities(slas: &[Sla]) -> Vec<Judge> {
    if slas.is_empty() { vec![Judge::default()] } else { slas.iter().map(|s| s.judge.clone()).collect() }
}

fn add_new(list: &mut Vec<Window>, more: Vec<Window>) {
    for window in more {
        if !list.contains(&window) {
            list.push(window);
        }
    }
    list.sort_by_key(|w| (w.start_ms, w.end_ms));
}

fn sla_info(sla: &Sla) -> SlaInfo {
    SlaInfo {
        name: sla.name.clone(),
        file: sla.file.clone(),
        fail_on_alerts: sla.judge.fail_on_alerts.clone(),
    }
}

/// The path as reports show it.
pub(crate) fn display(path: &Path) -> String {
    path.display().to_string()
}
