//! `ruleseval compare`.

use std::path::PathBuf;

use super::{eval::parse_duration, output};
use assay_report::{comparison, terminal::TerminalOptions};
use assay_text::document;
use assay_verdict::compare::{CompareOptions, EffectOf, compare};

/// Compare a run with a baseline: is any objective's value worse by enough to matter?
///
/// Exit codes: 0 nothing regressed, 1 a regression, 2 bad input, 3 inconclusive.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The baseline
    base: PathBuf,
    /// The run that is held against it
    new: PathBuf,
    /// SLA files, or patterns of them, whose objectives are compared, by default the new run's own; their limits are not looked at
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// The length of the batches that a phase's spread is taken from; by default a thirtieth of the phase, at least 3s, and longer
    /// where neighbours are alike
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    batch: Option<i64>,
    /// The confidence of intervals, between 0.5 and 1; two runs of the same are taken for a regression in at most the rest of all
    /// comparisons
    #[arg(long, default_value_t = 0.95, value_parser = parse_confidence)]
    confidence: f64,
    /// The least change that matters: 5% of the baseline, 0.2 in the objective's unit, or of one objective, NAME=10%; may be given
    /// several times. By default 5%, and of percentages at least a tenth of what their limit allows
    #[arg(long, value_name = "CHANGE")]
    min_effect: Vec<EffectOf>,
    /// Compare runs of different scenarios, modes or plans too
    #[arg(long)]
    force: bool,
    /// Write the comparison as Markdown; - for standard output
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
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
        batch_ms: args.batch,
        confidence: args.confidence,
        effects: args.min_effect.clone(),
        force: args.force,
    })?;
    if let Some(path) = &args.json {
        output::write(path, &(document(serde_json::to_string_pretty(&found)?) + "\n"))?;
    }
    if let Some(path) = &args.markdown {
        output::write(path, &comparison::markdown(&found))?;
    }
    if ![&args.json, &args.markdown].into_iter().flatten().any(|p| output::is_stdout(p)) {
        output::print(&comparison::render(&found, TerminalOptions::of_stdout().width))?;
    }
    Ok(found.status().exit_code())
}
