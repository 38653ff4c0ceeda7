//! `ruleseval eval`.

use std::{ffi::OsString, path::PathBuf};

use assay_model::duration;
use assay_rules::replay::SlotMode;
use clap::ValueEnum;

use super::{login::Login, output};
use assay_report::{github, html, json, junit, markdown, terminal};
use assay_verdict::{
    eval::{EvalOptions, Evaluation, ServerOptions, eval, eval_server},
    units::parse_time_ms,
};

/// Judge a run by SLA objectives and alerting rules.
///
/// Exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive (no data).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ruleseval eval runs/clinical-rag-20261123T134500Z --rules prometheus/rules/*.yml \\\n    --sla prometheus/sla/clinical-rag.yml --html report.html --junit junit.xml"
)]
pub(super) struct Args {
    /// A run directory, any Prometheus data directory, or a snapshot
    #[arg(required_unless_present = "prometheus", conflicts_with = "prometheus")]
    run: Option<PathBuf>,
    /// Judge on a server, with the alerts it recorded itself; for data too large to move
    #[arg(long, value_name = "URL", requires_all = ["start", "end", "sla"], conflicts_with = "rules")]
    prometheus: Option<String>,
    /// With --prometheus, the start of what is judged, as RFC 3339 or unix seconds
    #[arg(long, value_parser = parse_time_ms, requires = "prometheus")]
    start: Option<i64>,
    /// With --prometheus, its end
    #[arg(long, value_parser = parse_time_ms, requires = "prometheus")]
    end: Option<i64>,
    #[command(flatten)]
    login: Login,
    /// Rule files, replayed over the run; paths, or patterns in quotes
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// SLA files: our format, or OpenSLO v1
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// Write the verdict as JSON (docs/verdict.schema.json); - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one HTML file with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write Markdown, for the summary of a CI job
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print annotations for GitHub Actions
    #[arg(long)]
    github: bool,
    /// Where the evaluation times of rule groups lie: from the run's start, or where a Prometheus server has them
    #[arg(long, value_enum, default_value_t = Slots::Start)]
    slots: Slots,
    /// How often groups without an interval of their own are evaluated
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration)]
    interval: i64,
    /// Print no table
    #[arg(long, short)]
    quiet: bool,
}

/// [`SlotMode`] for the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Slots {
    Start,
    Prometheus,
}

impl From<Slots> for SlotMode {
    fn from(slots: Slots) -> Self {
        match slots {
            Slots::Start => Self::Start,
            Slots::Prometheus => Self::Prometheus,
        }
    }
}

/// A duration above nothing, in milliseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    match duration::parse_ms(text) {
        Ok(0) => Err("must be longer than nothing".to_owned()),
        Ok(ms) => Ok(ms),
        Err(e) => Err(e.to_string()),
    }
}

/// Judges and writes the reports; the exit code is the verdict's.
pub(super) fn run(args: &Args, arguments: &[OsString]) -> anyhow::Result<u8> {
    let evaluation = match (&args.prometheus, &args.run) {
        (Some(url), _) => on_server(args, url, arguments)?,
        (None, Some(run)) => eval(&EvalOptions {
            run: run.clone(),
            rules: args.rules.clone(),
            slas: args.sla.clone(),
            slots: args.slots.into(),
            interval_ms: args.interval,
            charts: args.html.is_some(),
            command: output::shell(arguments),
        })?,
        (None, None) => anyhow::bail!("give a run, or a server with --prometheus"),
    };
    report(args, &evaluation)?;
    Ok(evaluation.verdict.status.exit_code())
}

fn on_server(args: &Args, url: &str, arguments: &[OsString]) -> anyhow::Result<Evaluation> {
    let (start_ms, end_ms) = (args.start.unwrap_or_default(), args.end.unwrap_or_default());
    anyhow::ensure!(start_ms < end_ms, "--start must be before --end");
    Ok(eval_server(&ServerOptions {
        server: args.login.options(url)?,
        start_ms,
        end_ms,
        slas: args.sla.clone(),
        interval_ms: args.interval,
        charts: args.html.is_some(),
        command: output::shell(arguments),
    })?)
}

fn report(args: &Args, evaluation: &Evaluation) -> anyhow::Result<()> {
    let verdict = &evaluation.verdict;
    if let Some(path) = &args.json {
        output::write(path, &json::render(verdict))?;
    }
    if let Some(path) = &args.html {
        output::write(path, &html::render(verdict, &evaluation.charts)?)?;
    }
    if let Some(path) = &args.junit {
        output::write(path, &junit::render(verdict)?)?;
    }
    if let Some(path) = &args.markdown {
        output::write(path, &markdown::render(verdict))?;
    }
    if args.github {
        output::print(&github::render(verdict))?;
    }
    let files = [&args.json, &args.html, &args.junit, &args.markdown];
    // A report on standard output is to be read by a program: the table would spoil it.
    let taken = files.into_iter().flatten().any(|p| output::is_stdout(p));
    if !args.quiet && !taken {
        output::print(&terminal::render(verdict, output::terminal()))?;
    }
    Ok(())
}
