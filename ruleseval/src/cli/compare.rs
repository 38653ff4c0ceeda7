//! `ruleseval compare`.

use std::path::PathBuf;

use super::{eval::parse_duration, output};
use assay_report::{
    comparison,
    html::compare::{self as page, side},
    terminal::TerminalOptions,
};
use assay_text::document;
use assay_verdict::compare::{CompareOptions, EffectOf, compare};

/// Compare runs with a baseline: is any objective's value worse by enough to matter?
///
/// Either side is a run, a baseline file (`ruleseval baseline`), or several of them; with several runs a side, what differs from
/// run to run counts. Objectives decide; steps and stages explain, and decide only if there is no objective.
///
/// Exit codes: 0 nothing regressed, 1 a regression, 2 bad input, 3 inconclusive.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ruleseval compare baseline.yaml runs/clinical-rag-20261123T134500Z --markdown comparison.md\n  \
                  ruleseval compare runs/a1 runs/b1 --base runs/a2 runs/a3 --new runs/b2 runs/b3"
)]
pub(super) struct Args {
    /// The baseline: a run or a baseline file; a folder of runs means its newest that has ended
    #[arg(value_name = "BASE")]
    first_base: PathBuf,
    /// What is held against it, the same
    #[arg(value_name = "NEW")]
    first_new: PathBuf,
    /// More runs or baseline files of the baseline's side
    #[arg(long, num_args = 1.., value_name = "RUN")]
    base: Vec<PathBuf>,
    /// More runs or baseline files of the new side
    #[arg(long, num_args = 1.., value_name = "RUN")]
    new: Vec<PathBuf>,
    /// SLA files, or patterns of them, whose objectives are compared, by default the new run's own; their limits are not looked at
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// The length of the batches that a phase's spread is taken from; by default a thirtieth of the phase, at least 3s, and longer
    /// where neighbours are alike. A baseline file has its own
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
    /// Write the comparison as JSON (docs/comparison.schema.json); - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the comparison as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write JUnit XML, a case for each row that decides
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

fn parse_confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(c) if (0.5..1.0).contains(&c) => Ok(c),
        _ => Err("write a number from 0.5 to below 1, such as 0.95".to_owned()),
    }
}

/// Compares.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let all = |first: &PathBuf, more: &[PathBuf]| -> Vec<PathBuf> {
        std::iter::once(first).chain(more).cloned().collect()
    };
    let (base, new) = (all(&args.first_base, &args.base), all(&args.first_new, &args.new));
    let found = compare(&CompareOptions {
        base: base.clone(),
        new: new.clone(),
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
    if let Some(path) = &args.html {
        output::write(
            path,
            &page::render(&found, &side(&base, &found.base), &side(&new, &found.new), None)?,
        )?;
    }
    if let Some(path) = &args.junit {
        output::write(path, &comparison::junit(&found)?)?;
    }
    let files = [&args.json, &args.markdown, &args.html, &args.junit];
    if !files.into_iter().flatten().any(|p| output::is_stdout(p)) {
        output::print(&comparison::render(&found, TerminalOptions::of_stdout().width))?;
    }
    Ok(found.status.exit_code())
}
