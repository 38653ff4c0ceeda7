//! The series that the benchmarks read: 900 of them, as a service and its host would have them.
//!
//! Invariant: the same size gives the same bytes; values come from a small generator with a fixed seed.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Result;

use super::Size;

/// The first sample's time, in seconds: a fixed instant, so that block boundaries never move.
pub(super) const START_S: i64 = 1_767_225_600;

const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

/// A xorshift generator: its quality is ample for test data and its sequence never changes.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// One series: how it is written, and how its value moves.
struct Series {
    head: String,
    family: usize,
}

const FAMILIES: [(&str, &str); 4] = [
    ("http_request_duration_seconds", "histogram"),
    ("http_requests", "counter"),
    ("node_cpu_seconds", "counter"),
    ("queue_depth", "gauge"),
];

fn series(copies: u32) -> Vec<Series> {
    let mut all = Vec::new();
    for copy in 0..copies {
        let mut push = |family, head| all.push(Series { head, family });
        for instance in 0..5 {
            for route in 0..5 {
                for le in BOUNDS {
                    push(
                        0,
                        format!(
                            "http_request_duration_seconds_bucket{{copy=\"{copy}\",instance=\"i{instance}\",route=\"/r{route}\",le=\"{le}\"}}"
                        ),
                    );
                }
            }
        }
        for instance in 0..10 {
            for route in 0..5 {
                for code in ["200", "404", "500", "503"] {
                    push(
                        1,
                        format!(
                            "http_requests_total{{copy=\"{copy}\",instance=\"i{instance}\",route=\"/r{route}\",code=\"{code}\"}}"
                        ),
                    );
                }
            }
        }
        for instance in 0..2 {
            for cpu in 0..16 {
                for mode in ["user", "system", "idle", "iowait", "irq", "softirq", "nice", "steal"] {
                    push(
                        2,
                        format!(
                            "node_cpu_seconds_total{{copy=\"{copy}\",instance=\"h{instance}\",cpu=\"{cpu}\",mode=\"{mode}\"}}"
                        ),
                    );
                }
            }
        }
        for shard in 0..144 {
            push(3, format!("queue_depth{{copy=\"{copy}\",shard=\"s{shard}\"}}"));
        }
    }
    all.sort_by_key(|s| s.family);
    all
}

/// Writes the data as OpenMetrics text and yields how many samples it holds.
pub(super) fn write_openmetrics(path: &Path, size: &Size) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut samples = 0;
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut family = usize::MAX;
    for s in series(size.copies) {
        if s.family != family {
            family = s.family;
            writeln!(out, "# TYPE {} {}", FAMILIES[family].0, FAMILIES[family].1)?;
        }
        let mut value = 0.0;
        for i in 0..size.samples {
            value = match s.family {
                0 | 1 => value + noise.below(7) as f64,
                2 => value + noise.below(1000) as f64 / 1000.0,
                _ => noise.below(64) as f64,
            };
            writeln!(out, "{} {value} {}", s.head, START_S + i64::from(i))?;
            samples += 1;
        }
    }
    writeln!(out, "# EOF")?;
    out.flush()?;
    Ok(samples)
}
