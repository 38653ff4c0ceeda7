//! `loadgen run`.

use std::{fmt::Display, io::IsTerminal as _, path::Path, sync::Arc, time::Duration};

use assay_run::{RecordError, Target};
use loadgen::{
    Checked, Control, Phase, RunError, RunOptions, Scenario, Shard, Summary, UnknownName,
    recorded::{BeginError, Ended, RecordOptions, RecordedRun, stop_on_signals},
    sink::{exposition::Exposition, recorder::default_instance},
    summary,
    view::{
        Quiet, View,
        lines::{JsonLines, Lines},
        terminal::Terminal,
    },
};

use super::{RunArguments, SummaryKind, ViewKind, exit, telemetry};

/// Why a run ended without a summary: the exit code and one line.
struct Stop {
    code: u8,
    message: String,
}

impl Stop {
    fn bad_input(message: impl Display) -> Self {
        Self { code: exit::BAD_INPUT, message: message.to_string() }
    }

    fn failed(message: impl Display) -> Self {
        Self { code: exit::FAILED, message: message.to_string() }
    }
}

impl From<RunError> for Stop {
    fn from(e: RunError) -> Self {
        let code = match e {
            RunError::Options(_) => exit::BAD_INPUT,
            RunError::Unhealthy(_) => exit::UNHEALTHY,
            RunError::Sink(_) | RunError::PercentileFile(_) | RunError::System(_) => exit::FAILED,
        };
        Self { code, message: e.to_string() }
    }
}

/// Runs the load and prints its summary.
pub(super) fn run(arguments: &RunArguments) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("loadgen: cannot start: {e}");
            return exit::FAILED;
        }
    };
    match runtime.block_on(drive(arguments)) {
        Ok(code) => code,
        Err(Stop { code, message }) => {
            eprintln!("loadgen: {message}");
            code
        }
    }
}

async fn drive(arguments: &RunArguments) -> Result<u8, Stop> {
    let scenario = Arc::new(Scenario::load(&arguments.scenario).map_err(Stop::bad_input)?);
    let abort = super::abort::rules(arguments).map_err(Stop::bad_input)?;
    // What can be known to be wrong is said before a record is begun.
    let mut checked = options(&scenario, arguments)?.check().await?;
    stop_on_signals(checked.control()).map_err(|e| Stop::failed(format!("cannot watch for signals: {e}")))?;
    let instance =
        arguments.instance.clone().unwrap_or_else(|| shard_instance(arguments.shard.unwrap_or_default()));
    telemetry::start(arguments, &instance, &mut checked.outputs).map_err(Stop::bad_input)?;
    let exposition = match arguments.metrics_listen {
        None => None,
        Some(address) => {
            let exposition = Exposition::listen(address)
                .map_err(|e| Stop::bad_input(format!("--metrics-listen {address}: {e}")))?;
            checked.outputs.sinks.push(Box::new(exposition.clone()));
            Some(exposition)
        }
    };
    let mut run = match &arguments.record {
        Some(parent) => record(checked, parent, arguments, instance, abort)?,
        None => RecordedRun::unrecorded(checked),
    };
    let control = run.control();
    run.show(view(arguments, &control));
    let code = report(run.drive().await, arguments);
    if let Some(exposition) = exposition {
        let most = u64::try_from(arguments.metrics_linger).unwrap_or(0);
        exposition.linger(Duration::from_millis(most), &control).await;
    }
    code
}

/// The options of the run that the arguments ask for.
fn options(scenario: &Arc<Scenario>, arguments: &RunArguments) -> Result<RunOptions, Stop> {
    let mut options = RunOptions::new(Arc::clone(scenario));
    options.mode.clone_from(&arguments.mode);
    options.phases = phases(scenario, arguments).map_err(Stop::bad_input)?;
    options.capacity = match arguments.phase.is_empty() {
        true => scenario.capacity(arguments.mode.as_deref()).cloned(),
        false => None,
    };
    if arguments.capacity_csv.is_some() && options.capacity.is_none() {
        return Err(Stop::bad_input("--capacity-csv needs a mode with a search or a sweep"));
    }
    options.target.clone_from(&arguments.target);
    options.proxy.clone_from(&arguments.proxy);
    options.environment.clone_from(&arguments.vars);
    options.seed = arguments.seed;
    options.time_scale = arguments.time_scale;
    options.workers = arguments.workers.map(usize::from);
    options.shard = arguments.shard.unwrap_or_default();
    options.start_at_ms = arguments.start_at;
    options.thresholds.clone_from(&arguments.threshold);
    Ok(options)
}

