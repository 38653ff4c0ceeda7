//! What the report and the page of a run cost: an hour at one second judged and rendered, the page in a browser, and the generator with
//! and without the page of its run.
//!
//! Invariant: with and without take turns in one call, on the same target at the same rate.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{measure::usage_of_judging, median};
use crate::{
    folder, page,
    process::{Process, free_port},
    server::Server,
    shell,
};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Pages {
    /// Seconds of the recorded run that is judged.
    #[arg(long, default_value_t = 3600)]
    samples: u32,
    /// Its series.
    #[arg(long, default_value_t = 900)]
    series: u32,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each run with and without the page.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Requests per second in these runs.
    #[arg(long, default_value_t = 200)]
    rate: u32,
}

pub(super) fn run(options: &Pages) -> Result<()> {
    let programs = shell::build("release", &page::PROGRAMS)?;
    let dir = shell::root().join("target/bench/page");
    folder::fresh(&dir)?;
    let report = report(options, &programs, &dir)?;
    page::measure(&report, &dir.join("browser"))?;
    live(options, &programs, &dir)
}

/// An hour judged by the shipped rules and SLA, with its page; yields the page.
fn report(options: &Pages, programs: &Path, dir: &Path) -> Result<PathBuf> {
    let (run, page) = (dir.join("run"), dir.join("report.html"));
    let arguments = ["run", "--quiet", "--release", "-p", "assay-run", "--example", "long_run", "--"];
    let mut make = shell::cargo(&arguments);
    make.arg(&run).arg(options.samples.to_string()).arg(options.series.to_string());
    println!("{}", shell::output(&mut make)?.trim());
    let (run_text, page_text) = (run.display().to_string(), page.display().to_string());
    let root = shell::root();
    let rules = root.join("prometheus/rules/*.yml").display().to_string();
    let sla = root.join("prometheus/sla/clinical-rag.yml").display().to_string();
    let arguments = ["eval", &run_text, "--rules", &rules, "--sla", &sla, "--html", &page_text];
    let (mut wall, mut cpu, mut peak) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.runs {
        let took = usage_of_judging(&programs.join("ruleseval"), &arguments)?;
        wall.push(took.wall_s);
        cpu.push(took.cpu_s);
        peak.push(took.peak_mib);
    }
    println!("\n| judged and rendered | wall s | cpu s | peak MiB | page kB |\n|---|---|---|---|---|");
    println!(
        "| {} s, {} series, {} runs | {:.2} | {:.2} | {:.0} | {} |",
        options.samples,
        options.series,
        options.runs,
        median(&mut wall),
        median(&mut cpu),
        median(&mut peak),
        fs::metadata(&page)?.len() / 1000
    );
    Ok(page)
}

/// The generator with and without the page of its run, in turns.
fn live(options: &Pages, programs: &Path, dir: &Path) -> Result<()> {
    let (service, host) = (free_port()?, free_port()?);
    let mut command = Command::new(programs.join("demo"));
    command.args(["serve", "--listen"]).arg(format!("127.0.0.1:{service}"));
    let mut demo = Process::start("demo", &mut command, dir)?;
    Server::new(service).wait_for("/health", &mut demo)?;
    let mut command = Command::new(programs.join("exporter"));
    command.arg(format!("--web.listen-address=127.0.0.1:{host}"));
    let mut exporter = Process::start("exporter", &mut command, dir)?;
    Server::new(host).wait_for("/metrics", &mut exporter)?;
    let scenario = dir.join("scenario.yml");
    let text = format!(
        "scenario: page\ntarget: http://127.0.0.1:{service}\nflow:\n  - {{name: health, get: /health}}\nphases:\n  \
         steady: {{executor: constant-arrival-rate, rate: {}/s, duration: {}s, max_vus: 50}}\n",
        options.rate, options.seconds
    );
    fs::write(&scenario, text)?;
    let loaded = Loaded { loadgen: programs.join("loadgen"), scenario, service, host, dir: dir.to_owned() };
    println!(
        "\n| turn | page | cpu, % of a core | p50 ms | p99 ms | events | charts |\n|---|---|---|---|---|---|---|"
    );
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for turn in 1..=options.runs {
        for has_page in [false, true] {
            let once = loaded.once(has_page)?;
            println!(
                "| {turn} | {} | {:.2} | {:.3} | {:.3} | {} | {} |",
                if has_page { "yes" } else { "no" },
                once.cpu_share * 100.0,
                once.p50_s * 1e3,
                once.p99_s * 1e3,
                once.events,
                once.charts
            );
            if has_page { &mut with } else { &mut without }.push(once);
        }
    }
    let middle =
        |list: &[Once], pick: fn(&Once) -> f64| median(&mut list.iter().map(pick).collect::<Vec<_>>());
    let share = |list: &[Once]| middle(list, |o| o.cpu_share) * 100.0;
    println!(
        "\nmedians: the page takes {:.2} % of a core ({:.2} with, {:.2} without); p50 {:.3} ms with, {:.3} without; p99 {:.3} and {:.3}",
        share(&with) - share(&without),
        share(&with),
        share(&without),
        middle(&with, |o| o.p50_s) * 1e3,
        middle(&without, |o| o.p50_s) * 1e3,
        middle(&with, |o| o.p99_s) * 1e3,
        middle(&without, |o| o.p99_s) * 1e3,
    );
    Ok(())
}

