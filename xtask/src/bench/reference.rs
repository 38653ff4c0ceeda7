//! The table of times that the demo service is expected to show under the profile `reference`.
//!
//! Invariant: the bands are those of the table; the draws are held to them to a tenth, and never pass a limit. The live
//! part drives the real service with the real pack and judges each phase with the shipped SLA.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    folder,
    process::{Process, free_port},
    shell,
};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Reference {
    /// Requests drawn for each seed.
    #[arg(long, default_value_t = 1000)]
    draws: u32,
    /// Seeds.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Run the phases too, side by side: steady, peak and stress in full length, sustained at a fifth; 13 minutes.
    #[arg(long)]
    live: bool,
    /// How often each phase is run, all at once, each with a service of its own.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Multiplies the length of all phases, for a quick look.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// The profile that cargo builds with.
    #[arg(long, default_value = "release")]
    build: String,
}

/// A row of the component table: bands of p50, p95 and p99, and the limit, in milliseconds.
struct Component {
    stage: &'static str,
    bands: [(f64, f64); 3],
    limit: f64,
}

const COMPONENTS: [Component; 5] = [
    Component { stage: "embed", bands: [(65.0, 75.0), (120.0, 140.0), (150.0, 190.0)], limit: 200.0 },
    Component { stage: "search", bands: [(150.0, 200.0), (300.0, 400.0), (400.0, 500.0)], limit: 500.0 },
    Component {
        stage: "generate",
        bands: [(2500.0, 3000.0), (4200.0, 4800.0), (4800.0, 5000.0)],
        limit: 5000.0,
    },
    Component { stage: "api", bands: [(10.0, 20.0), (40.0, 60.0), (70.0, 95.0)], limit: 100.0 },
    Component {
        stage: "total",
        bands: [(2700.0, 3200.0), (4300.0, 4900.0), (4900.0, 5000.0)],
        limit: 5000.0,
    },
];

/// How far from its band a quantile of the draws may be.
const TOLERANCE: f64 = 0.1;

/// A phase of the pack: its users, what is expected of p99 (seconds) and of errors (per cent), and its length here.
struct Phase {
    name: &'static str,
    users: u32,
    p99_s: (f64, f64),
    errors: f64,
    scale: f64,
}

const PHASES: [Phase; 4] = [
    Phase { name: "steady", users: 5, p99_s: (4.5, 5.0), errors: 0.5, scale: 1.0 },
    Phase { name: "peak", users: 50, p99_s: (5.5, 6.5), errors: 1.5, scale: 1.0 },
    Phase { name: "stress", users: 100, p99_s: (7.0, 10.0), errors: 3.0, scale: 1.0 },
    Phase { name: "sustained", users: 20, p99_s: (4.5, 5.0), errors: 0.5, scale: 0.2 },
];

pub(super) fn run(options: &Reference) -> Result<()> {
    let bin = shell::build(&options.build, &["demo", "loadgen", "ruleseval"])?;
    draws(options, &bin)?;
    if options.live {
        live(options, &bin)?;
    }
    Ok(())
}

fn draws(options: &Reference, bin: &Path) -> Result<()> {
    println!("{} seeds of {} draws; the range over the seeds, ms\n", options.seeds, options.draws);
    println!("| component | p50 (band) | p95 (band) | p99 (band) | largest (limit) |");
    println!("|---|---|---|---|---|");
    let mut tables = Vec::new();
    for seed in 1..=options.seeds {
        let mut command = Command::new(bin.join("demo"));
        command.args(["profile", "reference", "--draws", &options.draws.to_string()]);
        tables.push(shell::output(command.args(["--seed", &seed.to_string()]))?);
    }
    let mut missed = Vec::new();
    for component in &COMPONENTS {
        let rows: Result<Vec<[f64; 4]>> = tables.iter().map(|table| row(table, component.stage)).collect();
        let rows = rows?;
        let range = |column: usize| {
            let values = rows.iter().map(|row| row[column]);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max))
        };
        let mut line = format!("| {} |", component.stage);
        for (column, (low, high)) in component.bands.iter().enumerate() {
            let (least, most) = range(column);
            line += &format!(" {least:.0}–{most:.0} ({low:.0}–{high:.0}) |");
            if least < low * (1.0 - TOLERANCE) || most > high * (1.0 + TOLERANCE) {
                missed.push(format!(
                    "{}: {least:.0} to {most:.0} ms, expected {low} to {high}",
                    component.stage
                ));
            }
        }
        let (_, largest) = range(3);
        println!("{line} {largest:.0} ({:.0}) |", component.limit);
        if largest >= component.limit {
            missed.push(format!("{}: {largest:.0} ms is beyond the limit", component.stage));
        }
    }
    ensure!(missed.is_empty(), "the draws miss the table by more than a tenth:\n{}", missed.join("\n"));
    Ok(())
}

