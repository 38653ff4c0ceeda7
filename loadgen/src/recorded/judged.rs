//! The verdict over a run that has ended. Invariant: it rests on the run's directory alone, as `ruleseval eval` does, and
//! is written into it.

use std::{
    io,
    path::{Path, PathBuf},
};

use assay_promql::Memory;
use assay_report::{html, json};
use assay_run::host::usable_memory_bytes;
use assay_verdict::eval::{EvalError, EvalOptions, Evaluation, eval};

/// Why a run has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// It cannot be judged.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The report cannot be rendered.
    #[error("the report: {0}")]
    Report(#[from] html::HtmlError),
    /// A file cannot be written.
    #[error("{}: cannot be written: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Judges a run by the rules and SLAs that are in its directory, and writes `verdict.json` and `report.html` there.
/// Queries may hold half of the machine's memory.
///
/// # Errors
/// If the run cannot be read or evaluated, or a file cannot be written.
pub fn judge(run: &Path) -> Result<Evaluation, JudgeError> {
    let evaluation = evaluate(run)?;
    write(run.join("verdict.json"), &json::render(&evaluation.verdict))?;
    write(run.join("report.html"), &report(&evaluation)?)?;
    Ok(evaluation)
}

/// The report of a run that was judged.
///
/// # Errors
/// If it cannot be rendered.
pub fn report(evaluation: &Evaluation) -> Result<String, JudgeError> {
    Ok(html::render(&evaluation.verdict, &evaluation.charts)?)
}

fn evaluate(run: &Path) -> Result<Evaluation, JudgeError> {
    let half = usable_memory_bytes().unwrap_or(0) / 2;
    Memory::of_process().set_max(usize::try_from(half).unwrap_or(usize::MAX));
    let mut options = EvalOptions::new(run);
    options.charts = true;
    options.command = format!("ruleseval eval {}", run.display());
    Ok(eval(&options)?)
}

fn write(path: PathBuf, text: &str) -> Result<(), JudgeError> {
    std::fs::write(&path, text).map_err(|cause| JudgeError::Write { path, cause })
}
