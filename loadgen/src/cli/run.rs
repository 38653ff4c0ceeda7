//! `loadgen run`.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Target};
use loadgen::{
    Phase, RunError, RunOptions, Scenario, Shard, Summary,
    sink::{
        exposition::Exposition,
        recorder::{RecorderSink, default_instance},
    },
    summary,
    view::{
        Quiet, View,
        lines::{JsonLines, Lines},
        terminal::Terminal,
    },
};

use super::{RunArguments, SummaryKind, ViewKind, exit, telemetry};

/// Why a run ended without a summary: the exit code and one line.
struct Stop(u8, String);

impl From<RunError> for Stop {
    fn from(e: RunError) -> Self {
        let code = match e {
            RunError::BadInput(_) => exit::BAD_INPUT,
            RunError::Unhealthy(_) => exit::UNHEALTHY,
            RunError::Sink(_) | RunError::System(_) => exit::FAILED,
        };
        Self(code, e.to_string())
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
        Err(Stop(code, message)) => {
            eprintln!("loadgen: {message}");
            code
        }
    }
}

async fn drive(arguments: &RunArguments) -> Result<u8, Stop> {
    let bad = |message: String| Stop(exit::BAD_INPUT, message);
    let scenario = Arc::new(Scenario::load(&arguments.scenario).map_err(|e| bad(e.to_string()))?);
    let mut options = RunOptions::new(Arc::clone(&scenario));
    options.phases = phases(&scenario, arguments).map_err(bad)?;
    options.capacity = match arguments.phase.is_empty() {
        true => scenario.capacity(arguments.mode.as_deref()).cloned(),
        false => None,
    };
    options.target.clone_from(&arguments.target);
    if arguments.capacity_csv.is_some() && options.capacity.is_none() {
        return Err(bad("--capacity-csv needs a mode with a search or a sweep".to_owned()));
    }
    options.proxy.clone_from(&arguments.proxy);
    options.seed = arguments.seed;
    options.time_scale = arguments.time_scale;
    options.workers = arguments.workers.map(usize::from);
    options.shard = arguments.shard.unwrap_or_default();
    options.start_at_ms = arguments.start_at;
    let instance = arguments.instance.clone().unwrap_or_else(|| shard_instance(options.shard));
    let rules = super::abort::rules(arguments).map_err(bad)?;
    // What can be known to be wrong is said before a record is begun.
    options.check().await?;
    let control = options.control();
    stop_on_signals(control.clone())
        .map_err(|e| Stop(exit::FAILED, format!("cannot watch for signals: {e}")))?;
    telemetry::start(arguments, &instance, &mut options).map_err(bad)?;
    if let Some(address) = arguments.metrics_listen {
        let sink =
            Exposition::listen(address).map_err(|e| bad(format!("--metrics-listen {address}: {e}")))?;
        options.sinks.push(Box::new(sink));
    }
    let recorder = match &arguments.record {
        Some(parent) => Some(record(parent, &scenario, arguments, &instance, &mut options)?),
        None => None,
    };
    let guard = match (rules, &recorder) {
        (Some(rules), Some(recorder)) => {
            let guard = super::abort::watch(rules, recorder, arguments, control.clone())
                .map_err(|e| Stop(exit::FAILED, format!("cannot evaluate rules: {e}")))?;
            options.sinks.push(guard.sink());
            Some(guard)
        }
        _ => None,
    };
    options.view = view(arguments, &control);
    let mut result = loadgen::run(options).await;
    let alert = guard.and_then(loadgen::guard::Guard::finish);
    if let (Ok(summary), Some(alert)) = (&mut result, alert) {
        summary.outcome = summary::Outcome::Aborted;
        summary.aborted_by = Some(alert);
    }
    let finished = recorder.map(|r| finish(r, &result)).transpose();
    let summary = result?;
    print(&summary, arguments.summary);
    write_csv(&summary, arguments.capacity_csv.as_deref())?;
    if let Some(directory) = finished? {
        eprintln!("recorded: {directory}");
    }
    if let Some(alert) = &summary.aborted_by {
        eprintln!("loadgen: aborted: {alert}");
    }
    Ok(match summary.outcome {
        summary::Outcome::Completed => exit::DONE,
        summary::Outcome::Interrupted => exit::INTERRUPTED,
        summary::Outcome::Aborted => exit::FAILED,
    })
}

