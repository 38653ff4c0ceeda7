//! Whether the interval of a search covers the capacity: in simulation, and on servers whose queue has a formula.
//!
//! Invariant: the capacity is known by formula before the search begins. With one server, Poisson arrivals and exponential
//! service the latency is exponential too, so its 99th percentile is within the limit up to `service − ln 100 ÷ limit`.

use std::{fs, process::Child};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::rig::{Rig, Served};
use crate::shell::{cargo, run as shell_run};

/// How many searches on real servers, and how long their windows are.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Searches on real servers, side by side, half an hour with the window as it is.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds of a window.
    #[arg(long, default_value_t = 30)]
    window: u64,
    /// Leaves the simulations out.
    #[arg(long)]
    real_only: bool,
}

/// Requests that the server works off each second, on average.
const SERVICE_PER_S: f64 = 200.0;
/// The limits of the 99th percentile, in milliseconds: at 90, 77 and 67 % of the service.
const LIMITS_MS: [u32; 3] = [230, 100, 70];

pub(super) fn run(options: &Options) -> Result<()> {
    if !options.real_only {
        println!("simulated: 500 searches on each queue\n");
        let test = ["test", "--release", "-p", "assay-loadgen", "--lib", "intervals_cover_the_capacity"];
        shell_run(cargo(&test).args(["--", "--ignored", "--nocapture"]))?;
    }
    if options.runs == 0 {
        return Ok(());
    }
    println!("\nreal, side by side; iterations/s\n");
    println!("| limit of p99 | capacity by formula | found | 95 % interval | windows | covered |");
    println!("|---|---|---|---|---|---|");
    let limits: Vec<u32> = LIMITS_MS.iter().copied().cycle().take(options.runs).collect();
    let started: Result<Vec<_>> =
        limits.iter().enumerate().map(|(n, limit)| start(options, n, *limit)).collect();
    let mut covered = 0;
    for (limit_ms, (rig, server, mut child)) in limits.iter().zip(started?) {
        let status = child.wait()?;
        drop(server);
        ensure!(status.success(), "loadgen: {status}");
        let summary: Value = serde_json::from_str(&fs::read_to_string(rig.dir.join("client.out"))?)?;
        let capacity = &summary["capacity"];
        let number = |key: &str| capacity["search"]["capacity_per_s"][key].as_f64().context("no interval");
        let (mean, low, high) = (number("mean")?, number("low")?, number("high")?);
        let truth = SERVICE_PER_S - 100f64.ln() / (f64::from(*limit_ms) / 1000.0);
        let is_covered = (low..=high).contains(&truth);
        covered += usize::from(is_covered);
        println!(
            "| {limit_ms} ms | {truth:.1} | {mean:.1} | {low:.1} to {high:.1} | {} | {} |",
            capacity["windows"].as_array().map_or(0, Vec::len),
            if is_covered { "yes" } else { "no" }
        );
    }
    // Two of three miss in less than one of a hundred tries.
    ensure!(covered + 1 >= options.runs, "{covered} of {} intervals cover the capacity", options.runs);
    Ok(())
}

/// Starts a server and a search on it.
fn start(options: &Options, number: usize, limit_ms: u32) -> Result<(Rig, Served, Child)> {
    let mut rig = Rig::make(&format!("capacity-{number}"))?;
    rig.be_undisturbed();
    let server = rig.serve(&format!("queue:1:{SERVICE_PER_S}:{number}"))?;
    let file = rig.dir.join("search.yml");
    let text = format!(
        "scenario: capacity\ntarget: http://127.0.0.1:{}\nflow: [{{get: /}}]\n\
         phases: {{connect: {{executor: constant-vus, vus: 1, duration: 1s, warmup: true}}}}\nmodes:\n  search:\n    search:\n      \
         rate: {{from: 20/s, to: 1000/s}}\n      window: {}s\n      arrivals: poisson\n      pre_allocated_vus: 200\n      \
         max_vus: 2000\n      objectives: {{latency: {{p99: {limit_ms}ms}}}}\n",
        server.port, options.window
    );
    fs::write(&file, text)?;
    let (file, seed) = (file.display().to_string(), number.to_string());
    let arguments = ["run", &file, "--mode", "search", "--seed", &seed, "--quiet", "--summary", "json"];
    let child = rig.start_loadgen(&arguments.map(str::to_owned))?;
    Ok((rig, server, child))
}
