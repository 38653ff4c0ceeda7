//! Range queries: one `ruleseval query` process a query, from start to printed result, against warm servers.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::{
    Bed, Size, data,
    measure::{Usage, usage},
    median,
};
use crate::{
    process::{Process, free_port},
    server::Server,
    shell,
};

pub(super) const QUERIES: [(&str, &str); 8] = [
    ("p99", "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))"),
    (
        "p95 by route",
        "histogram_quantile(0.95, sum by (le, route) (rate(http_request_duration_seconds_bucket[1m])))",
    ),
    ("error ratio", "sum(rate(http_requests_total{code=~\"5..\"}[1m])) / sum(rate(http_requests_total[1m]))"),
    ("rate by route", "sum by (route) (rate(http_requests_total[1m]))"),
    ("cpu from idle", "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[1m]))"),
    ("max over time", "max_over_time(queue_depth[5m]) > 40"),
    ("subquery avg", "avg_over_time(sum(rate(http_requests_total[1m]))[5m:15s])"),
    ("quantile over time", "quantile_over_time(0.9, queue_depth[5m])"),
];

pub(super) fn run(size: &Size) -> Result<()> {
    let bed = Bed::make("promql")?;
    let text = bed.dir.join("series.om");
    let samples = data::write_openmetrics(&text, size)?;
    let (text_name, blocks) = (text.to_string_lossy().into_owned(), bed.dir.join("blocks"));
    let made = ["tsdb", "create-blocks-from", "openmetrics", &text_name, &blocks.to_string_lossy()];
    shell::output(Command::new(bed.peers.join("promtool")).args(made))?;
    println!("{samples} samples; {} runs, medians, in milliseconds of wall time\n", size.runs);

    let prometheus = prometheus(&bed)?;
    let victoria = victoria(&bed, &text_name, size, samples)?;
    println!(
        "| query | step | ruleseval (process) | Prometheus (warm) | VictoriaMetrics (warm) |\n|---|---|---|---|---|"
    );
    let (mut totals, mut our_peak) = ([0.0; 3], 0f64);
    for step in [15, 1] {
        let (start, end) = (data::START_S, data::START_S + i64::from(size.samples) - 1);
        for (name, query) in QUERIES {
            let mut times = [Vec::new(), Vec::new(), Vec::new()];
            for run in 0..=size.runs {
                let ours = range_query(&bed.ruleseval, &blocks, query, (start, end), step)?;
                our_peak = our_peak.max(ours.peak_mib);
                let p = prometheus.0.range_query_s(query, start, end, step)?;
                let v = victoria.0.range_query_s(query, start, end, step)?;
                // The first round warms the servers and the page cache.
                if run > 0 {
                    for (list, time) in times.iter_mut().zip([ours.wall_s, p, v]) {
                        list.push(time);
                    }
                }
            }
            let [o, p, v] = times.map(|mut t| median(&mut t) * 1e3);
            println!("| {name} | {step} s | {o:.1} | {p:.1} | {v:.1} |");
            for (total, ms) in totals.iter_mut().zip([o, p, v]) {
                *total += ms;
            }
        }
    }
    let [o, p, v] = totals;
    println!("| total | | {o:.0} | {p:.0} | {v:.0} |");
    println!("\nours / Prometheus: 1/{:.1}; ours / VictoriaMetrics: 1/{:.1}", p / o, v / o);
    println!(
        "peak memory MiB: ours {our_peak:.0}, Prometheus {:.0}, VictoriaMetrics {:.0}",
        prometheus.1.peak_mib()?,
        victoria.1.peak_mib()?
    );
    Ok(())
}

/// What one `ruleseval query` takes over a range, from start to printed result. Times and step are in seconds.
pub(super) fn range_query(
    program: &Path,
    data: &Path,
    query: &str,
    (start, end): (i64, i64),
    step: i64,
) -> Result<Usage> {
    let (data, start, end, step) =
        (data.to_string_lossy(), start.to_string(), end.to_string(), format!("{step}s"));
    let range = ["--start", &start, "--end", &end, "--step", &step, "--format", "json"];
    usage(program, &[&["query", &data, query][..], &range[..]].concat())
}

/// A Prometheus on the blocks.
fn prometheus(bed: &Bed) -> Result<(Server, Process)> {
    let (port, config) = (free_port()?, bed.dir.join("prometheus.yml"));
    fs::write(&config, "global: {scrape_interval: 1h}\n")?;
    let mut command = Command::new(bed.peers.join("prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", bed.dir.join("blocks").display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut process = Process::start("prometheus", &mut command, &bed.dir)?;
    let server = Server::new(port);
    server.wait_for("/-/ready", &mut process)?;
    Ok((server, process))
}

/// A VictoriaMetrics, its result cache off, with the same samples imported.
pub(super) fn victoria(bed: &Bed, text: &str, size: &Size, samples: u64) -> Result<(Server, Process)> {
    let port = free_port()?;
    let mut command = Command::new(bed.peers.join("victoria-metrics"));
    command
        .arg(format!("-storageDataPath={}", bed.dir.join("victoria").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-retentionPeriod=100y", "-search.disableCache", "-search.maxPointsPerTimeseries=100000"]);
    let mut process = Process::start("victoria-metrics", &mut command, &bed.dir)?;
    let server = Server::new(port);
    server.wait_for("/health", &mut process)?;
    let start = Instant::now();
    server.import_openmetrics(File::open(text).with_context(|| text.to_owned())?)?;
    let count = server.count_samples(data::START_S, size.samples)?;
    ensure!(count == samples, "VictoriaMetrics holds {count} of {samples} samples");
    eprintln!("VictoriaMetrics imported the text in {:.1} s", start.elapsed().as_secs_f64());
    Ok((server, process))
}
