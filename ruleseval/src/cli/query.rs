//! `ruleseval query`.

use std::path::PathBuf;

use assay_promql::{Annotations, Engine, Severity};
use assay_run::Run;
use assay_text::{console, document};
use clap::ValueEnum;

use super::{eval::parse_duration, output};
use assay_prom_api::json;
use assay_report::{
    result::{self, Layout},
    terminal::TerminalOptions,
};
use assay_verdict::units::parse_time_ms;

/// Evaluate PromQL over a run.
///
/// Without --start, --end and --step at one time: the run's end, unless --time names another.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A run directory, any Prometheus data directory, or a snapshot
    run: PathBuf,
    /// The expression
    expr: String,
    /// The evaluation time, as RFC 3339 or unix seconds
    #[arg(long, value_parser = parse_time_ms, conflicts_with_all = ["start", "end", "step"], allow_negative_numbers = true)]
    time: Option<i64>,
    /// The first of several evaluation times; the run's start where only --end or --step is given
    #[arg(long, value_parser = parse_time_ms, allow_negative_numbers = true)]
    start: Option<i64>,
    /// The last evaluation time; the run's end by default
    #[arg(long, value_parser = parse_time_ms, allow_negative_numbers = true)]
    end: Option<i64>,
    /// The distance between evaluation times; by default so that there are about sixty
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    step: Option<i64>,
    /// table, csv, or json as the HTTP API's `data`
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

/// Evaluates and prints.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let expr = assay_promql::parse(&args.expr).map_err(|errors| {
        let lines: Vec<_> = errors.list().iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })?;
    let run = Run::open(&args.run)?;
    for warning in run.database.warnings() {
        tracing::warn!("{warning}");
    }
    // Looked up where it is needed: it takes a look at every series.
    let span = || run.span().unwrap_or_default();
    let engine = Engine::default();
    let ranged = args.start.is_some() || args.end.is_some() || args.step.is_some();
    let found = if ranged {
        let start_ms = args.start.unwrap_or_else(|| span().0);
        let end_ms = args.end.unwrap_or_else(|| span().1);
        anyhow::ensure!(start_ms <= end_ms, "--start is after --end");
        let step_ms = args.step.unwrap_or(((end_ms - start_ms) / 60 / 1000 * 1000).max(1000));
        engine.range(&run.database, &expr, start_ms, end_ms, step_ms)?
    } else {
        engine.instant(&run.database, &expr, args.time.unwrap_or_else(|| span().1))?
    };
    tell(&found.annotations, &args.expr);
    output::print(&match args.format {
        Format::Json => document(json::data_text(&found.value)) + "\n",
        Format::Csv => result::render(&found.value, Layout::Csv),
        Format::Table => {
            result::render(&found.value, Layout::Table { width: TerminalOptions::of_stdout().width })
        }
    })?;
    Ok(0)
}

fn tell(remarks: &Annotations, query: &str) {
    for remark in remarks {
        let kind = if remark.severity == Severity::Warning { "warning" } else { "info" };
        console::say(format_args!("{kind}: {}", remark.text(query)));
    }
}
