//! Streams: times of events as loadgen reports them next to the server's log. Invariant: both sides are of the
//! same events: every stream that began is read to its end.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    distribution::{Percentiles, head, percentiles, row},
    rig::Rig,
    seconds,
    server::Log,
    truth::reported,
};

/// How many streams, and how they run.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Streams at a time.
    #[arg(long, default_value_t = 2000)]
    streams: u32,
    /// Events each second of each stream.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Events of a stream.
    #[arg(long, default_value_t = 500)]
    events: u32,
    /// Seconds in which streams begin; those that have begun are read to their end.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

const STEP: &str = "{name: chat, post: /v1/chat/completions, json: {model: bench, stream: true, messages: [{role: user, content: hello}]}, stream: sse, timeout: 120s}";

pub(super) fn run(options: &Options) -> Result<()> {
    let mut rig = Rig::make("streams")?;
    rig.be_undisturbed();
    let interval = Duration::from_secs(1) / options.rate;
    let plan = format!("stream:{}:{}", options.events, interval.as_secs_f64());
    let server = rig.serve(&plan)?;
    // Begun over two seconds, so that the events of different streams are apart.
    let phase = |length: u64| {
        format!(
            "{{executor: constant-vus, vus: {}, ramp: {}/s, duration: {}, graceful_stop: 60s}}",
            options.streams,
            options.streams.div_ceil(2),
            seconds(Duration::from_secs(length)),
        )
    };
    // In the first phase every user connects and reads one stream.
    let phases = [phase(2), phase(options.seconds)];
    let client = rig
        .client(&rig.loadgen, &rig.scenario(server.port, STEP, &[phases[0].as_str(), phases[1].as_str()])?)?;
    let summary: Value = serde_json::from_str(&client.stdout)?;
    ensure!(summary["errors"] == 0, "loadgen saw errors: {}", client.stdout);
    let warmup = summary["phases"][0]["requests"].as_u64().unwrap_or(0);
    let log = server.quit(warmup as usize)?;
    let truth = Truth::of(&log);
    let generation = &summary["phases"][1]["steps"][0]["generation"];
    println!(
        "{} streams of {} events/s each, {} events in all, peak memory {:.0} MiB; reported (true), in ms\n\n{}",
        options.streams,
        options.rate,
        log.sent.len(),
        client.peak_mib,
        head("loadgen")
    );
    println!("{}", row("time to first chunk", &reported(&generation["time_to_first_chunk"]), &truth.first));
    println!("{}", row("time per output chunk", &reported(&generation["time_per_output_chunk"]), &truth.gap));
    let all = f64::from(options.events) * summary["requests"].as_f64().unwrap_or(f64::NAN);
    println!("\n{:.2} µs of CPU an event", client.cpu_s * 1e6 / all);
    for warning in summary["warnings"].as_array().into_iter().flatten() {
        println!("\nloadgen warns: {warning}");
    }
    Ok(())
}

/// The true percentiles of a run.
struct Truth {
    /// From the request to the first event.
    first: Percentiles,
    /// From event to event of a stream.
    gap: Percentiles,
}

impl Truth {
    fn of(log: &Log) -> Self {
        let mut last: Vec<Option<u64>> = vec![None; log.received_ns.len()];
        let (mut first, mut gaps) = (Vec::new(), Vec::with_capacity(log.sent.len()));
        for (entry, at) in &log.sent {
            let entry = *entry as usize;
            match last[entry].replace(*at) {
                None => first.push((at - log.received_ns[entry]) as f64 / 1e9),
                Some(before) => gaps.push((at - before) as f64 / 1e9),
            }
        }
        Self { first: percentiles(&mut first), gap: percentiles(&mut gaps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_of_one_stream() {
        let ms = 1_000_000;
        let log = Log {
            received_ns: vec![0, ms],
            sent: vec![(0, 20 * ms), (1, 31 * ms), (0, 40 * ms), (1, 51 * ms)],
        };
        let truth = Truth::of(&log);
        assert_eq!((truth.first[0], truth.first[4]), (0.02, 0.03));
        assert_eq!(truth.gap, [0.02; 5]);
    }
}
