//! `loadgen run`.

use std::{fmt::Display, io::IsTerminal as _, path::Path, sync::Arc, time::Duration};

use assay_report::terminal::{self, TerminalOptions};
use assay_text::{Clean, console, document};
use assay_verdict::{baseline::Baseline, standards::Standards};
use loadgen::{
    Control, Phase, RunError, RunOptions, Scenario, Shard, Summary, UnknownName,
    capacity::Plan,
    profile::Profiler,
    recorded::{BeginError, Ended, Judged, Page, RecordOptions, RecordedRun, judge, stop_on_signals},
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
            RunError::BeforeRun(_)
            | RunError::Sink(_)
            | RunError::PercentileFile(_)
            | RunError::System(_) => exit::FAILED,
        };
        // One line, whatever a server said.
        Self { code, message: Clean(e).to_string() }
    }
}

/// Runs the load and prints its summary.
pub(super) fn run(arguments: &RunArguments, command: &[String]) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            console::say(format_args!("loadgen: cannot start: {e}"));
            return exit::FAILED;
        }
    };
    match runtime.block_on(drive(arguments, command)) {
        Ok(code) => code,
        Err(Stop { code, message }) => {
            console::say_lines(format_args!("loadgen: {message}"));
            code
        }
    }
}

async fn drive(arguments: &RunArguments, command: &[String]) -> Result<u8, Stop> {
    let variables: Vec<String> = arguments.vars.iter().map(|(name, _)| name.clone()).collect();
    let scenario = Scenario::load_with(&arguments.scenario, &variables).map_err(Stop::bad_input)?;
    let scenario = Arc::new(scenario);
    let abort = super::abort::rules(arguments).map_err(Stop::bad_input)?;
    // What can be known to be wrong is said before a record is begun.
    let options = options(&scenario, arguments)?;
    let standards = standards(arguments, &options.phases)?;
    if let Some(pid) = arguments.profile_pid {
        loadgen::profile::exists(pid).map_err(|e| Stop::bad_input(format!("--profile-pid {pid}: {e}")))?;
    }
    if let Some(baseline) = &arguments.baseline {
        Baseline::read(baseline, &[]).map_err(Stop::bad_input)?;
    }
    if arguments.dry_run {
        return Ok(super::print(&super::schedule::schedule(&options), exit::DONE));
    }
    let mut checked = options.check().await?;
    if arguments.once {
        return super::once::once(checked, arguments.verbose).await.map_err(Stop::from);
    }
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
    let mut run = match record_into(arguments) {
        Some(parent) => {
            let scrape = super::targets::all(arguments).map_err(Stop::bad_input)?;
            let options = RecordOptions {
                parent: parent.to_owned(),
                instance,
                command: command.to_vec(),
                scrape,
                abort,
                standards,
                keep_bodies: arguments.keep_bodies,
            };
            RecordedRun::begin(checked, options).map_err(|e| cannot_record(parent, e))?
        }
        None => RecordedRun::unrecorded(checked),
    };
    if let (Some(pid), Some(dir)) = (arguments.profile_pid, run.dir()) {
        let profiler = Profiler::new(pid, dir);
        run.add_sink(Box::new(profiler));
    }
    let page = match arguments.web {
        None => None,
        Some(address) => {
            run.serve_page(address).map_err(|e| Stop::bad_input(format!("--web {address}: {e}")))?
        }
    };
    let control = run.control();
    run.show(view(arguments, &control));
    let ended = run.drive().await;
    let to_judge = ended.dir.clone().filter(|_| arguments.judge);
    let code = report(ended, arguments).and_then(|load| match to_judge {
        Some(dir) => verdict(&dir, load, page, arguments),
        None => Ok(load),
    });
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
    if let Some(times) = arguments.repeat {
        let Some(Plan::Sweep { levels, .. }) = options.capacity.as_ref().map(|c| &c.plan) else {
            return Err(Stop::bad_input(
                "--repeat needs a mode with a sweep; a whole run is repeated by running it again, and ruleseval compare takes all of them",
            ));
        };
        let plan = Plan::sweep(levels.clone(), times)
            .map_err(|e| Stop::bad_input(format!("--repeat {times}: {e}")))?;
        if let Some(capacity) = &mut options.capacity {
            capacity.plan = plan;
        }
    }
    options.target.clone_from(&arguments.target);
    options.proxy.clone_from(&arguments.proxy);
    options.insecure = arguments.insecure;
    options.routes.clone_from(&arguments.resolve);
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
    // Where the record is, the user learns whatever becomes of the rest.
    if let Some(record) = ended.record {
        console::say(format_args!("recorded: {}", record.map_err(Stop::failed)?.dir.display()));
    }
    if let Some(alert) = &summary.aborted_by {
        console::say(format_args!("loadgen: aborted: {alert}"));
    }
    write_csv(&summary, arguments.capacity_csv.as_deref())?;
    print(&summary, arguments.summary)?;
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

/// Where the run is recorded, if it is.
fn record_into(arguments: &RunArguments) -> Option<&Path> {
    let by_default = arguments.judge.then_some(Path::new("runs"));
    arguments.record.as_deref().or(by_default)
}

/// What the run is judged by: the files given, else those that ship with the pack. A scenario of one's own is judged by
/// the shipped rules, if it is judged at once; nothing else says that they fit it.
fn standards(arguments: &RunArguments, phases: &[Phase]) -> Result<Standards, Stop> {
    let ships = match loadgen::pack(&arguments.scenario) {
        Some(pack) => Standards::shipped(pack.name, phases.iter().map(|phase| phase.name.as_str())),
        None if arguments.judge => Standards::shipped("", []),
        None => Standards::default(),
    };
    let given = ships.with_rules(&arguments.rules).and_then(|s| s.with_slas(&arguments.sla));
    let standards = given.map_err(Stop::bad_input)?;
    if record_into(arguments).is_none() {
        let recorded_only = [
            ("--scrape", arguments.scrape.is_empty()),
            ("--scrape-file", arguments.scrape_file.is_empty()),
            ("--rules", arguments.rules.is_empty()),
            ("--sla", arguments.sla.is_empty()),
            ("--keep-bodies", !arguments.keep_bodies),
            ("--profile-pid", arguments.profile_pid.is_none()),
        ];
        if let Some((option, _)) = recorded_only.iter().find(|(_, is_empty)| !is_empty) {
            return Err(Stop::bad_input(format!(
                "{option} is for a run that is recorded: add --record DIR or --judge"
            )));
        }
    }
    Ok(standards)
}

fn cannot_record(parent: &Path, error: BeginError) -> Stop {
    match error {
        // A place that cannot be written is the user's to change, and known before the load starts.
        BeginError::Record(e) => Stop::bad_input(format!("--record {}: {e}", parent.display())),
        BeginError::Standards { .. } => Stop::bad_input(error),
        BeginError::Rules(_) | BeginError::Examples(_) => Stop::failed(error),
    }
}

/// Judges the run, prints the verdict, and gives its exit code, or that of a load which ended badly.
fn verdict(dir: &Path, load: u8, page: Option<Page>, arguments: &RunArguments) -> Result<u8, Stop> {
    let Judged { evaluation, report } = judge(dir, arguments.baseline.as_deref()).map_err(Stop::failed)?;
    if let Some(page) = page {
        page.end(report);
    }
    let text = terminal::render(&evaluation.verdict, TerminalOptions::of_stdout());
    // Standard output is for the summary where a program reads it.
    match arguments.summary {
        SummaryKind::Json => console::show(&text),
        SummaryKind::Text | SummaryKind::None => console::print(&text).map_err(Stop::failed)?,
    }
    console::say(format_args!("report: {}", dir.join("report.html").display()));
    Ok(if load == exit::DONE { evaluation.verdict.status.exit_code() } else { load })
}

/// The machine's name; with the shard's number where several may run on one machine.
fn shard_instance(shard: Shard) -> String {
    let machine = default_instance();
    if shard.is_shared() { format!("{machine}-{}", shard.index()) } else { machine }
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

fn print(summary: &Summary, kind: SummaryKind) -> Result<(), Stop> {
    let text = match kind {
        SummaryKind::Text => summary.to_text(),
        SummaryKind::Json => match serde_json::to_string_pretty(summary) {
            Ok(json) => document(json) + "\n",
            Err(e) => return Err(Stop::failed(format!("the summary: {e}"))),
        },
        SummaryKind::None => return Ok(()),
    };
    console::print(&text).map_err(Stop::failed)
}
