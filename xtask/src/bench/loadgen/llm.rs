//! Load generators for language models, each driving the same server of fixed delays: the times of every request as
//! the tool has them next to the server's log, what a request costs, and the rate that each can keep.
//!
//! Invariant: all tools send the same number of requests at the same constant rate, in turns and on the same core; what
//! is compared are single requests, joined in the order in which they were sent.

mod pairs;
mod tool;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{distribution::percentiles, rig::Rig};
use crate::shell::root;
use pairs::{Pair, Times};
use tool::{Job, Tool};

/// How the server answers, and how it is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Seconds from a request to its first token.
    #[arg(long, default_value_t = 0.2)]
    first: f64,
    /// Seconds from token to token.
    #[arg(long, default_value_t = 0.02)]
    gap: f64,
    /// Tokens of an answer.
    #[arg(long, default_value_t = 32)]
    tokens: u32,
    /// Requests each second of the table of errors.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Seconds of each run for the table of errors.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Runs of each tool for the table of errors.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// The highest rate tried in the search for the limits, in requests each second; 0 leaves it out.
    #[arg(long, default_value_t = 5120.0)]
    most: f64,
    /// Seconds of each run of that search.
    #[arg(long, default_value_t = 8)]
    step_seconds: u64,
    /// A folder with a `tokenizer.json`, without which aiperf does not start [default: that of `cargo xtask parts`]
    #[arg(long)]
    tokenizer: Option<PathBuf>,
}

/// A tool keeps a rate if this share of it comes, and if 99 % of its times to the first token are at most this share of
/// them wrong.
const RATE_SHARE: f64 = 0.99;
const ERROR_SHARE: f64 = 0.1;

/// The share of a run that is left out at its start, when connections are made: one in so many.
const WARMUP: usize = 4;

pub(super) fn run(options: &Options) -> Result<()> {
    let mut rig = Rig::make("llm")?;
    rig.be_undisturbed();
    let tokenizer = options.tokenizer.clone().unwrap_or_else(|| root().join(".parts/minilm"));
    let tools = tool::installed(&rig, &tokenizer);
    let bench = Bench { rig, options, tokenizer };
    println!(
        "\n{} ms to the first token, {} ms from token to token, {} tokens",
        options.first * 1e3,
        options.gap * 1e3,
        options.tokens
    );
    bench.errors(&tools)?;
    if options.most > 0.0 { bench.limits(&tools) } else { Ok(()) }
}

/// What all runs have in common.
struct Bench<'o> {
    rig: Rig,
    options: &'o Options,
    tokenizer: PathBuf,
}

/// What came of a run.
struct Outcome {
    /// The requests after the start of the run.
    pairs: Vec<Pair>,
    /// All requests that came, and those that the tool has times of.
    asked: usize,
    answered: usize,
    cpu_s: f64,
}

