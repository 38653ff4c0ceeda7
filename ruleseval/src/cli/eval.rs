//! `ruleseval eval`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assay_model::duration;
use assay_report::{
    Format, github,
    terminal::{self, TerminalOptions},
};
use assay_rules::replay::SlotMode;
use assay_run::folder;
use assay_text::{Clean, console};
use assay_verdict::{
    eval::{
        EvalOptions, Evaluation, FetchOptions, GivenPhase, ServerOptions, eval, eval_fetched, eval_server,
    },
    findings::{self, Kind},
    units::parse_time_ms,
};
use clap::ValueEnum;

use super::{login::Login, output, reports::Reports, worst};

/// Judge runs by SLA objectives and alerting rules.
///
/// Exit codes: 0 pass, 1 fail, 2 bad input, 3 inconclusive; of several runs, the worst in the order 2, 1, 3, 0.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  ruleseval eval runs/clinical-rag-20261123T134500Z --rules 'prometheus/rules/*.yml' \\\n    --sla prometheus/sla/clinical-rag.yml --html report.html --junit junit.xml"
)]
pub(super) struct Args {
    /// Run directories, any Prometheus data directories or snapshots; a folder of runs means its newest that has ended
    #[arg(required_unless_present = "prometheus", conflicts_with = "prometheus", value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Fetch from a server what rules and SLA read, and judge it as a run
    #[arg(long, value_name = "URL", requires_all = ["start", "end"])]
    prometheus: Option<String>,
    /// With --prometheus, the start of what is judged, as RFC 3339 or unix seconds
    #[arg(long, value_parser = parse_time_ms, requires = "prometheus")]
    start: Option<i64>,
    /// With --prometheus, its end
    #[arg(long, value_parser = parse_time_ms, requires = "prometheus")]
    end: Option<i64>,
    /// With --prometheus, keep what was fetched in this new directory, as a run
    #[arg(long, value_name = "DIR", requires = "prometheus", conflicts_with = "trust_server_alerts")]
    keep: Option<PathBuf>,
    /// With --prometheus, evaluate on the server and take the alerts that it recorded; for data too large to move
    #[arg(long, requires_all = ["prometheus", "sla"], conflicts_with = "rules")]
    trust_server_alerts: bool,
    #[command(flatten)]
    login: Login,
    /// Rule files, replayed over the run; paths, or patterns in quotes. By default those in the run's rules/
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rules: Vec<String>,
    /// SLA files: our format, or OpenSLO v1; paths, or patterns in quotes. By default those in the run's sla/
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sla: Vec<PathBuf>,
    /// A phase of a run that does not tell its phases itself
    #[arg(long = "phase", value_name = "NAME=START..END")]
    phases: Vec<GivenPhase>,
    /// Judge phases that did not run to their end as far as they went
    #[arg(long)]
    allow_incomplete: bool,
    /// Do not look for this finding (docs/findings.md), by its id or its name
    #[arg(long, value_name = "ID", value_parser = findings::kind)]
    no_finding: Vec<Kind>,
    /// What relative limits are relative to: a run, a baseline file, or the JSON of a verdict
    #[arg(long, value_name = "RUN", conflicts_with = "trust_server_alerts")]
    baseline: Option<PathBuf>,
    /// Refuse runs that began before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time_ms)]
    since: Option<i64>,
    #[command(flatten)]
    reports: Reports,
    /// Print annotations for GitHub Actions
    #[arg(long)]
    github: bool,
    /// When rule groups are evaluated: from each window's start, or at the times of a Prometheus server
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

/// Judges and writes the reports; the exit code is the worst verdict's.
pub(super) fn run(args: &Args, command: &[String]) -> anyhow::Result<u8> {
    let command = output::shell(command);
    let mut codes = Vec::new();
    let mut evaluations = Vec::new();
    if let Some(url) = &args.prometheus {
        evaluations.push(on_server(args, url, command)?);
    } else {
        if let (Some(Format { name, .. }), [_, _, ..]) = (args.reports.of_one_run(), &args.runs[..]) {
            anyhow::bail!("--{name} is a report of one run; give one, or leave --{name} out");
        }
        for run in &args.runs {
            // One that cannot be judged keeps no other from it.
            match of_run(args, run, &command) {
                Ok(evaluation) => evaluations.push(evaluation),
                Err(error) if args.runs.len() > 1 => {
                    console::say_lines(format_args!("{}: {error:#}", run.display()));
                    codes.push(2);
                }
                Err(error) => return Err(error),
            }
        }
    }
    report(args, &evaluations)?;
    codes.extend(evaluations.iter().map(|e| e.verdict.status.exit_code()));
    Ok(worst(&codes))
}

fn of_run(args: &Args, run: &Path, command: &str) -> anyhow::Result<Evaluation> {
    let chosen = folder::choose(run, args.since)?;
    let mut evaluation = eval(&options(args, &chosen.path, command))?;
    evaluation.verdict.notes.extend(chosen.note);
    Ok(evaluation)
}

fn options(args: &Args, run: &Path, command: &str) -> EvalOptions {
    EvalOptions {
        rules: args.rules.clone(),
        slas: args.sla.clone(),
        slots: args.slots.into(),
        interval_ms: args.interval,
        phases: args.phases.clone(),
        allow_incomplete: args.allow_incomplete,
        no_findings: args.no_finding.clone(),
        baseline: args.baseline.clone(),
        charts: args.reports.of_one_run().is_some(),
        command: command.to_owned(),
        ..EvalOptions::new(run)
    }
}

fn on_server(args: &Args, url: &str, command: String) -> anyhow::Result<Evaluation> {
    let (start_ms, end_ms) = (args.start.unwrap_or_default(), args.end.unwrap_or_default());
    anyhow::ensure!(start_ms < end_ms, "--start must be before --end");
    let server = args.login.options(url)?;
    if args.trust_server_alerts {
        return Ok(eval_server(&ServerOptions {
            server,
            start_ms,
            end_ms,
            slas: args.sla.clone(),
            interval_ms: args.interval,
            charts: args.reports.of_one_run().is_some(),
            command,
        })?);
    }
    let scratch = tempfile::tempdir().context("no directory for what is fetched can be made")?;
    let dir = args.keep.clone().unwrap_or_else(|| scratch.path().join("run"));
    let fetch = FetchOptions { server, start_ms, end_ms, dir };
    Ok(eval_fetched(&fetch, &options(args, Path::new(""), &command))?)
}

fn report(args: &Args, evaluations: &[Evaluation]) -> anyhow::Result<()> {
    let taken = args.reports.write(evaluations, args.runs.len() > 1)?;
    if args.github {
        output::print(&evaluations.iter().map(|e| github::render(&e.verdict)).collect::<String>())?;
    }
    // A report on standard output is to be read by a program: the table would spoil it.
    if args.quiet || taken {
        return Ok(());
    }
    for Evaluation { verdict, .. } in evaluations {
        if args.runs.len() > 1 {
            output::print(&format!("{}\n", Clean(&verdict.run.source)))?;
        }
        output::print(&terminal::render(verdict, TerminalOptions::of_stdout()))?;
    }
    Ok(())
}
