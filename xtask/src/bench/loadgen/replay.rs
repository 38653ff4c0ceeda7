//! A trace at a high rate: how late its requests start. Invariant: the trace is the truth; what loadgen reports of its
//! own lateness is next to when the server had each request.

use std::{fmt::Write as _, fs};

use anyhow::{Result, ensure};
use rand::{SeedableRng as _, rngs::SmallRng};
use rand_distr::{Distribution as _, Exp1};
use serde_json::Value;

use super::{
    distribution::percentiles,
    rig::{Rig, Served},
    server::Log,
    truth::reported,
};

/// What is replayed.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Requests each second, on average; they come at random.
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// Seconds of the trace.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// How often it is replayed.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut rig = Rig::make("replay")?;
    rig.be_undisturbed();
    let due_ns = trace(options);
    let mut text = String::from("timestamp\n");
    for at in &due_ns {
        writeln!(text, "{}.{:09}", at / 1_000_000_000, at % 1_000_000_000)?;
    }
    fs::write(rig.dir.join("trace.csv"), text)?;
    println!(
        "{} requests in {} s; late by, in ms; answers after 1 ms\n\n| seen by | p50 | p99 | p99.9 | dropped | CPU µs a request |\n|---|---|---|---|---|---|",
        due_ns.len(),
        options.seconds
    );
    for _ in 0..options.runs {
        let server = rig.serve("constant:0.001")?;
        once(&rig, server, &due_ns)?;
    }
    Ok(())
}

/// The instants of the trace, in nanoseconds from its start; the same each time.
fn trace(options: &Options) -> Vec<u64> {
    let mut random = SmallRng::seed_from_u64(1);
    let mut at = 0.0;
    let gaps = std::iter::from_fn(|| {
        let gap: f64 = Exp1.sample(&mut random);
        at += gap / options.rate;
        (at < options.seconds).then_some((at * 1e9) as u64)
    });
    std::iter::once(0).chain(gaps).collect()
}

/// Replays the trace and prints both sides of it.
fn once(rig: &Rig, server: Served, due_ns: &[u64]) -> Result<()> {
    // Users that connect in the first phase are there in the second.
    let phases = [
        "{executor: constant-vus, vus: 200, duration: 1s}",
        "{executor: replay, trace: trace.csv, pre_allocated_vus: 200, max_vus: 2000}",
    ];
    let arguments = rig.scenario(server.port, "{name: get, get: /}", &phases)?;
    let client = rig.client(&rig.loadgen, &arguments)?;
    let summary: Value = serde_json::from_str(&client.stdout)?;
    ensure!(summary["errors"] == 0, "loadgen saw errors: {}", client.stdout);
    let warmup = summary["phases"][0]["requests"].as_u64().unwrap_or(0);
    let phase = &summary["phases"][1];
    let log = server.quit(warmup as usize)?;
    let requests = warmup as f64 + log.received_ns.len() as f64;
    let row = |what: &str, late: [f64; 5], rest: &str| {
        println!("| {what} | {:.3} | {:.3} | {:.3} | {rest} |", late[0] * 1e3, late[3] * 1e3, late[4] * 1e3);
    };
    let rest = format!("{} | {:.1}", phase["dropped_iterations"], client.cpu_s * 1e6 / requests);
    row("loadgen", reported(&phase["schedule_lag"]), &rest);
    row("the server", late(&log, due_ns), " | ");
    Ok(())
}

/// How late the server had the requests, in seconds, next to the one that was least late.
fn late(log: &Log, due_ns: &[u64]) -> [f64; 5] {
    let late: Vec<i64> =
        log.received_ns.iter().zip(due_ns).map(|(at, due)| *at as i64 - *due as i64).collect();
    let least = late.iter().copied().min().unwrap_or(0);
    percentiles(&mut late.iter().map(|ns| (ns - least) as f64 / 1e9).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_the_least_late() {
        let log = Log { received_ns: vec![5_000_000, 6_000_000, 9_000_000], sent: Vec::new() };
        let late = late(&log, &[0, 1_000_000, 2_000_000]);
        assert_eq!(late.map(|s| (s * 1e6).round()), [0.0, 2e3, 2e3, 2e3, 2e3]);
    }
}
