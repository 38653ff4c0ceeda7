//! `ruleseval export`.

use std::{
    io::{BufWriter, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use assay_model::Matcher;
use assay_promql::Expr;
use assay_run::{
    Run,
    export::to_openmetrics,
    import::Imported,
    pull::{PullOptions, pull},
};
use assay_text::console;

use super::login::Login;
use assay_verdict::units::{length, parse_time_ms};

/// Fetch series from a Prometheus-compatible server into a run, or write a run's series as OpenMetrics text.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ruleseval export --prometheus http://127.0.0.1:9090 --start 2026-11-23T13:00:00Z \\\n    --end 2026-11-23T14:00:00Z --match '{job=\"api\"}' --out runs/api\n  ruleseval export --run runs/api --out api.om"
)]
pub(super) struct Args {
    /// The server, with its path prefix where it has one
    #[arg(long, value_name = "URL", required_unless_present = "run", requires_all = ["start", "end"])]
    prometheus: Option<String>,
    /// A run to write as OpenMetrics text
    #[arg(long, value_name = "RUN", conflicts_with = "prometheus")]
    run: Option<PathBuf>,
    /// The first time, as RFC 3339 or unix seconds
    #[arg(long, value_parser = parse_time_ms)]
    start: Option<i64>,
    /// The last time
    #[arg(long, value_parser = parse_time_ms)]
    end: Option<i64>,
    /// A selector such as {job="api"}; by default everything
    #[arg(long = "match", value_name = "SELECTOR")]
    matches: Vec<String>,
    /// The run directory, or the text file, to make
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// The scenario's name in the run's description
    #[arg(long, value_name = "NAME", default_value = "export")]
    scenario: String,
    #[command(flatten)]
    login: Login,
}

/// Exports.
pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    match (&args.prometheus, &args.run) {
        (Some(url), _) => fetch(args, url),
        (None, Some(run)) => write(args, run),
        (None, None) => anyhow::bail!("give --prometheus or --run"),
    }
}

fn fetch(args: &Args, url: &str) -> anyhow::Result<u8> {
    let mut options = PullOptions::new(url, args.start.unwrap_or_default(), args.end.unwrap_or_default());
    anyhow::ensure!(options.start_ms <= options.end_ms, "--start is after --end");
    options.selectors = selections(&args.matches)?;
    options.scenario.clone_from(&args.scenario);
    options.server = args.login.options(url)?;
    tell(&pull(&options, &args.out)?);
    Ok(0)
}

/// The matchers of each selector.
fn selections(texts: &[String]) -> anyhow::Result<Vec<Vec<Matcher>>> {
    let mut all = Vec::new();
    for text in texts {
        match assay_promql::parse(text) {
            Ok(Expr::Vector(selector)) => all.push(selector.matchers),
            Ok(_) => anyhow::bail!("--match {text}: is not a selector such as {{job=\"api\"}}"),
            Err(e) => anyhow::bail!("--match {text}: {e}"),
        }
    }
    Ok(all)
}

/// Says what a new run holds.
pub(super) fn tell(imported: &Imported) {
    let (start_ms, end_ms) = imported.stats.range.unwrap_or_default();
    console::say(format_args!(
        "{}: {} series, {} samples over {}",
        imported.dir.display(),
        imported.stats.series,
        imported.stats.samples,
        length(end_ms - start_ms)
    ));
}

fn write(args: &Args, path: &std::path::Path) -> anyhow::Result<u8> {
    let run = Run::open(path)?;
    let (first_ms, last_ms) = run.time_range().unwrap_or_default();
    let mut selections = selections(&args.matches)?;
    anyhow::ensure!(selections.len() < 2, "with --run, give one --match: a sample must not be written twice");
    let matchers = selections.pop().unwrap_or_default();
    let file = std::fs::File::create(&args.out)
        .with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let mut out = BufWriter::new(file);
    let stats = to_openmetrics(
        &run.database,
        &matchers,
        args.start.unwrap_or(first_ms),
        args.end.unwrap_or(last_ms),
        &mut out,
    )?;
    out.flush().with_context(|| format!("{}: cannot be written", args.out.display()))?;
    console::say(format_args!("{}: {} series, {} samples", args.out.display(), stats.series, stats.samples));
    if stats.histograms_left_out > 0 {
        let metrics = listed(&stats.histogram_metrics);
        console::say(format_args!(
            "left out: {} native histograms, which OpenMetrics text does not have, of {metrics}",
            stats.histograms_left_out
        ));
    }
    if !stats.unnamed_left_out.is_empty() {
        let series = listed(&stats.unnamed_left_out);
        let count = stats.unnamed_left_out.len();
        console::say(format_args!("left out: {count} series without a metric's name: {series}"));
    }
    Ok(0)
}

/// The first ten, and how many more there are.
fn listed(all: &[impl std::fmt::Display]) -> String {
    const SHOWN: usize = 10;
    let mut out: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    if all.len() > SHOWN {
        out.push(format!("and {} more", all.len() - SHOWN));
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&[0; 12]), "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, and 2 more");
    }
}
