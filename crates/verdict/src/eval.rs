//! The whole way from a run and its files to a verdict. Invariant: nothing is evaluated unless every file was
//! read without a problem, and every pattern matched a file.

use std::path::{Path, PathBuf};

use assay_model::{QueryError, Queryable};
use assay_promql::Memory;
use assay_rules::{
    file::{RuleFiles, expand},
    replay::SlotMode,
};
use assay_run::{OpenError, Run, failures::Failure, traces::Span};
use assay_yaml::{Diagnostic, Diagnostics};

use crate::{
    alerts::{self, Counting, Replaying},
    baseline::Baseline,
    charts::{self, Charts},
    data::RunData,
    findings::{self, Kind},
    judge::{self, JudgeError, Subject, Terms},
    parallel,
    scaling::{self, Scaling},
    sla::{self, Judge, Sla},
    source::{RecordedSource, SourceError},
    tables::{self, Tables},
    verdict::{FORMAT_VERSION, RunInfo, SlaInfo, Status, Tool, Verdict, Window},
    windows,
};

mod fetch;
mod info;
mod live;
mod notes;
mod server;

pub use fetch::{FetchOptions, eval_fetched};
pub use info::{GivenPhase, run_info};
pub use live::{InProgress, eval_in_progress};
pub use server::{ServerOptions, eval_server};

/// What to judge, and by what.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// A run directory, any Prometheus data directory, or a snapshot.
    pub run: PathBuf,
    /// Rule files: paths, or patterns as Prometheus takes them. Without rules and SLA files, those of the run itself.
    pub rules: Vec<String>,
    /// SLA files: paths, or patterns.
    pub slas: Vec<PathBuf>,
    /// Where the slots of rule groups are.
    pub slots: SlotMode,
    /// How often groups without an interval of their own are evaluated.
    pub interval_ms: i64,
    /// The phases, if the run does not tell them or they are not to be its own.
    pub phases: Vec<GivenPhase>,
    /// The stretch of time that is judged, if it is not all that there are samples of.
    pub range_ms: Option<(i64, i64)>,
    /// Whether phases are judged that did not run to their end.
    pub allow_incomplete: bool,
    /// What is not looked for.
    pub no_findings: Vec<Kind>,
    /// What relative limits are relative to: a run, a baseline file, or the JSON of a verdict.
    pub baseline: Option<PathBuf>,
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
            phases: Vec::new(),
            range_ms: None,
            allow_incomplete: false,
            no_findings: Vec::new(),
            baseline: None,
            charts: false,
            command: String::new(),
        }
    }

    pub(crate) fn replaying(&self) -> Replaying {
        Replaying { interval_ms: self.interval_ms, slots: self.slots }
    }
}

/// A verdict, and what the HTML report draws with it.
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
    /// A rule or SLA file is wrong, or does not fit the run: all problems of all files.
    #[error(transparent)]
    Files(#[from] Diagnostics),
    /// The run cannot be opened.
    #[error(transparent)]
    Run(#[from] OpenError),
    /// The series cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] assay_run::pull::PullError),
    /// The series cannot be read or evaluated.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The baseline cannot be read.
    #[error("the baseline: {0}")]
    Baseline(String),
    /// Two runs cannot be compared as was asked.
    #[error("{0}")]
    Compare(String),
    /// Neither rules nor an SLA were given.
    #[error("there is nothing to judge by: give --rules, --sla or both")]
    NothingToJudgeBy,
}

impl From<JudgeError> for EvalError {
    fn from(error: JudgeError) -> Self {
        match error {
            JudgeError::Source(e) => Self::Source(e),
            JudgeError::Sla(e) => Self::Files(e),
        }
    }
}

impl From<QueryError> for EvalError {
    fn from(error: QueryError) -> Self {
        Self::Source(SourceError::new(error))
    }
}

/// Judges a run.
///
/// # Errors
/// See [`EvalError`]; a run that misses its objectives is no error.
pub fn eval(options: &EvalOptions) -> Result<Evaluation, EvalError> {
    let (rules, slas) = own_files(options);
    let (files, slas) = read_files(&rules, &slas)?;
    let baseline = options.baseline.as_deref().map(|path| Baseline::read(path, &slas)).transpose()?;
    let run = Run::open(&options.run)?;
    let info = run_info(&run, &options.phases, options.range_ms)?;
    let (record, baseline) = (&Record::of(&run), baseline.as_ref());
    Case { record, info: &info, files: &files, slas: &slas, baseline, options }.evaluate()
}

/// What to judge by: the files that were given, else those that the run brings along; nothing if it brings nothing.
///
/// # Errors
/// All problems of all files.
pub(crate) fn standards_for(options: &EvalOptions) -> Result<(RuleFiles, Vec<Sla>), EvalError> {
    let (rules, slas) = own_files(options);
    if rules.is_empty() && slas.is_empty() {
        return Ok(Default::default());
    }
    read_files(&rules, &slas)
}

/// The verdict on a run that is open already.
///
/// # Errors
/// As [`eval`].
pub(crate) fn judge_opened(
    run: &Run,
    info: &RunInfo,
    files: &RuleFiles,
    slas: &[Sla],
    options: &EvalOptions,
) -> Result<Verdict, EvalError> {
    let record = &Record::of(run);
    Ok(Case { record, info, files, slas, baseline: None, options }.evaluate()?.verdict)
}

/// What there is to judge: series, and what its keepers remark on.
struct Record<'a> {
    data: &'a dyn Queryable,
    notes: Vec<String>,
    warnings: Vec<String>,
    failures: Vec<Failure>,
    spans: Vec<Span>,
    is_in_progress: bool,
}

