//! Speed: requests for each second of the client's processor time, in a closed loop of tiny answers.
//!
//! Invariant: each round runs every tool once against the same server; ratios are of one round, and the median
//! round counts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    rig::{Client, Rig},
    tools,
};
use crate::bench::{measure::median_interval, median};

/// How the loop is run.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Seconds of each run.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Rounds; each runs every tool once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    connections: u32,
    /// Another build of loadgen to run next to this one, for a change's before and after.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Leaves the other tools out.
    #[arg(long)]
    alone: bool,
}

/// Runs of one tool, round by round.
#[derive(Default)]
struct Runs {
    per_cpu_s: Vec<f64>,
    per_s: Vec<f64>,
    peak_mib: f64,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let rig = Rig::make("closed")?;
    let server = match rig.nginx()? {
        Some(server) => server,
        None => {
            println!("nginx is not installed; our own server answers");
            rig.serve("tiny")?
        }
    };
    let others = if options.alone { Vec::new() } else { tools::installed(&tools::Tool::FAST) };
    let phase =
        format!("{{executor: constant-vus, vus: {}, duration: {}s}}", options.connections, options.seconds);
    let arguments = rig.scenario(server.port, "{name: get, get: /}", &[&phase])?;
    let mut own = vec![("loadgen", rig.loadgen.as_path())];
    own.extend(options.before.as_deref().map(|path| ("loadgen before", path)));
    let names: Vec<&str> =
        own.iter().map(|(name, _)| *name).chain(others.iter().map(|(tool, _)| tool.name())).collect();
    let mut all: Vec<Runs> = names.iter().map(|_| Runs::default()).collect();
    for _ in 0..options.rounds {
        for ((_, path), runs) in own.iter().zip(&mut all) {
            let (requests, client) = ours(&rig, path, &arguments)?;
            runs.add(requests, options.seconds, client.cpu_s, client.peak_mib);
        }
        for ((tool, path), runs) in others.iter().zip(&mut all[own.len()..]) {
            let client =
                rig.client(path, &tool.closed(options.connections, options.seconds, &server.url()))?;
            runs.add(tool.requests(&client.stdout)?, options.seconds, client.cpu_s, client.peak_mib);
        }
    }
    print(options, &names, &mut all);
    Ok(())
}

/// Runs a loadgen; gives how many requests were answered.
fn ours(rig: &Rig, path: &Path, arguments: &[String]) -> Result<(f64, Client)> {
    let client = rig.client(path, arguments)?;
    let summary: Value = serde_json::from_str(&client.stdout)?;
    ensure!(summary["errors"] == 0, "loadgen saw errors: {}", client.stdout);
    Ok((summary["requests"].as_f64().context("a count")?, client))
}

impl Runs {
    fn add(&mut self, requests: f64, seconds: u64, cpu_s: f64, peak_mib: f64) {
        self.per_cpu_s.push(requests / cpu_s);
        self.per_s.push(requests / seconds as f64);
        self.peak_mib = self.peak_mib.max(peak_mib);
    }
}

fn print(options: &Options, names: &[&str], all: &mut [Runs]) {
    println!(
        "\n{} connections, {} rounds of {} s each, medians; the ratio is of the same round, in brackets the median's interval of 95 % (all rounds' where there are fewer than 6)\n",
        options.connections, options.rounds, options.seconds
    );
    println!(
        "| tool | requests per CPU-second | µs of CPU each | requests per second | loadgen / tool | peak memory, MiB |\n|---|---|---|---|---|---|"
    );
    let ours = all[0].per_cpu_s.clone();
    for (name, runs) in names.iter().zip(all) {
        let ratios = ours.iter().zip(&runs.per_cpu_s).map(|(o, t)| o / t).collect();
        let [low, ratio, high] = median_interval(ratios);
        let per_cpu_s = median(&mut runs.per_cpu_s);
        println!(
            "| {name} | {per_cpu_s:.0} | {:.2} | {:.0} | {ratio:.3} ({low:.3} to {high:.3}) | {:.1} |",
            1e6 / per_cpu_s,
            median(&mut runs.per_s),
            runs.peak_mib
        );
    }
}
