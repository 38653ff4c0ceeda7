//! The verdict over a run that has ended. Invariant: it rests on the run's directory alone, as `ruleseval eval` does, and
//! is written into it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use assay_promql::Memory;
use assay_report::{html, json};
use assay_run::{host::usable_memory_bytes, manifest::create_private};
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

/// What a run was judged to be.
pub struct Judged {
    /// The verdict, and what is drawn with it.
    pub evaluation: Evaluation,
    /// The report, as it is in the run's directory.
    pub report: String,
}

/// Judges a run by the rules and SLAs that are in its directory, relative limits by a baseline, and writes `verdict.json` and
/// `report.html` there. Queries may hold half of the machine's memory.
///
/// # Errors
/// If the run cannot be read or evaluated, or a file cannot be written.
pub fn judge(run: &Path, baseline: Option<&Path>) -> Result<Judged, JudgeError> {
    bound_queries(usable_memory_bytes().unwrap_or(0) / 2);
    let mut options = EvalOptions::new(run);
    options.charts = true;
    options.baseline = baseline.map(Path::to_owned);
    options.command = format!("ruleseval eval {}", run.display());
    if let Some(baseline) = baseline {
        options.command.push_str(&format!(" --baseline {}", baseline.display()));
    }
    let evaluation = eval(&options)?;
    write(run.join("verdict.json"), &json::render(&evaluation.verdict))?;
    let report = html::render(&evaluation.verdict, &evaluation.charts)?;
    write(run.join("report.html"), &report)?;
    Ok(Judged { evaluation, report })
}

/// Queries while a load runs, of rules that may abort it and of its page, may hold a quarter of the machine's memory,
/// 384 MiB at most: as those of `ruleseval serve`.
pub(super) fn bound_queries_of_load() {
    bound_queries((usable_memory_bytes().unwrap_or(0) / 4).min(384 << 20));
}

/// No limit at 0: without knowing the whole there is no share.
fn bound_queries(bytes: u64) {
    Memory::of_process().set_max(usize::try_from(bytes).unwrap_or(usize::MAX));
}

fn write(path: PathBuf, text: &str) -> Result<(), JudgeError> {
    // A report names machines, targets and the command, as the run's description does.
    let written = create_private(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|cause| JudgeError::Write { path, cause })
}