impl<'a> Record<'a> {
    fn of(run: &'a Run) -> Self {
        Self {
            data: &run.database,
            notes: run.manifest.as_ref().map(|m| m.notes.clone()).unwrap_or_default(),
            warnings: run.database.warnings().iter().map(ToString::to_string).collect(),
            failures: assay_run::failures::read(&run.path),
            spans: assay_run::traces::read(&run.path),
            is_in_progress: false,
        }
    }
}

/// What a run brings along to be judged by; nothing if it brings nothing.
///
/// # Errors
/// All problems of all of its files.
pub fn standards_of(run: &Path) -> Result<(RuleFiles, Vec<Sla>), EvalError> {
    standards_for(&EvalOptions::new(run))
}

/// The files to judge by: those that were given, else those that the run brings along.
fn own_files(options: &EvalOptions) -> (Vec<String>, Vec<PathBuf>) {
    if !options.rules.is_empty() || !options.slas.is_empty() {
        return (options.rules.clone(), options.slas.clone());
    }
    let within = |folder: &str| options.run.join(folder).join("*.yml");
    let has = |folder: &str| {
        let entries = std::fs::read_dir(options.run.join(folder)).into_iter().flatten().flatten();
        entries.into_iter().any(|e| e.path().extension().is_some_and(|x| x == "yml"))
    };
    let rules = if has("rules") { vec![within("rules").display().to_string()] } else { Vec::new() };
    let slas = if has("sla") { vec![within("sla")] } else { Vec::new() };
    (rules, slas)
}

/// What is judged, and by what.
#[derive(Clone, Copy)]
struct Case<'a> {
    record: &'a Record<'a>,
    info: &'a RunInfo,
    files: &'a RuleFiles,
    slas: &'a [Sla],
    baseline: Option<&'a Baseline>,
    options: &'a EvalOptions,
}

