//! Judging a run while it is in progress. Invariant: what is judged is what was measured so far, and nothing in it is blamed for not
//! having ended.

use std::path::Path;

use assay_model::Queryable;
use assay_rules::file::RuleFiles;
use assay_run::Plan;

use super::{Case, EvalError, EvalOptions, Record, info::of_plan};
use crate::{
    sla::Sla,
    verdict::{RunInfo, Verdict},
};

/// A run in progress.
pub struct InProgress<'a> {
    /// What is on record so far.
    pub data: &'a dyn Queryable,
    /// Where the record is, as the page shows it.
    pub source: String,
    /// The scenario's name.
    pub scenario: String,
    /// Its description when it began, as JSON.
    pub manifest: serde_json::Value,
    /// When it began, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Now, by the record's clock.
    pub now_ms: i64,
}

impl InProgress<'_> {
    /// The run as reports show it. A phase in progress ends now.
    ///
    /// # Errors
    /// If its series cannot be read.
    pub fn info(&self) -> Result<RunInfo, EvalError> {
        let mut info = RunInfo {
            source: self.source.clone(),
            scenario: Some(self.scenario.clone()),
            manifest: self.manifest.clone(),
            start_ms: self.start_ms,
            end_ms: self.now_ms,
            ..RunInfo::default()
        };
        if let Some(plan) = &Plan::read(self.data)? {
            of_plan(&mut info, plan);
        }
        info.cut_short_ms = None;
        info.outcome = None;
        Ok(info)
    }
}

/// The verdict so far, by rules and SLAs that were read before.
///
/// # Errors
/// As [`super::eval`].
pub fn eval_in_progress(
    run: &InProgress<'_>,
    files: &RuleFiles,
    slas: &[Sla],
    interval_ms: i64,
) -> Result<Verdict, EvalError> {
    let info = run.info()?;
    let options = EvalOptions { allow_incomplete: true, interval_ms, ..EvalOptions::new(&run.source) };
    let record = Record {
        data: run.data,
        notes: Vec::new(),
        warnings: Vec::new(),
        failures: assay_run::failures::read(Path::new(&run.source)),
        // Traces are looked through once they are complete.
        spans: Vec::new(),
        is_in_progress: true,
    };
    let case = Case { record: &record, info: &info, files, slas, baseline: None, options: &options };
    let mut verdict = case.evaluate()?.verdict;
    // They say what is missing, and all of it may still come.
    verdict.notes.clear();
    Ok(verdict)
}