/// The four numbers of a stage in the table that `demo profile` prints.
fn row(table: &str, stage: &str) -> Result<[f64; 4]> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(stage));
    let numbers = line.with_context(|| format!("no row for {stage}"))?.split_whitespace().skip(1);
    let numbers: Result<Vec<f64>, _> = numbers.map(str::parse).collect();
    numbers?.try_into().map_err(|_| anyhow::anyhow!("{stage}: not four numbers"))
}

fn live(options: &Reference, bin: &Path) -> Result<()> {
    println!(
        "\n| phase | users | length | queries | errors (below) | p99 (band) | largest stage p99: embed, search | SLA |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let dir = shell::root().join("target/bench/reference");
    folder::fresh(&dir)?;
    let turns: Vec<_> =
        PHASES.iter().flat_map(|phase| (1..=options.runs).map(move |run| (phase, run))).collect();
    let rows: Vec<Result<Row>> = std::thread::scope(|scope| {
        let each = |(phase, run): &(&'static Phase, usize)| {
            let (phase, dir) = (*phase, dir.join(format!("{}-{run}", phase.name)));
            scope.spawn(move || one(options, bin, &dir, phase))
        };
        let running: Vec<_> = turns.iter().map(each).collect();
        running.into_iter().map(|row| row.join().unwrap_or_else(|_| bail!("a phase panicked"))).collect()
    });
    let mut missed = Vec::new();
    for ((phase, run), row) in turns.iter().zip(rows) {
        let row = row?;
        println!("{}", row.text);
        missed.extend((!row.is_as_expected).then(|| format!("{} {run}", phase.name)));
    }
    ensure!(missed.is_empty(), "not as the table expects: {}", missed.join(", "));
    Ok(())
}

/// A phase as it went, and whether as expected.
struct Row {
    text: String,
    is_as_expected: bool,
}

/// Runs a phase against a service of its own.
fn one(options: &Reference, bin: &Path, dir: &Path, phase: &Phase) -> Result<Row> {
    folder::fresh(dir)?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut serve = Command::new(bin.join("demo"));
    serve.args(["serve", "--profile", "reference", "--listen", &address]);
    let _service = Process::start("demo", &mut serve, dir)?;
    wait_until_ok(&format!("http://{address}/ready"))?;
    let run = drive(options, bin, dir, phase, &address)?;
    let seen = Seen::of(bin, &run)?;
    let verdict = judge(bin, &run, phase)?;
    let is_in_band = seen.p99_s >= phase.p99_s.0 * 0.97 && seen.p99_s <= phase.p99_s.1;
    let text = format!(
        "| {} | {} | {:.0} s | {} | {:.2} % ({} %) | {:.2} s ({}–{} s) | {:.0}, {:.0} ms | {verdict} |",
        phase.name,
        phase.users,
        seen.seconds,
        seen.queries,
        seen.errors,
        phase.errors,
        seen.p99_s,
        phase.p99_s.0,
        phase.p99_s.1,
        seen.embed_s * 1000.0,
        seen.search_s * 1000.0,
    );
    Ok(Row { text, is_as_expected: is_in_band && seen.errors < phase.errors && verdict == "pass" })
}

pub(super) fn wait_until_ok(url: &str) -> Result<()> {
    let start = Instant::now();
    while !ureq::get(url).call().is_ok_and(|reply| reply.status() == 200) {
        ensure!(start.elapsed() < Duration::from_secs(60), "{url} never answered with 200");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Runs one phase and yields its run directory.
fn drive(options: &Reference, bin: &Path, dir: &Path, phase: &Phase, address: &str) -> Result<PathBuf> {
    let runs = dir.join(phase.name);
    let mut load = Command::new(bin.join("loadgen"));
    load.args(["run", "clinical-rag", "--quiet", "--phase", phase.name])
        .args(["--target", &format!("http://{address}")])
        .args(["--time-scale", &(phase.scale * options.time_scale).to_string()])
        .args(["--scrape", &format!("demo=http://{address}/metrics")])
        .arg("--record")
        .arg(&runs);
    shell::output(&mut load)?;
    folder::only_entry(&runs)
}

/// What a run shows of its one phase.
struct Seen {
    seconds: f64,
    queries: f64,
    errors: f64,
    p99_s: f64,
    embed_s: f64,
    search_s: f64,
}

impl Seen {
    fn of(bin: &Path, run: &Path) -> Result<Self> {
        let manifest: Value = serde_json::from_str(&std::fs::read_to_string(run.join("run.json"))?)?;
        let phase = &manifest["phases"][0];
        let time = |key: &str| -> Result<i64> {
            let text = phase[key].as_str().with_context(|| format!("the phase has no {key}"))?;
            Ok(text.parse::<jiff::Timestamp>()?.as_millisecond())
        };
        let (start_ms, end_ms) = (time("start")?, time("end")?);
        let ask = |expr: &str| query(bin, run, expr, end_ms, end_ms - start_ms);
        let queries = ask(
            "sum(histogram_count(increase(http_client_request_duration_seconds{load_step=\"query\"}[RANGE])))",
        )?;
        let failed = ask(
            "sum(histogram_count(increase(http_client_request_duration_seconds{load_step=\"query\",error_type!=\"\"}[RANGE]))) or vector(0)",
        )?;
        let p99 = |series: &str| ask(&format!("histogram_quantile(0.99, sum(increase({series}[RANGE])))"));
        Ok(Self {
            seconds: (end_ms - start_ms) as f64 / 1000.0,
            queries: queries.round(),
            errors: 100.0 * failed / queries,
            p99_s: p99("http_client_request_duration_seconds{load_step=\"query\"}")?,
            embed_s: p99("rag_stage_duration_seconds{stage=\"embed\"}")?,
            search_s: p99("rag_stage_duration_seconds{stage=\"search\"}")?,
        })
    }
}

/// The value of an expression over the whole phase.
fn query(bin: &Path, run: &Path, expr: &str, at_ms: i64, range_ms: i64) -> Result<f64> {
    let expr = expr.replace("RANGE", &format!("{range_ms}ms"));
    let at_s = at_ms as f64 / 1000.0;
    let mut command = Command::new(bin.join("ruleseval"));
    command.arg("query").arg(run).arg(&expr).args(["--time", &at_s.to_string(), "--format", "json"]);
    let answer: Value = serde_json::from_str(&shell::output(&mut command)?)?;
    let value = answer.pointer("/result/0/value/1").and_then(Value::as_str);
    Ok(value.with_context(|| format!("{expr}: no value in {answer}"))?.parse()?)
}

/// The verdict of the shipped rules and SLA over the phase, leaving out how busy this machine is.
fn judge(bin: &Path, run: &Path, phase: &Phase) -> Result<String> {
    let root = shell::root();
    let mut command = Command::new(bin.join("ruleseval"));
    command
        .arg("eval")
        .arg(run)
        .arg("--rules")
        .arg(root.join("prometheus/rules/*.yml"))
        .arg("--sla")
        .arg(root.join("prometheus/sla/clinical-rag.yml"))
        .arg("--json")
        .arg(run.join("verdict.json"));
    let _ = command.output().with_context(|| format!("ruleseval eval {}", phase.name))?;
    let verdict: Value = serde_json::from_str(&std::fs::read_to_string(run.join("verdict.json"))?)?;
    let rows = verdict["objectives"].as_array().context("a verdict has objectives")?;
    let failed: Vec<_> = rows
        .iter()
        .filter(|row| row["category"] != "resources" && row["phase"] == phase.name)
        .filter(|row| row["status"] == "fail")
        .map(|row| row["name"].as_str().unwrap_or_default())
        .collect();
    Ok(if failed.is_empty() { "pass".to_owned() } else { format!("fail: {}", failed.join(", ")) })
}
