//! `ruleseval backtest`.

use std::path::PathBuf;

use super::{
    eval::{Slots, parse_duration},
    output,
};
use assay_report::{terminal::TerminalOptions, timeline};
use assay_text::{console, document};
use assay_verdict::{
    backtest::{backtest, write_block},
    eval::EvalOptions,
};

/// Show when alerts would have been pending and firing over a run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory, any Prometheus data directory, or a snapshot
    run: PathBuf,
    /// Rule files: paths, or patterns in quotes
    #[arg(long, num_args = 1.., required = true, value_name = "FILE")]
    rules: Vec<String>,
    /// Write the alerts as JSON, as under `alerts` of a verdict; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write ALERTS and the recorded series as a block into this data directory
    #[arg(long, value_name = "DIR")]
    block: Option<PathBuf>,
    /// Where the evaluation times of rule groups lie
    #[arg(long, value_enum, default_value_t = Slots::Start)]
    slots: Slots,
    /// How often groups without an interval of their own are evaluated
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    interval: i64,
}

/// Replays and shows.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let mut options = EvalOptions::new(&args.run);
    options.rules.clone_from(&args.rules);
    options.slots = args.slots.into();
    options.interval_ms = args.interval;
    let found = backtest(&options)?;
    for error in &found.errors {
        console::say(error);
    }
    if let Some(path) = &args.json {
        let value = serde_json::json!({"run": found.run, "alerts": found.alerts, "errors": found.errors});
        output::write(path, &(document(serde_json::to_string_pretty(&value)?) + "\n"))?;
    }
    if let Some(dir) = &args.block {
        let (series, samples) = write_block(&found.series, dir)?;
        console::say(format_args!("{}: {series} series, {samples} samples", dir.display()));
    }
    if !args.json.as_ref().is_some_and(|p| output::is_stdout(p)) {
        output::print(&timeline::render(&found.run, &found.alerts, TerminalOptions::of_stdout().width))?;
    }
    Ok(0)
}
