//! `ruleseval compare`.

use std::path::PathBuf;

use super::{eval::parse_duration, output};
use assay_report::{comparison, terminal::TerminalOptions};
use assay_text::document;
use assay_verdict::compare::{CompareOptions, compare};

/// Compare a run with a baseline: is any objective's value worse by enough to matter?
///
/// Exit codes: 0 nothing regressed, 1 a regression, 2 bad input, 3 inconclusive.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The baseline
    base: PathBuf,
    /// The run that is held against it
    new: PathBuf,
    /// SLA files whose objectives are compared; their limits are not looked at
    #[arg(long, num_args = 1.., required = true, value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// The length of a window; by default a thirtieth of the phase, and at least 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    window: Option<i64>,
    /// The confidence of intervals, between 0.5 and 1
    #[arg(long, default_value_t = 0.95, value_parser = parse_confidence)]
    confidence: f64,
    /// The least change that matters, in per cent of the baseline
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    min_effect: f64,
    /// Write the comparison as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn parse_confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(c) if (0.5..1.0).contains(&c) => Ok(c),
        _ => Err("write a number from 0.5 to below 1, such as 0.95".to_owned()),
    }
}

/// Compares.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let found = compare(&CompareOptions {
        base: args.base.clone(),
        new: args.new.clone(),
        slas: args.sla.clone(),
        window_ms: args.window,
        confidence: args.confidence,
        min_effect: args.min_effect / 100.0,
    })?;
    if let Some(path) = &args.json {
        output::write(path, &(document(&serde_json::to_string_pretty(&found)?) + "\n"))?;
    }
    if !args.json.as_ref().is_some_and(|p| output::is_stdout(p)) {
        output::print(&comparison::render(&found, TerminalOptions::of_stdout().width))?;
    }
    Ok(found.status().exit_code())
}