impl Bench<'_> {
    /// Runs a tool at a rate.
    fn drive(&self, (tool, program): &(Tool, PathBuf), rate: f64, seconds: u64) -> Result<Outcome> {
        let o = self.options;
        let server = self.rig.serve(&format!("stream:{}:{}:{}", o.tokens, o.gap, o.first))?;
        let job = Job {
            rate,
            seconds,
            length_s: o.first + o.gap * f64::from(o.tokens),
            tokens: o.tokens,
            tokenizer: &self.tokenizer,
        };
        let client = self.rig.client(program, &tool.arguments(&self.rig, &server, &job)?)?;
        let truth = Times::logged(&server.quit(0)?);
        let reported = tool.times(&self.rig)?;
        ensure!(!reported.is_empty(), "{} has times of no request", tool.name());
        let (asked, answered) = (truth.len(), reported.len());
        let mut pairs = pairs::join(reported, truth);
        pairs.drain(..pairs.len() / WARMUP);
        Ok(Outcome { pairs, asked, answered, cpu_s: client.cpu_s })
    }

    /// The tables of errors and of costs.
    fn errors(&self, tools: &[(Tool, PathBuf)]) -> Result<()> {
        let o = self.options;
        let mut sums: Vec<(Vec<Pair>, f64, usize)> = tools.iter().map(|_| (Vec::new(), 0.0, 0)).collect();
        for _ in 0..o.rounds {
            for (tool, (pairs, cpu_s, requests)) in tools.iter().zip(&mut sums) {
                let outcome = self.drive(tool, o.rate, o.seconds)?;
                pairs.extend(outcome.pairs);
                *cpu_s += outcome.cpu_s;
                *requests += outcome.asked;
            }
        }
        println!(
            "\n{} requests/s for {} s, {} times; ms, in brackets the server's log; errors are those of single requests\n\n\
             | tool | time | p50 | p99 | error p50 | error p99 | largest error |\n|---|---|---|---|---|---|---|",
            o.rate, o.seconds, o.rounds
        );
        for ((tool, _), (pairs, ..)) in tools.iter().zip(&sums) {
            for (what, of) in TIMES {
                println!("| {} | {what} | {} |", tool.name(), compared(pairs, of));
            }
        }
        println!("\n| tool | requests | CPU ms a request | CPU s to start and stop |\n|---|---|---|---|");
        for (tool, (_, cpu_s, requests)) in tools.iter().zip(sums) {
            // A run of one request costs little else.
            let start_s = self.drive(tool, 1.0, 1)?.cpu_s;
            let each_s = (cpu_s - start_s * f64::from(o.rounds)) / requests as f64;
            println!("| {} | {requests} | {:.2} | {start_s:.2} |", tool.0.name(), each_s * 1e3);
        }
        Ok(())
    }

    /// The rates that each tool keeps: doubled up to the first that it does not keep, twice in a row, then once between.
    fn limits(&self, tools: &[(Tool, PathBuf)]) -> Result<()> {
        println!(
            "\n| requests/s | tool | came | answered | first token: error p50, ms | p99 | server late p99, ms | keeps the rate |\n\
             |---|---|---|---|---|---|---|---|"
        );
        // The highest rate that a tool kept, and the lowest that it did not.
        let mut bounds = vec![(f64::NAN, f64::INFINITY); tools.len()];
        let mut rate = self.options.rate;
        while rate <= self.options.most && bounds.iter().any(|(_, lost)| lost.is_infinite()) {
            for (tool, (kept, lost)) in tools.iter().zip(&mut bounds).filter(|(_, b)| b.1.is_infinite()) {
                let is_kept = self.keeps(tool, rate)? || self.keeps(tool, rate)?;
                *(if is_kept { kept } else { lost }) = rate;
            }
            rate *= 2.0;
        }
        for (tool, (kept, lost)) in tools.iter().zip(&mut bounds) {
            if kept.is_finite() && lost.is_finite() {
                let between = (*kept * std::f64::consts::SQRT_2).round();
                *(if self.keeps(tool, between)? { &mut *kept } else { &mut *lost }) = between;
            }
        }
        println!("\n| tool | keeps, requests/s | keeps no longer |\n|---|---|---|");
        for (tool, (kept, lost)) in tools.iter().zip(&bounds) {
            println!("| {} | {kept:.0} | {lost:.0} |", tool.0.name());
        }
        Ok(())
    }

    /// Whether a tool keeps a rate; the run's line is printed.
    fn keeps(&self, tool: &(Tool, PathBuf), rate: f64) -> Result<bool> {
        let o = self.options;
        let Outcome { pairs, asked, answered, .. } = self.drive(tool, rate, o.step_seconds)?;
        let came = match pairs.as_slice() {
            [first, .., last] => (pairs.len() - 1) as f64 / (last.truth.sent_s - first.truth.sent_s),
            _ => f64::NAN,
        };
        let errors = percentiles(&mut errors(&pairs, first));
        let late = percentiles(&mut pairs.iter().map(|p| p.truth.first_s - o.first).collect::<Vec<_>>());
        let is_kept = came >= RATE_SHARE * rate && answered >= asked && errors[3] <= ERROR_SHARE * o.first;
        println!(
            "| {rate:.0} | {} | {came:.1} | {answered}/{asked} | {:.2} | {:.2} | {:.2} | {} |",
            tool.0.name(),
            errors[0] * 1e3,
            errors[3] * 1e3,
            late[3] * 1e3,
            if is_kept { "yes" } else { "no" }
        );
        Ok(is_kept)
    }
}

/// A time of a request, as it is reported or logged.
type Time = fn(&Times) -> f64;

const TIMES: [(&str, Time); 2] = [("to the first token", first), ("from token to token", gap)];

fn first(times: &Times) -> f64 {
    times.first_s
}

fn gap(times: &Times) -> f64 {
    times.gap_s
}

/// By how much each is wrong.
fn errors(pairs: &[Pair], of: Time) -> Vec<f64> {
    pairs.iter().map(|p| (of(&p.reported) - of(&p.truth)).abs()).collect()
}

/// The columns of a time: reported percentiles, the true ones, and the errors of single requests.
fn compared(pairs: &[Pair], of: Time) -> String {
    let all =
        |side: fn(&Pair) -> &Times| percentiles(&mut pairs.iter().map(|p| of(side(p))).collect::<Vec<_>>());
    let (reported, truth) = (all(|p| &p.reported), all(|p| &p.truth));
    let mut errors = errors(pairs, of);
    let (p, largest) = (percentiles(&mut errors), errors.last().copied().unwrap_or(f64::NAN));
    let ms = |s: f64| format!("{:.3}", s * 1e3);
    let both = |i: usize| format!("{} ({})", ms(reported[i]), ms(truth[i]));
    [both(0), both(3), ms(p[0]), ms(p[3]), ms(largest)].join(" | ")
}
