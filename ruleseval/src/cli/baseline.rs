//! `ruleseval baseline`.

use std::path::PathBuf;

use assay_text::{console, document};
use assay_verdict::baseline::{BaselineOptions, make};

use super::output;

/// From which size on a file is not one that people read.
const MOST_BYTES: usize = 1_000_000;

/// Write a baseline: what runs measured, for a file that is kept with the sources.
///
/// The file has the machine, the software, what was asked and what it took, resources, bottlenecks and findings for people, and the
/// figures by which `compare` decides. Of several runs, which must be of the same, all are measured and the newest is described.
///
/// Exit codes: 0 done, 2 bad input.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ruleseval baseline runs/clinical-rag-2026112* --by 'the load team' > baseline.yaml"
)]
pub(super) struct Args {
    /// Run directories; a folder of runs means its newest that has ended
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// SLA files, or patterns of them, whose objectives are measured, by default the newest run's own
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// Rule files by which the newest run is judged, by default its own
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// Who measured; by default the user's name
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What was done to the service to make it fast; may be given several times
    #[arg(long, value_name = "TEXT")]
    applied: Vec<String>,
    /// What else a reader should know; may be given several times
    #[arg(long, value_name = "TEXT")]
    note: Vec<String>,
    /// Write the baseline to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Measures and writes.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let made = make(&BaselineOptions {
        runs: args.runs.clone(),
        rules: args.rules.clone(),
        slas: args.sla.clone(),
        measured_by: args.by.clone().or_else(user).unwrap_or_default(),
        applied: args.applied.clone(),
        notes: args.note.clone(),
    })?;
    for warning in &made.warnings {
        console::say(format_args!("warning: {warning}"));
    }
    if made.text.len() > MOST_BYTES {
        let megabytes = made.text.len() as f64 / 1e6;
        console::say(format_args!(
            "warning: the baseline has {megabytes:.1} MB, which nobody reviews: an objective has very many series; sum them in its expression"
        ));
    }
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from("-"));
    output::write(&path, &document(made.text))?;
    Ok(0)
}
