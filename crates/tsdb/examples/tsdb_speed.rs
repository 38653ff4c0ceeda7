//! Measures opening and decoding a data directory, and what recording costs: `cargo run --release --example
//! tsdb_speed -p assay-tsdb -- DIR`. Without a directory it makes a block of 900 series of 3,600 samples.

use std::{path::Path, time::Duration};

use assay_model::{Column, Labels, Queryable};
use assay_tsdb::{BlockWriter, Database, Head, HeadOptions, OpenOptions};

const SERIES: u64 = 900;
const SAMPLES: u64 = 3_600;

fn labels(i: u64) -> Labels {
    let (path, le) = (format!("/api/v1/resource/{}", i / 12), (i % 12).to_string());
    let pairs =
        [("__name__", "http_request_duration_seconds_bucket"), ("job", "shop"), ("instance", "10.0.0.1:80")];
    Labels::from_pairs(pairs.into_iter().chain([("path", path.as_str()), ("le", le.as_str())]))
}

/// A counter that grows unevenly, as request counters do.
fn value(state: &mut u64, last: f64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    last + (*state >> 61) as f64
}

/// Processor time, so that a busy machine does not blur the figures; wall time where the system has none.
struct Timer(Duration);

impl Timer {
    fn start() -> Self {
        Self(Self::now())
    }

    fn now() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let ns = stat.split_whitespace().next().and_then(|n| n.parse().ok());
        let wall = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        ns.map_or_else(wall, Duration::from_nanos)
    }

    fn elapsed(&self) -> Duration {
        Self::now() - self.0
    }
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn main() -> Done {
    let dir = tempfile::tempdir()?;
    match std::env::args().nth(1) {
        Some(data) => read(Path::new(&data))?,
        None => {
            let data = dir.path().join("data");
            write(&data)?;
            read(&data)?;
        }
    }
    record(&dir.path().join("head"))
}

fn write(data: &Path) -> Done {
    let start = Timer::start();
    let mut writer = BlockWriter::create(data)?;
    let mut refs = Vec::new();
    for i in 0..SERIES {
        refs.push((writer.series(&labels(i))?, i + 1, 0.0));
    }
    for step in 0..SAMPLES {
        for (series, state, last) in &mut refs {
            *last = value(state, *last);
            writer.append(*series, 1_700_000_000_000 + step as i64 * 1000, *last)?;
        }
    }
    let appended = start.elapsed();
    let meta = writer.finish()?.ok_or("no samples")?;
    let n = meta.stats.num_samples as f64;
    println!("append        {:8.1} ns/sample", appended.as_nanos() as f64 / n);
    println!("append+finish {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let bytes: u64 = std::fs::metadata(data.join(&meta.ulid).join("chunks/000001"))?.len();
    println!("chunks        {:8.2} bytes/sample", bytes as f64 / n);
    Ok(())
}

fn read(data: &Path) -> Done {
    // Too short for the processor's clock, which ticks.
    let start = std::time::Instant::now();
    let db = Database::open(data, OpenOptions::default())?;
    println!("open          {:8.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let mut column = Column::default();
    let (mut best, mut sum, mut n) = (f64::INFINITY, 0.0, 0);
    for _ in 0..20 {
        let start = Timer::start();
        (sum, n) = (0.0, 0);
        for s in &db.select(&[], i64::MIN, i64::MAX)? {
            column.clear();
            s.read(i64::MIN, i64::MAX, &mut column)?;
            sum += column.values.last().copied().unwrap_or_default();
            n += column.len();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / n as f64);
    }
    println!(
        "decode        {best:8.2} ns/sample, the best of 20 over {n} samples (last values add up to {sum})"
    );
    Ok(())
}

/// A recording of 2,000 series once a second, for as long as a minute would take, without waiting.
fn record(dir: &Path) -> Done {
    let all: Vec<_> = (0..2000).map(labels).collect();
    let mut head = Head::create(dir, HeadOptions::default())?;
    let start = Timer::start();
    for step in 0..60 {
        for (l, i) in all.iter().zip(0..) {
            head.append(l, step * 1000, (step * i) as f64)?;
        }
        head.commit()?;
    }
    println!(
        "record        {:8.3} % of a core for 2,000 series/s",
        start.elapsed().as_secs_f64() / 60.0 * 100.0
    );
    let start = Timer::start();
    head.finish()?;
    println!("finish        {:8.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
