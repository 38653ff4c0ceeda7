//! Arguments in one place; each command acts on them in its own file. Invariant: data goes to stdout,
//! everything else to stderr, and the exit codes are those of the manual.

mod check;
mod list;
mod run;
mod telemetry;

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

use clap::{
    Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use loadgen::sink::otlp::Protocol;

/// Exit codes.
pub(crate) mod exit {
    pub(crate) const DONE: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const BAD_INPUT: u8 = 2;
    pub(crate) const UNHEALTHY: u8 = 3;
    pub(crate) const INTERRUPTED: u8 = 130;
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
    /// Exit codes: 0 done, 1 the load could not go on (a full disk, say), 2 bad input, 3 the target is not
    /// healthy, 130 interrupted (the record is whole).
    Run(Box<RunArguments>),
    /// Say what is wrong with scenarios, all of it at once
    Check {
        /// Scenario files, directories with a scenario.yml, or names of packs
        #[arg(required = true)]
        scenarios: Vec<String>,
    },
    /// List the packs that come with the program, their modes and phases
    List,
}

/// What `run` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    /// A scenario file, a directory with a scenario.yml, or the name of a pack
    scenario: String,
    /// Where the load goes, instead of the scenario's own target
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// The mode: a named choice of phases
    #[arg(long, conflicts_with = "phase")]
    mode: Option<String>,
    /// A phase to run; may be given several times, in order
    #[arg(long)]
    phase: Vec<String>,
    /// Record the run into a new directory under DIR
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Scrape into the record: URL, or job=URL such as exporter=http://127.0.0.1:9100/metrics
    #[arg(long, value_name = "[JOB=]URL", requires = "record", num_args = 1..)]
    scrape: Vec<String>,
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
    /// Write percentile files (HdrHistogram's .hgrm) of each phase and step into DIR
    #[arg(long, value_name = "DIR")]
    hgrm: Option<PathBuf>,
    /// Serve the metrics for scraping at ADDRESS/metrics
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<std::net::SocketAddr>,
    /// The seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Multiply the length of all phases by X; rates and numbers of users stay
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,
    /// Worker threads; half the processors by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Show nothing while the load runs
    #[arg(long, short)]
    quiet: bool,
    /// How progress is shown: a live view on a terminal, else lines
    #[arg(long, value_enum, default_value_t = ViewKind::Auto)]
    view: ViewKind,
    /// How the summary is printed at the end
    #[arg(long, value_enum, default_value_t = SummaryKind::Text)]
    summary: SummaryKind,
    /// The instance label of what is measured; the machine's name by default
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

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Colours are for people: not for files, and not for those who do not want them (https://no-color.org).
    let has_colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(has_colours)
        .with_writer(std::io::stderr)
        .init();
    ExitCode::from(match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check { scenarios } => check::check(&scenarios),
        Command::List => list::list(),
    })
}