fn phases(scenario: &Scenario, arguments: &RunArguments) -> Result<Vec<Phase>, String> {
    if let Some(mode) = &arguments.mode {
        return scenario.mode(mode);
    }
    if arguments.phase.is_empty() {
        return Ok(scenario.default_phases());
    }
    arguments.phase.iter().map(|name| scenario.phase(name)).collect()
}

fn record(
    parent: &Path,
    scenario: &Scenario,
    arguments: &RunArguments,
    instance: &str,
    options: &mut RunOptions,
) -> Result<Arc<Recorder>, Stop> {
    // A place that cannot be written is the user's to change, and known before the load starts.
    let failed =
        |e: assay_run::RecordError| Stop(exit::BAD_INPUT, format!("--record {}: {e}", parent.display()));
    let targets = arguments
        .scrape
        .iter()
        .map(|text| scrape_target(text))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Stop(exit::BAD_INPUT, format!("--scrape: {e}")))?;
    let start_ms = assay_run::time::now_ms();
    let directory = assay_run::recorder::run_directory(parent, &scenario.name, start_ms).map_err(failed)?;
    let mut manifest = Manifest::new(&scenario.name, start_ms).with_surroundings();
    manifest.mode.clone_from(&arguments.mode);
    manifest.target = arguments.target.clone().or_else(|| scenario.target.clone());
    manifest.seed = Some(arguments.seed);
    manifest.shard =
        arguments.shard.map(|s| assay_run::manifest::Shard { index: s.index(), count: s.count() });
    let recorder =
        Arc::new(Recorder::create(&directory, manifest, &RecorderOptions::default()).map_err(failed)?);
    for target in targets {
        recorder.scrape(target).map_err(failed)?;
    }
    options.sinks.push(Box::new(RecorderSink::new(Arc::clone(&recorder), instance)));
    Ok(recorder)
}

/// The machine's name; with the shard's number where several may run on one machine.
fn shard_instance(shard: Shard) -> String {
    let machine = default_instance();
    if shard.is_shared() { format!("{machine}-{}", shard.index()) } else { machine }
}

/// `job=URL`, or a URL whose job is its host and port.
fn scrape_target(text: &str) -> Result<Target, String> {
    match text.split_once('=').filter(|(job, _)| !job.contains("://")) {
        Some((job, url)) => Target::new(job, url).map_err(|e| e.to_string()),
        None => {
            let target = Target::new("scrape", text).map_err(|e| e.to_string())?;
            Ok(Target { job: target.instance.clone(), ..target })
        }
    }
}

fn finish(recorder: Arc<Recorder>, result: &Result<Summary, RunError>) -> Result<String, Stop> {
    let outcome = match result {
        Ok(summary) if summary.outcome == summary::Outcome::Completed => Outcome::Finished,
        Ok(Summary { aborted_by: Some(alert), .. }) => Outcome::Aborted { reason: alert.to_string() },
        Ok(_) => Outcome::Interrupted,
        Err(e) => Outcome::Aborted { reason: e.to_string() },
    };
    // The run and its sinks are gone, so this is the last handle.
    let recorder = Arc::try_unwrap(recorder)
        .map_err(|_| Stop(exit::FAILED, "the recording is still in use".to_owned()))?;
    let recorded = recorder.finish(outcome).map_err(|e| Stop(exit::FAILED, e.to_string()))?;
    Ok(recorded.dir.display().to_string())
}

fn view(arguments: &RunArguments, control: &loadgen::Control) -> Box<dyn View> {
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
    std::fs::write(path, csv).map_err(|e| Stop(exit::FAILED, format!("{}: {e}", path.display())))
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

/// Ctrl-C and SIGTERM end the run cleanly; a second one ends the program. The handlers are in place on return.
#[cfg(unix)]
fn stop_on_signals(control: loadgen::Control) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            control.stop();
        }
        loadgen::view::terminal::restore();
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    Ok(())
}

/// Ctrl-C ends the run cleanly; a second one ends the program.
#[cfg(not(unix))]
fn stop_on_signals(control: loadgen::Control) -> std::io::Result<()> {
    tokio::spawn(async move {
        for _ in 0..2 {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            control.stop();
        }
        loadgen::view::terminal::restore();
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    Ok(())
}
