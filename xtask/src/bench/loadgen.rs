//! loadgen against other load generators: its speed, its memory, and whether what it reports is true.
//!
//! Invariant: the client has one core and the server another, each run of ours is next to runs of the others
//! against the same server, and truth is what the server logged.

mod capacity;
mod closed;
mod conversations;
mod distribution;
mod llm;
mod memory;
mod replay;
mod rig;
mod server;
mod streams;
mod tools;
mod truth;

use std::time::Duration;

use anyhow::Result;

pub(crate) use server::{Serve, serve};

/// What to measure of loadgen.
#[derive(Debug, clap::Args)]
pub(crate) struct Loadgen {
    #[command(subcommand)]
    part: Part,
}

/// The parts.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Requests for each second of processor time, 50 connections, tiny answers; loadgen, wrk, oha and hey.
    Closed(closed::Options),
    /// Whether the intervals of searches cover the capacity of queues that have a formula.
    Capacity(capacity::Options),
    /// loadgen's resident memory over a long run.
    Memory(memory::Options),
    /// A trace of 10,000 requests each second: how late they start.
    Replay(replay::Options),
    /// Conversations from a file of a gigabyte: memory, and how soon the first request comes.
    Conversations(conversations::Options),
    /// Reported percentiles against the server's log, for answers that are constant, bimodal, and stalled.
    Truth(truth::Options),
    /// Times of streamed events against the server's log.
    Streams(streams::Options),
    /// Times of tokens, the cost of a request and the highest rate: loadgen, guidellm and aiperf.
    Llm(llm::Options),
}

/// Runs a part and prints its table.
pub(super) fn run(options: &Loadgen) -> Result<()> {
    match &options.part {
        Part::Closed(options) => closed::run(options),
        Part::Capacity(options) => capacity::run(options),
        Part::Memory(options) => memory::run(options),
        Part::Replay(options) => replay::run(options),
        Part::Conversations(options) => conversations::run(options),
        Part::Truth(options) => truth::run(options),
        Part::Streams(options) => streams::run(options),
        Part::Llm(options) => llm::run(options),
    }
}

/// Seconds, as scenarios write them.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