/// A load, and what it is on.
struct Loaded {
    loadgen: PathBuf,
    scenario: PathBuf,
    service: u16,
    host: u16,
    dir: PathBuf,
}

/// What a run of it came to.
struct Once {
    /// Processor time by time.
    cpu_share: f64,
    p50_s: f64,
    p99_s: f64,
    /// Events that a client of the page got, and the charts in the page.
    events: usize,
    charts: usize,
}

impl Loaded {
    fn once(&self, has_page: bool) -> Result<Once> {
        let runs = self.dir.join("runs");
        folder::fresh(&runs)?;
        let text = |path: &Path| path.display().to_string();
        let scrape = |job: &str, port: u16| format!("{job}=http://127.0.0.1:{port}/metrics");
        let mut arguments =
            vec!["run".to_owned(), text(&self.scenario), "--quiet".to_owned(), "--judge".to_owned()];
        arguments.extend(["--record".to_owned(), text(&runs)]);
        arguments.extend([
            "--scrape".to_owned(),
            scrape("demo", self.service),
            scrape("exporter", self.host),
        ]);
        let root = shell::root();
        arguments.extend(["--rules".to_owned(), text(&root.join("prometheus/rules/*.yml"))]);
        arguments.extend(["--sla".to_owned(), text(&root.join("prometheus/sla/clinical-rag.yml"))]);
        let port = free_port()?;
        if has_page {
            arguments.extend(["--web".to_owned(), format!("127.0.0.1:{port}")]);
        }
        let client = has_page.then(|| thread::spawn(move || watch(port)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let usage = usage_of_judging(&self.loadgen, &arguments)?;
        let (events, charts) = match client.map(thread::JoinHandle::join) {
            Some(Ok(seen)) => seen,
            _ => (0, 0),
        };
        ensure!(!has_page || events > 10, "a client of the page got {events} events");
        let run = folder::only_entry(&runs)?;
        let verdict: Value = serde_json::from_str(&fs::read_to_string(run.join("verdict.json"))?)?;
        let times = &verdict["tables"]["steps"][0]["duration"];
        let time = |name: &str| times[name].as_f64().context("a time");
        Ok(Once {
            cpu_share: usage.cpu_s / usage.wall_s,
            p50_s: time("p50")?,
            p99_s: time("p99")?,
            events,
            charts,
        })
    }
}

/// Follows a page until its run ends; yields how many events there were, and the charts of the page.
fn watch(port: u16) -> (usize, usize) {
    let begun = Instant::now();
    let ask = |path: &str| -> Option<TcpStream> {
        while begun.elapsed() < Duration::from_secs(10) {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").as_bytes()).ok()?;
                return Some(stream);
            }
            thread::sleep(Duration::from_millis(20));
        }
        None
    };
    let (mut events, mut charts, mut text) = (0, 0, Vec::new());
    if let Some(mut stream) = ask("/events") {
        let mut piece = [0; 65_536];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            text.extend_from_slice(&piece[..n]);
            // An event is one line of data; only the last is looked into.
            while let Some(at) = text.windows(2).position(|w| w == b"\n\n") {
                let event = String::from_utf8_lossy(&text[..at]).into_owned();
                text.drain(..at + 2);
                if event.starts_with("event: parts") {
                    events += 1;
                    charts = charts.max(event.matches("data-chart=").count());
                }
            }
        }
    }
    (events, charts)
}