impl Case<'_> {
    fn evaluate(self) -> Result<Evaluation, EvalError> {
        let Self { record, info, files, slas, options, .. } = self;
        check_alerts(files, slas)?;
        let data = RunData::new(record.data, info);
        let shown = || {
            let charts = || charts::query(info, slas, &RecordedSource::new(data.source()));
            let charts = if options.charts { charts()? } else { Charts::default() };
            Ok::<_, EvalError>((tables::tables(&data, info)?, charts))
        };
        // What is shown does not depend on what is judged.
        let judged = || self.verdict(&data);
        let memory = Memory::of_process();
        let (judged, shown) = parallel::with_room(&memory, || parallel::both(judged, shown));
        let (mut verdict, (tables, charts)) = (judged?, shown?);
        verdict.tables = tables;
        Ok(Evaluation { verdict, charts })
    }

    /// The verdict but for its tables.
    fn verdict(self, data: &RunData<'_>) -> Result<Verdict, EvalError> {
        let Self { record, info, files, slas, baseline, options } = self;
        let mut verdict = blank_verdict(info, slas);
        if let Some(baseline) = baseline {
            verdict.notes.extend(baseline.check(info)?);
        }
        verdict.baseline = baseline.map(|b| b.name.clone());
        verdict.failures.clone_from(&record.failures);
        verdict.notes.extend(files.warnings.iter().cloned());
        verdict.notes.extend(files.ignored_keys());
        let terms = Terms {
            run: info,
            subject: Subject::Run(data),
            baseline,
            allow_incomplete: options.allow_incomplete,
        };
        judge_objectives(&mut verdict, slas, &terms)?;
        self.judge_alerts(&mut verdict, data)?;
        verdict.notes.extend(record.notes.iter().cloned());
        verdict.notes.extend(notes::of_run(data.source(), info, &verdict)?);
        verdict.notes.extend(record.warnings.iter().cloned());
        verdict.settle();
        // Levels of load are compared once all of them are over.
        if !record.is_in_progress {
            verdict.scaling = scaling::scaling(data, &verdict, slas)?;
        }
        verdict.findings = findings::find(data, &verdict, &record.spans, &options.no_findings)?;
        verdict.tool.command.clone_from(&options.command);
        Ok(verdict)
    }

    fn judge_alerts(self, verdict: &mut Verdict, data: &RunData<'_>) -> Result<(), EvalError> {
        let Self { files, slas, options, .. } = self;
        let judges: Vec<Judge> = match slas {
            [] => vec![Judge::default()],
            slas => slas.iter().map(|s| s.judge.clone()).collect(),
        };
        let counting = Counting { windows: &verdict.windows, judges: &judges };
        let judged = alerts::judge(data, &verdict.run, files, options.replaying(), &counting)?;
        verdict.alerts = judged.rows;
        verdict.problems.extend(judged.problems);
        verdict.notes.extend(judged.notes);
        // What is measured in an incomplete phase decides nothing; without objectives nobody else says so.
        for window in &verdict.windows {
            if let Some(why) = window.incomplete.as_ref().filter(|w| !verdict.problems.contains(w)) {
                verdict.problems.push(why.clone());
            }
        }
        Ok(())
    }
}

/// Alerts that an SLA names must be in the rule files.
fn check_alerts(files: &RuleFiles, slas: &[Sla]) -> Result<(), Diagnostics> {
    let known: Vec<&str> =
        files.rules().filter(|(_, r)| r.alerting().is_some()).map(|(_, r)| r.name.as_str()).collect();
    let mut problems = Diagnostics::default();
    for sla in slas {
        for (name, position) in sla.judge.named_alerts() {
            if known.contains(&name) {
                continue;
            }
            let hint = assay_yaml::nearest(name, known.iter().copied())
                .map_or_else(|| "give its file with --rules".to_owned(), |k| format!("did you mean {k:?}?"));
            problems.push(Diagnostic {
                file: sla.file.clone(),
                position,
                message: format!("the SLA names the alert {name:?}, which no rule file has; {hint}"),
            });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Reads all rule and SLA files.
///
/// # Errors
/// All problems of all of them, patterns that match no file among them, or that there is no file at all.
pub fn read_files(rules: &[String], slas: &[PathBuf]) -> Result<(RuleFiles, Vec<Sla>), EvalError> {
    if rules.is_empty() && slas.is_empty() {
        return Err(EvalError::NothingToJudgeBy);
    }
    let rules = expand(rules).and_then(|found| RuleFiles::load(&found));
    let slas: Vec<String> = slas.iter().map(|p| p.display().to_string()).collect();
    let slas = expand(&slas).and_then(|found| sla::read_files(&found));
    match (rules, slas) {
        (Ok(rules), Ok(slas)) => Ok((rules, slas)),
        (Err(mut problems), Err(more)) => {
            problems.extend(more);
            Err(problems.into())
        }
        (Err(problems), _) | (_, Err(problems)) => Err(problems.into()),
    }
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
        findings: Vec::new(),
        tables: Tables::default(),
        scaling: Scaling::default(),
        failures: Vec::new(),
        baseline: None,
        notes: Vec::new(),
        tool: Tool {
            name: "ruleseval".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
        },
    }
}

/// Adds the rows of all SLAs, with their windows, problems and notes; without an SLA, the run as one window.
fn judge_objectives(verdict: &mut Verdict, slas: &[Sla], terms: &Terms<'_>) -> Result<(), JudgeError> {
    for sla in slas {
        let judged = judge::judge(sla, terms)?;
        verdict.objectives.extend(judged.rows);
        add_new(&mut verdict.windows, judged.windows);
        verdict.problems.extend(judged.problems);
        verdict.notes.extend(judged.notes);
    }
    if slas.is_empty() {
        let whole = windows::select(terms.run, &[], terms.allow_incomplete).unwrap_or_default();
        verdict.windows = whole.list;
        verdict.problems.extend(whole.problems);
        verdict.notes.extend(whole.notes);
    }
    Ok(())
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
        fail_on_alerts: sla.judge.fail_on_alerts.words(),
    }
}
