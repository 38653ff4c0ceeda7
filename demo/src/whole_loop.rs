//! The whole loop in one process: serve, export, drive, record, judge.
//!
//! Invariant: the loop uses the tools' libraries exactly as their command lines do; nothing is measured or
//! judged here.

use std::{io::IsTerminal, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow};
use assay_report::terminal::{self, TerminalOptions};
use assay_run::Target;
use assay_text::{Clean, console};
use assay_verdict::standards::Standards;
use demo::service::{Service, ServiceOptions};
use exporter::Exporter;
use loadgen::{
    Control, RunOptions, Scenario, Summary,
    recorded::{INTERRUPTED, Judged, Page, RecordOptions, RecordedRun, judge, stop_on_signals},
    sink::recorder::default_instance,
    view::{View, lines::Lines, terminal::Terminal},
};
use tokio::runtime::Runtime;

use crate::cli;

/// The pack that is run.
const PACK: &str = "clinical-rag";

/// What the loop is to do.
pub(crate) struct LoopOptions {
    /// Where run directories go.
    pub(crate) runs: PathBuf,
    /// The scenario's mode.
    pub(crate) mode: String,
    /// What phase times are multiplied by.
    pub(crate) time_scale: f64,
    /// The seed of everything random.
    pub(crate) seed: u64,
    /// Rule files; empty for the shipped ones.
    pub(crate) rules: Vec<String>,
    /// SLA files; empty for the shipped one.
    pub(crate) slas: Vec<PathBuf>,
    /// The command line, without secrets.
    pub(crate) command: Vec<String>,
    /// Whether progress comes in lines, on a terminal too.
    pub(crate) plain: bool,
    /// Where the page of the run is served while it is in progress.
    pub(crate) web: Option<std::net::SocketAddr>,
}

/// Runs the loop and yields the exit code: the verdict's, or that of an interruption.
pub(crate) fn run(runtime: &Runtime, options: &LoopOptions) -> Result<u8> {
    let Driven { dir, summary, page } = runtime.block_on(drive(options))?;
    console::print(&summary.to_text())?;
    let Judged { evaluation, report } = judge(&dir, None)?;
    if let Some(page) = page {
        page.end(report);
    }
    console::print(&format!(
        "{}\nrun     {}\nreport  {}\n",
        terminal::render(&evaluation.verdict, TerminalOptions::of_stdout()),
        Clean(dir.display()),
        Clean(dir.join("report.html").display())
    ))?;
    Ok(match summary.outcome {
        loadgen::summary::Outcome::Interrupted => INTERRUPTED,
        _ => evaluation.verdict.status.exit_code(),
    })
}

/// A run that was driven and recorded.
struct Driven {
    dir: PathBuf,
    summary: Summary,
    page: Option<Page>,
}

/// Serves, drives and records.
async fn drive(options: &LoopOptions) -> Result<Driven> {
    let scenario = Arc::new(Scenario::load(PACK).map_err(|e| anyhow!("{e}"))?);
    let service = cli::bind("127.0.0.1:0").await?;
    let exporter = cli::bind("127.0.0.1:0").await?;
    let address = |listener: &tokio::net::TcpListener| {
        listener.local_addr().map(|a| format!("http://{a}")).context("a listener without an address")
    };
    let (service_url, exporter_url) = (address(&service)?, address(&exporter)?);
    let ready = Service::prepare(ServiceOptions::default()).await?;
    let servers = [
        tokio::spawn(ready.serve(service, std::future::pending())),
        tokio::spawn(exporter::serve(
            Arc::new(Exporter::new(exporter::Options::default())),
            exporter,
            exporter::ServeOptions::default(),
            std::future::pending(),
        )),
    ];

    let mut run = RunOptions::new(Arc::clone(&scenario));
    run.mode = Some(options.mode.clone());
    run.phases = scenario.mode(&options.mode)?;
    run.capacity = scenario.capacity(Some(&options.mode)).cloned();
    run.target = Some(service_url.clone());
    run.seed = options.seed;
    run.time_scale = options.time_scale;
    let ships = Standards::shipped(PACK, run.phases.iter().map(|phase| phase.name.as_str()));
    let record = RecordOptions {
        parent: options.runs.clone(),
        instance: default_instance(),
        command: options.command.clone(),
        scrape: vec![Target::new("demo", &service_url)?, Target::new("exporter", &exporter_url)?],
        abort: None,
        standards: ships.with_rules(&options.rules)?.with_slas(&options.slas)?,
        keep_bodies: false,
    };
    let mut run = RecordedRun::begin(run.check().await?, record)?;
    let page = match options.web {
        None => None,
        Some(address) => run.serve_page(address).with_context(|| format!("--web {address}"))?,
    };
    let control = run.control();
    run.show(view(options.plain, &control));
    stop_on_signals(control)?;
    let ended = run.drive().await;
    for server in servers {
        server.abort();
    }
    let summary = ended.result?;
    let recorded = ended.record.transpose()?.context("the run was not recorded")?;
    Ok(Driven { dir: recorded.dir, summary, page })
}

fn view(plain: bool, control: &Control) -> Box<dyn View> {
    let is_terminal = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    if plain || !is_terminal {
        return Box::new(Lines::stderr());
    }
    match Terminal::start(control.clone()) {
        Ok(terminal) => Box::new(terminal),
        Err(e) => {
            tracing::warn!("no live view: {e}");
            Box::new(Lines::stderr())
        }
    }
}
