//! Truth: what the tools report next to what the server logged, at a rate near loadgen's own limit.
//!
//! The server's log has, for each request, when the kernel had it and when its answer was written. The true
//! response time is the time between; the true latency from the schedule is from `origin + i / rate` to the answer of
//! the `i`-th request, where the origin is the latest at which no request came before its instant. What lies
//! outside is two ways through the loopback interface. Invariant: each tool is held against the log of its own
//! run.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    distribution::{Percentiles, head, percentiles, row},
    rig::{Rig, Served},
    server::Log,
    tools::{self, Tool},
};

/// How truth is sought.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Requests each second; 80 % of what loadgen can do by default.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Users, or connections of the other tools; more than answers take at the rate.
    #[arg(long, default_value_t = 1000)]
    users: u32,
    /// One plan only: constant, bimodal or stall.
    #[arg(long)]
    only: Option<String>,
    /// Leaves the other tools out.
    #[arg(long)]
    alone: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut rig = Rig::make("truth")?;
    let others = if options.alone { Vec::new() } else { tools::installed(&Tool::PACED) };
    rig.be_undisturbed();
    let rate = match options.rate {
        Some(rate) => rate,
        None => {
            let limit = ceiling(&rig, options)?;
            println!("loadgen's own limit, open loop, {} users: {limit:.0} requests/s", options.users);
            (limit * 0.8 / 100.0).floor() * 100.0
        }
    };
    // The plan counts from the first request, which is that of the warm-up.
    let middle = 1.0 + options.seconds as f64 / 2.0;
    let plans = [
        ("constant", "5 ms", "constant:0.005".to_owned()),
        ("bimodal", "2 ms, and 8 % of them 20 ms", "bimodal:0.002:0.02".to_owned()),
        ("stall", "2 ms, and no answer for 2 s in the middle", format!("stall:0.002:{middle}:2")),
    ];
    for (name, what, plan) in plans {
        if options.only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        println!(
            "\n{name}: {what}; {} s; reported (true), in ms\n\n{}",
            options.seconds,
            head("tool, rate, what")
        );
        ours(&rig, options, rate, &plan)?;
        for (tool, path) in &others {
            let rate = rate.min(tool.most_per_s());
            let server = rig.serve(&plan)?;
            let arguments = tool.paced(&rig.dir, options.users, rate, options.seconds, &server.url())?;
            let stdout = rig.client(path, &arguments)?.stdout;
            let reported = tool.percentiles(&rig.dir, &stdout)?;
            let truth = Truth::of(&server.quit(0)?, rate);
            let name = format!("{}, {rate:.0}/s", tool.name());
            println!("{}", row(&format!("{name}, response time"), &reported, &truth.response));
            println!("{}", row(&format!("{name}, from schedule"), &reported, &truth.latency));
        }
    }
    Ok(())
}

/// loadgen's rows.
fn ours(rig: &Rig, options: &Options, rate: f64, plan: &str) -> Result<()> {
    let server = rig.serve(plan)?;
    let summary = load(rig, &server, options, rate, options.seconds)?;
    let warmup = summary["phases"][0]["requests"].as_u64().unwrap_or(0);
    let phase = &summary["phases"][1];
    let truth = Truth::of(&server.quit(warmup as usize)?, rate);
    let name = format!("loadgen, {rate:.0}/s");
    for (what, field, truth) in
        [("response time", "duration", truth.response), ("from schedule", "latency", truth.latency)]
    {
        println!("{}", row(&format!("{name}, {what}"), &reported(&phase["steps"][0][field]), &truth));
    }
    if phase["dropped_iterations"] != 0 {
        println!("\nloadgen dropped {} iterations\n", phase["dropped_iterations"]);
    }
    Ok(())
}

/// The percentiles of a summary.
pub(super) fn reported(value: &Value) -> Percentiles {
    ["p50", "p90", "p95", "p99", "p99.9"].map(|p| value[p].as_f64().unwrap_or(f64::NAN))
}

/// Runs loadgen at a rate, after a second in which its users connect; gives its summary.
fn load(rig: &Rig, server: &Served, options: &Options, rate: f64, seconds: u64) -> Result<Value> {
    let users = options.users;
    let phase = |rate: f64, seconds: u64| {
        format!(
            "{{executor: constant-arrival-rate, rate: {rate}/s, pre_allocated_vus: {users}, max_vus: {users}, duration: {seconds}s}}"
        )
    };
    let phases = [phase(f64::from(users * 2), 1), phase(rate, seconds)];
    let step = "{name: get, get: /}";
    let arguments = rig.scenario(server.port, step, &[phases[0].as_str(), phases[1].as_str()])?;
    let client = rig.client(&rig.loadgen, &arguments)?;
    let summary: Value = serde_json::from_str(&client.stdout)?;
    ensure!(summary["errors"] == 0, "loadgen saw errors: {}", client.stdout);
    Ok(summary)
}

/// The highest rate of those tried at which loadgen keeps its schedule: 99 % of iterations start within a
/// millisecond of it. What it can do at most, where it is asked for far more, is where the search begins.
fn ceiling(rig: &Rig, options: &Options) -> Result<f64> {
    let run = |rate: f64| {
        let server = rig.serve("constant:0.002")?;
        load(rig, &server, options, rate, 4).map(|summary| summary["phases"][1].clone())
    };
    let most = run(1e6)?["rate_per_s"].as_f64().context("a rate")?;
    for percent in (40..=100).rev().step_by(10) {
        let rate = most * f64::from(percent) / 100.0;
        let phase = run(rate)?;
        let lag = phase["schedule_lag"]["p99"].as_f64().unwrap_or(f64::INFINITY);
        println!("at {rate:.0}/s 99 % of starts are within {:.3} ms", lag * 1e3);
        if lag < 0.001 && phase["dropped_iterations"] == 0 {
            return Ok(rate);
        }
    }
    bail!("loadgen keeps no schedule here, whatever the rate: other programs use its core")
}

/// The true percentiles of a run.
struct Truth {
    response: Percentiles,
    latency: Percentiles,
}

impl Truth {
    fn of(log: &Log, rate: f64) -> Self {
        let gap = 1e9 / rate;
        let start = log.received_ns.first().copied().unwrap_or(0);
        let since_start = |at: u64| (at as i64 - start as i64) as f64;
        // The transit of the fastest request is in the origin, and so not in the truth.
        let origin = log
            .received_ns
            .iter()
            .enumerate()
            .map(|(i, at)| since_start(*at) - i as f64 * gap)
            .fold(f64::INFINITY, f64::min);
        let (mut response, mut latency): (Vec<f64>, Vec<f64>) = log
            .sent
            .iter()
            .map(|(entry, sent)| {
                let due = origin + f64::from(*entry) * gap;
                let received = log.received_ns[*entry as usize];
                (sent.saturating_sub(received) as f64 / 1e9, (since_start(*sent) - due) / 1e9)
            })
            .unzip();
        Self { response: percentiles(&mut response), latency: percentiles(&mut latency) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_start_shows_in_the_latency_alone() {
        let ms = 1_000_000;
        // Ten a second, answered in 5 ms; the last was sent 50 ms late.
        let received_ns = vec![1000 * ms, 1100 * ms, 1200 * ms, 1350 * ms];
        let sent = received_ns.iter().enumerate().map(|(i, at)| (i as u32, at + 5 * ms)).collect();
        let truth = Truth::of(&Log { received_ns, sent }, 10.0);
        assert_eq!(truth.response, [0.005; 5]);
        assert_eq!(truth.latency.map(|s| (s * 1e6).round()), [5e3, 55e3, 55e3, 55e3, 55e3]);
    }
}
