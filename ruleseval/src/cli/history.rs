//! `ruleseval history`.

use std::path::PathBuf;

use assay_report::{history as text, html::history as page, terminal::TerminalOptions};
use assay_text::document;
use assay_verdict::{
    compare::EffectOf,
    history::{HistoryOptions, history},
};

use super::output;

/// Show how each objective went over a folder's runs, and where its level changed.
///
/// Values are those of each run's verdict.json, else measured by the run's own SLA; baseline files in the folder count, too. Runs of
/// another scenario, mode or plan are a series of their own. Changes are found by E-divisive means with permutation tests.
///
/// Exit codes: 0 done, 1 with --fail-on-regression if an objective got worse, 2 bad input.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ruleseval history runs --html history.html --fail-on-regression=5")]
pub(super) struct Args {
    /// The folder that runs are recorded into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// SLA files, or patterns of them, whose objectives are measured in every run, instead of what their verdicts have
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// The least change that matters, as in compare: 5%, 0.2 or NAME=10%; may be given several times
    #[arg(long, value_name = "CHANGE")]
    min_effect: Vec<EffectOf>,
    /// Look at the newest runs only
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..))]
    newest: Option<u32>,
    /// Exit with 1 if the latest change of any objective is for the worse; with a number, if that came with one of the newest RUNS
    /// runs
    #[arg(long, value_name = "RUNS", num_args = 0..=1, require_equals = true, default_missing_value = "4294967295", value_parser = clap::value_parser!(u32).range(1..))]
    fail_on_regression: Option<u32>,
    /// Write the history as JSON (docs/history.schema.json); - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page of trends, one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Reads, shows, and says with the exit code whether anything got worse.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let found = history(&HistoryOptions {
        folder: args.folder.clone(),
        slas: args.sla.clone(),
        effects: args.min_effect.clone(),
        judged_only: false,
        newest: args.newest.map(|n| n as usize),
    })?;
    if let Some(path) = &args.json {
        output::write(path, &(document(serde_json::to_string_pretty(&found)?) + "\n"))?;
    }
    if let Some(path) = &args.html {
        output::write(path, &page::render(&found, None)?)?;
    }
    if ![&args.json, &args.html].into_iter().flatten().any(|p| output::is_stdout(p)) {
        output::print(&text::render(&found, TerminalOptions::of_stdout().width))?;
    }
    let is_worse =
        args.fail_on_regression.is_some_and(|runs| found.worsenings(Some(runs as usize)).count() > 0);
    Ok(u8::from(is_worse))
}