/// Prints what a run came to, and gives the exit code.
fn report(ended: Ended, arguments: &RunArguments) -> Result<u8, Stop> {
    let summary = ended.result?;
    print(&summary, arguments.summary);
    write_csv(&summary, arguments.capacity_csv.as_deref())?;
    if let Some(record) = ended.record {
        eprintln!("recorded: {}", record.map_err(Stop::failed)?.dir.display());
    }
    if let Some(alert) = &summary.aborted_by {
        eprintln!("loadgen: aborted: {alert}");
    }
    Ok(match summary.outcome {
        summary::Outcome::Completed if summary.thresholds.iter().any(|t| !t.passed) => exit::FAILED,
        summary::Outcome::Completed => exit::DONE,
        summary::Outcome::Interrupted => exit::INTERRUPTED,
        summary::Outcome::Aborted => exit::FAILED,
    })
}

fn phases(scenario: &Scenario, arguments: &RunArguments) -> Result<Vec<Phase>, UnknownName> {
    if let Some(mode) = &arguments.mode {
        return scenario.mode(mode);
    }
    if arguments.phase.is_empty() {
        return Ok(scenario.default_phases());
    }
    arguments.phase.iter().map(|name| scenario.phase(name)).collect()
}

fn record(
    run: Checked,
    parent: &Path,
    arguments: &RunArguments,
    instance: String,
    abort: Option<loadgen::recorded::AbortRules>,
) -> Result<RecordedRun, Stop> {
    let scrape = arguments
        .scrape
        .iter()
        .map(|text| scrape_target(text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Stop::bad_input(format!("--scrape: {e}")))?;
    let options = RecordOptions { parent: parent.to_owned(), instance, scrape, abort };
    RecordedRun::begin(run, options).map_err(|e| match e {
        // A place that cannot be written is the user's to change, and known before the load starts.
        BeginError::Record(e) => Stop::bad_input(format!("--record {}: {e}", parent.display())),
        BeginError::Rules(_) => Stop::failed(e),
    })
}

/// The machine's name; with the shard's number where several may run on one machine.
fn shard_instance(shard: Shard) -> String {
    let machine = default_instance();
    if shard.is_shared() { format!("{machine}-{}", shard.index()) } else { machine }
}

/// `job=URL`, or a URL whose job is its host and port.
fn scrape_target(text: &str) -> Result<Target, RecordError> {
    match text.split_once('=').filter(|(job, _)| !job.contains("://")) {
        Some((job, url)) => Target::new(job, url),
        None => {
            let target = Target::new("scrape", text)?;
            Ok(Target { job: target.instance.clone(), ..target })
        }
    }
}

fn view(arguments: &RunArguments, control: &Control) -> Box<dyn View> {
    let is_terminal = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    match arguments.view {
        _ if arguments.quiet => Box::new(Quiet),
        ViewKind::Json => Box::new(JsonLines::new(std::io::stderr())),
        ViewKind::Lines => Box::new(Lines::stderr()),
        ViewKind::Auto if !is_terminal => Box::new(Lines::stderr()),
        ViewKind::Auto | ViewKind::Live => match Terminal::start(control.clone()) {
            Ok(terminal) => Box::new(terminal),
            Err(e) => {
                tracing::warn!("no live view: {e}");
                Box::new(Lines::stderr())
            }
        },
    }
}

/// Writes the windows of a search or a sweep.
fn write_csv(summary: &Summary, path: Option<&Path>) -> Result<(), Stop> {
    let Some(path) = path else { return Ok(()) };
    let csv = summary.capacity.as_ref().map(loadgen::capacity::CapacitySummary::to_csv).unwrap_or_default();
    std::fs::write(path, csv).map_err(|e| Stop::failed(format!("{}: {e}", path.display())))
}

fn print(summary: &Summary, kind: SummaryKind) {
    match kind {
        SummaryKind::Text => print!("{}", summary.to_text()),
        SummaryKind::Json => match serde_json::to_string_pretty(summary) {
            Ok(json) => println!("{json}"),
            Err(e) => eprintln!("loadgen: the summary: {e}"),
        },
        SummaryKind::None => {}
    }
}
