//! Memory: loadgen's resident set over a long run of tiny requests. Invariant: it is read from outside, at
//! even intervals, from the first interval to the last.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::rig::Rig;
use crate::process::{RESIDENT, memory_mib};

/// How long, and how often to look.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Seconds of the run.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Requests each second; as many as there can be if it is not given.
    #[arg(long)]
    rate: Option<u32>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 10)]
    every: u64,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let rig = Rig::make("memory")?;
    let server = match rig.nginx()? {
        Some(server) => server,
        None => rig.serve("tiny")?,
    };
    let phase = match options.rate {
        Some(rate) => format!(
            "{{executor: constant-arrival-rate, rate: {rate}/s, pre_allocated_vus: 100, max_vus: 100, duration: {}s}}",
            options.seconds
        ),
        None => format!("{{executor: constant-vus, vus: 50, duration: {}s}}", options.seconds),
    };
    let mut arguments = rig.scenario(server.port, "{name: get, get: /}", &[&phase])?;
    arguments.extend(["--record".to_owned(), rig.dir.join("runs").display().to_string()]);
    let mut child = rig.start_loadgen(&arguments)?;
    let (start, mut seen) = (Instant::now(), Vec::new());
    let status = loop {
        let next = start + Duration::from_secs(options.every) * (seen.len() as u32 + 1);
        sleep(next.saturating_duration_since(Instant::now()));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        seen.extend(memory_mib(child.id(), RESIDENT));
    };
    ensure!(status.success(), "loadgen: {status}");
    let load = options.rate.map_or("50 users".to_owned(), |rate| format!("{rate} requests/s"));
    println!("resident memory, every {} s, recording, {load}, in MiB:\n", options.every);
    let shown: Vec<String> = seen.iter().map(|m| format!("{m:.1}")).collect();
    println!("{}\n", shown.join(" "));
    let largest = seen.iter().copied().fold(0.0, f64::max);
    let settled = seen.get((60 / options.every.max(1)) as usize..).unwrap_or_default();
    let (after, end) = (settled.first().copied(), settled.last().copied());
    let minutes = (settled.len().saturating_sub(1) as u64 * options.every) as f64 / 60.0;
    println!(
        "largest {largest:.1}; after the first minute {:.2}; at the end {:.2}: {:.1} kB a minute",
        after.unwrap_or(f64::NAN),
        end.unwrap_or(f64::NAN),
        after.zip(end).map_or(f64::NAN, |(after, end)| (end - after) * 1048.576 / minutes)
    );
    Ok(())
}
