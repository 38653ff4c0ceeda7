//! Benchmarks against the peers, each side measured in the same run on the same data.
//!
//! Invariant: a figure is printed with what it was measured on; a claim is a ratio, never an absolute time.

mod before;
mod data;
mod exporter;
mod linearity;
mod loadgen;
pub(crate) mod machine;
mod measure;
mod page;
mod promql;
mod reference;
mod rules;
mod soundness;
mod tsdb;

use std::path::PathBuf;

use anyhow::Result;

use crate::{folder, peers, shell};
pub(crate) use loadgen::{Serve, serve};
pub(crate) use measure::{Measure, measure};

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Range queries over blocks: ruleseval against Prometheus and VictoriaMetrics.
    Promql(Size),
    /// The cost of range queries as series and steps grow tenfold.
    Linearity(Size),
    /// A backtest of 200 rules against vmalert, and 200 unit tests against promtool.
    Rules(Size),
    /// OpenMetrics text into a block: ruleseval against promtool.
    Tsdb(Size),
    /// ruleseval against another build of itself, in pairs: an import, a backtest and the queries of `promql`.
    Before(before::Before),
    /// loadgen against wrk, oha, hey and locust, and against a server's log.
    Loadgen(loadgen::Loadgen),
    /// The exporter against node_exporter: time, processor time and memory of a scrape.
    Exporter(exporter::Scrapes),
    /// An hour judged and rendered, its page in Chromium, and the generator with and without the page of its run.
    Page(page::Pages),
    /// The expected times of the demo service under the profile reference: draws, and with --live whole phases.
    Reference(reference::Reference),
    /// Healthy runs of the demo, in which no alert may fire, and planted faults, in which the right ones must.
    Soundness(soundness::Soundness),
}

/// How much data the benchmark makes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Size {
    /// Samples of each series, one a second.
    #[arg(long, default_value_t = 3600)]
    samples: u32,
    /// Copies of the 900 series.
    #[arg(long, default_value_t = 1)]
    copies: u32,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// What every benchmark needs: the peers, our release binary, and a folder of its own.
struct Bed {
    peers: PathBuf,
    ruleseval: PathBuf,
    dir: PathBuf,
}

impl Bed {
    fn make(name: &str) -> Result<Self> {
        Ok(Self { peers: peers::install()?, ..Self::ours(name)? })
    }

    /// The same without peers.
    fn ours(name: &str) -> Result<Self> {
        let bin = shell::build("release", &["ruleseval"])?;
        let dir = shell::root().join("target/bench").join(name);
        folder::fresh(&dir)?;
        Ok(Self { peers: PathBuf::new(), ruleseval: bin.join("ruleseval"), dir })
    }
}

/// Runs a benchmark and prints its table in Markdown.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    machine::print();
    match bench {
        Bench::Promql(size) => promql::run(size),
        Bench::Linearity(size) => linearity::run(size),
        Bench::Rules(size) => rules::run(size),
        Bench::Tsdb(size) => tsdb::run(size),
        Bench::Before(before) => before::run(before),
        Bench::Loadgen(options) => loadgen::run(options),
        Bench::Exporter(options) => exporter::run(options),
        Bench::Page(options) => page::run(options),
        Bench::Reference(options) => reference::run(options),
        Bench::Soundness(options) => soundness::run(options),
    }
}

/// The middle value.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
