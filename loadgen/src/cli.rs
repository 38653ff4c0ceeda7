//! Arguments in one place; each command acts on them in its own file. Invariant: data goes to stdout,
//! everything else to stderr, and the exit codes are those of the manual.

mod abort;
mod check;
mod import;
mod init;
mod list;
mod merge;
mod once;
mod run;
mod schedule;
mod schema;
mod shards;
mod targets;
mod telemetry;

use std::{path::PathBuf, process::ExitCode};

use assay_text::console;
use clap::{
    Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use loadgen::{RunOptions, sink::otlp::Protocol};

/// Exit codes.
pub(crate) mod exit {
    pub(crate) const DONE: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const BAD_INPUT: u8 = 2;
    pub(crate) const UNHEALTHY: u8 = 4;
    pub(crate) use loadgen::recorded::INTERRUPTED;
}

/// Drives load at an HTTP service as a scenario describes it, and measures it from the schedule.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Drive the load, show it, record it
    ///
    /// Exit codes: 0 done, 1 an alert ended it, a threshold was missed or it could not continue (a full disk, say), 2 bad input, 4 the target is not
    /// healthy, 130 interrupted (the record is whole).
    Run(Box<RunArguments>),
    /// Say what is wrong with scenarios, all of it at once
    Check {
        /// Scenario files, directories with a scenario.yml, or names of packs
        #[arg(required = true)]
        scenarios: Vec<String>,
    },
    /// Make a scenario of an OpenAPI document, a HAR file or a curl command
    ///
    /// What looks like a secret becomes an environment variable. Exit codes: 0 done, 2 bad input.
    Import(import::ImportArguments),
    /// Write what is needed to load a service of your own: a scenario, an SLA, rules, a list of targets, and the override
    /// file for Docker Compose
    ///
    /// Exit codes: 0 done, 2 a file is in the way or cannot be written.
    Init(init::InitArguments),
    /// Merge the runs of shards into one whose counts and histograms are their sums
    ///
    /// Exit codes: 0 done, 2 the runs do not fit together or cannot be read.
    Merge {
        /// Run directories, one of each shard, or a folder of runs: then the shards of the load that was begun last
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// The new run directory
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print a JSON Schema of scenario or SLA files, for editors that check and complete YAML
    Schema {
        /// Whose schema
        #[arg(value_enum, default_value_t = schema::Of::Scenario)]
        of: schema::Of,
    },
    /// List the packs that come with the program, their modes and phases
    List,
}

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    /// A scenario file, a directory with a scenario.yml, or the name of a pack
    scenario: String,
    /// Where the load goes, instead of the scenario's own target; unix:/run/app.sock is a Unix socket (not on Windows)
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The HTTP proxy that all connections are tunnelled through, instead of the scenario's own
    #[arg(long, value_name = "URL", env = "LOADGEN_PROXY", hide_env_values = true)]
    proxy: Option<String>,
    /// Take any certificate of a server, from any authority; run.json and the report note it
    #[arg(long)]
    insecure: bool,
    /// An address instead of what a name resolves to, as curl takes it, or a socket: HOST:PORT:unix:/run/app.sock; may be given
    /// several times
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    resolve: Vec<loadgen::Route>,
    /// The mode: a named choice of phases
    #[arg(long, conflicts_with = "phase")]
    mode: Option<String>,
    /// A phase to run; may be given several times, in order
    #[arg(long)]
    phase: Vec<String>,
    /// A value for {{ env.NAME }} in the scenario, instead of the environment's; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    vars: Vec<(String, String)>,
    /// Record the run into a new directory under DIR
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Keep more of the answers that failed in the record's failures.jsonl, and of answers with an expected status that a check
    /// refused, too; secrets and values of data files are taken out
    #[arg(long)]
    keep_bodies: bool,
    /// Scrape into the record: URL, or job=URL such as exporter=http://127.0.0.1:9100/metrics
    #[arg(long, value_name = "[JOB=]URL", num_args = 1..)]
    scrape: Vec<String>,
    /// Scrape the targets of FILE too, a list as Prometheus' file_sd_configs takes it: [{targets: ["HOST:PORT"], labels:
    /// {job: NAME}}]; may be given several times
    #[arg(long, value_name = "FILE")]
    scrape_file: Vec<PathBuf>,
    /// Record the classic histograms that are scraped as native ones with custom buckets too, as Prometheus' option
    /// convert_classic_histograms_to_nhcb does; the classic series stay
    #[arg(long)]
    convert_classic_histograms_to_nhcb: bool,
    /// Push metrics over OTLP to URL/v1/metrics; for Prometheus: http://127.0.0.1:9090/api/v1/otlp
    ///
    /// OpenTelemetry's OTEL_EXPORTER_OTLP_* variables are honoured: ENDPOINT, PROTOCOL, HEADERS, TIMEOUT,
    /// COMPRESSION, CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY and INSECURE, each also for METRICS_ and TRACES_
    /// alone.
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// How OTLP travels: http/protobuf by default
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol())]
    otlp_protocol: Option<Protocol>,
    /// Make traces, push them over OTLP, and send `traceparent` with each request; RATIO of the iterations are
    /// sampled, from 0 to 1
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    trace_sample: Option<f64>,
    /// Where traces go, where that is another place than --otlp: the whole URL, such as
    /// http://127.0.0.1:4318/v1/traces
    #[arg(long, value_name = "URL", requires = "trace_sample")]
    otlp_traces: Option<String>,
    /// Profile the process PID with perf, or py-spy if it is Python, in each phase that is no warm-up; the record has a flame graph
    /// of each
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..), conflicts_with = "shards")]
    profile_pid: Option<i32>,
    /// Write percentile files (HdrHistogram's .hgrm) of each phase and step into DIR
    #[arg(long, value_name = "DIR")]
    hgrm: Option<PathBuf>,
    /// Write a line for each request to FILE.csv or FILE.jsonl: when, phase, step, user, status, error, times, tokens, bytes
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Serve the metrics for scraping at ADDRESS/metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<std::net::SocketAddr>,
    /// How long a scraped loadgen stays after the run at most: for two of the scrape intervals that it has seen, so that
    /// the end is on record
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration_or_zero_ms)]
    metrics_linger: i64,
    /// The seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Multiply the length of all phases by X; rates and numbers of users stay
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = time_scale)]
    time_scale: f64,
    /// Worker threads; half the processors by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Do one iteration of one user without load, record nothing, and say what failed; think times are not waited for
    #[arg(long, conflicts_with_all = ["record", "judge", "dry_run"])]
    once: bool,
    /// Show each request and response of --once, with captures and checks; secrets are hidden
    #[arg(long, short, requires = "once")]
    verbose: bool,
    /// Print the schedule and what each phase would do; nothing is sent
    #[arg(long, conflicts_with_all = ["record", "judge"])]
    dry_run: bool,
    /// Show nothing while the load runs
    #[arg(long, short)]
    quiet: bool,
    /// How progress is shown: a live view on a terminal, else lines
    #[arg(long, value_enum, default_value_t = ViewKind::Auto)]
    view: ViewKind,
    /// How the summary is printed at the end
    #[arg(long, value_enum, default_value_t = SummaryKind::Text)]
    summary: SummaryKind,
    /// Hold each load of a sweep N times, instead of as often as the scenario says; results have their 95 % intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: Option<u32>,
    /// Write the windows of a search or a sweep as CSV to FILE
    #[arg(long, value_name = "FILE")]
    capacity_csv: Option<PathBuf>,
    /// End the run with exit code 1 when an alert of SEVERITY fires in a phase that is no warm-up; may be given
    /// several times
    #[arg(long, value_name = "SEVERITY", requires_all = ["rules", "record"])]
    abort_on: Vec<String>,
    /// End with exit code 1 if a figure of the run is not as it must be; k6's syntax, such as 'http_req_duration{step:query}:
    /// p(99)<500' or 'http_req_failed: rate<0.01'; may be given several times
    #[arg(long, value_name = "EXPR")]
    threshold: Vec<loadgen::summary::Threshold>,
    /// Judge the run when it has ended: print the verdict, write verdict.json and report.html into the run's directory, and
    /// end with the verdict's exit code (0 pass, 1 fail, 3 inconclusive); records into runs/ unless --record says otherwise
    #[arg(long, conflicts_with = "shard")]
    judge: bool,
    /// Serve the page of the run at ADDRESS while it is in progress, such as 127.0.0.1:5665; when the run ends it becomes the report
    #[arg(long, value_name = "ADDRESS", requires = "judge")]
    web: Option<std::net::SocketAddr>,
    /// What the SLA's relative limits are relative to: a run, a baseline file (ruleseval baseline), or the JSON of a verdict
    #[arg(long, value_name = "RUN", requires = "judge")]
    baseline: Option<PathBuf>,
    /// SLA files, or patterns of them, that the run is judged by; by default the pack's own. They are put into the run's sla/
    #[arg(long, value_name = "FILE", num_args = 1..)]
    sla: Vec<PathBuf>,
    /// Rule files, or patterns of them, that the run is judged by, and --abort-on evaluates while it is in progress; by default the
    /// rules that ship. They are put into the run's rules/
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<String>,
    /// How often rule groups without an interval of their own are evaluated
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration_ms)]
    rules_interval: i64,
    /// Drive one part of the load, such as 0/3: users, rates, iterations and rows of data are split without
    /// overlap over shards 0/3, 1/3 and 2/3, which need the same scenario, mode and seed
    #[arg(long, value_name = "I/N")]
    shard: Option<loadgen::Shard>,
    /// Drive the load as N shards, each a process on this machine, with one view; records are merged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=64),
          conflicts_with_all = ["shard", "judge", "once", "dry_run", "metrics_listen", "requests", "hgrm", "capacity_csv", "abort_on"])]
    shards: Option<u32>,
    /// Start the first phase at TIME, the same for all shards (RFC 3339 or unix seconds)
    #[arg(long, value_name = "TIME", value_parser = time)]
    start_at: Option<i64>,
    /// The instance label of what is measured; the machine's name by default, and the shard's number behind it
    #[arg(long)]
    instance: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ViewKind {
    /// The live view on a terminal, else lines
    Auto,
    /// The live view
    Live,
    /// A line every few seconds
    Lines,
    /// A line of JSON each second
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SummaryKind {
    /// A table
    Text,
    /// JSON: requests, errors, duration_s, phases, steps, percentiles
    Json,
    /// Nothing
    None,
}

/// The protocols' names, for help and completion too.
fn protocol() -> impl TypedValueParser<Value = Protocol> {
    PossibleValuesParser::new(["http/protobuf", "grpc"]).try_map(|name| Protocol::parse(&name))
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("write a share of all iterations from 0 to 1, such as 0.1".to_owned()),
    }
}

fn time_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| RunOptions::is_time_scale(*scale));
    scale.ok_or_else(|| format!("expected a number above 0, up to {}", RunOptions::MOST_TIME_SCALE))
}

pub(crate) fn main() -> ExitCode {
    let (arguments, command): (Arguments, _) = match console::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(code) => return ExitCode::from(code),
    };
    console::start_logging();
    ExitCode::from(match arguments.command {
        Command::Run(arguments) => match arguments.shards {
            Some(count) => shards::run(&arguments, count),
            None => run::run(&arguments, &command.words()),
        },
        Command::Check { scenarios } => check::check(&scenarios),
        Command::Import(arguments) => import::import(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Merge { runs, out } => merge::merge(&runs, &out),
        Command::Schema { of } => schema::schema(of),
        Command::List => list::list(),
    })
}

/// Prints data; 1 if it cannot be written, as on a full disk.
fn print(text: &str, code: u8) -> u8 {
    match console::print(text) {
        Ok(()) => code,
        Err(e) => {
            console::say(format_args!("loadgen: {e}"));
            exit::FAILED
        }
    }
}

/// A duration as the user writes it, in milliseconds.
fn duration_ms(text: &str) -> Result<i64, String> {
    match assay_model::duration::parse_ms(text) {
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err("expected a duration above 0, such as 15s".to_owned()),
    }
}

/// A duration as the user writes it, which may be 0, in milliseconds.
fn duration_or_zero_ms(text: &str) -> Result<i64, String> {
    if text == "0" { Ok(0) } else { duration_ms(text) }
}

/// A time as the user writes it, in milliseconds since the Unix epoch.
fn time(text: &str) -> Result<i64, String> {
    assay_run::time::parse(text)
        .ok_or_else(|| "expected a time such as 2026-11-25T14:00:00Z, or seconds since 1970".to_owned())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE, such as model=small")?;
    Ok((name.to_owned(), value.to_owned()))
}
