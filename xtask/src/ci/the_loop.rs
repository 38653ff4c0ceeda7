//! The README's first command in a short form, held to Prometheus.
//!
//! Invariant: every number that the report shows for an objective is asked of a real Prometheus on a copy of
//! the run's data, at the same instant, and must be the same.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    folder,
    process::{Process, free_port},
    server::Server,
    shell,
};

/// Runs the loop and checks its verdict, its run directory and its numbers.
pub(super) fn run(bin: &Path) -> Result<()> {
    let runs = shell::root().join("target/ci-runs");
    folder::fresh(&runs)?;
    let parent = runs.to_string_lossy().into_owned();
    let arguments = ["run", "--release", "--", "--plain", "--time-scale", "0.5", "--runs", &parent];
    let status = shell::status(&mut shell::cargo(&arguments))?;
    let run = folder::only_entry(&runs)?;
    let verdict: Value = serde_json::from_str(&fs::read_to_string(run.join("verdict.json"))?)?;
    sound(&verdict, status.code())?;
    ensure!(fs::metadata(run.join("report.html"))?.len() > 20_000, "the report is nearly empty");
    promtool_reads(bin, &run.join("data"))?;
    let compared = prometheus_agrees(bin, &run, &verdict)?;
    eprintln!(
        "the loop: {}; promtool reads its data; Prometheus gives the same {compared} numbers",
        verdict["status"]
    );
    Ok(())
}

/// The service keeps its promises, and the verdict is what its rows and its exit code say. How busy the machine
/// is, the gate does not judge: others may be at work on it.
fn sound(verdict: &Value, code: Option<i32>) -> Result<()> {
    let rows = verdict["objectives"].as_array().context("a verdict has objectives")?;
    // A phase that this mode does not have, and a figure that is only reported, are no promise of this run.
    let is_promised = |row: &&Value| {
        let reason = row["reason"].as_str().unwrap_or_default();
        let is_none = reason.starts_with("only reported") || reason == "this run has no such phase";
        row["status"] != "skipped" || !is_none
    };
    for row in rows.iter().filter(|r| r["category"] != "resources").filter(is_promised) {
        ensure!(row["status"] == "pass", "{} in {}: {}", row["name"], row["phase"], row["status"]);
    }
    let alerts = verdict["alerts"].as_array().context("a verdict has alerts")?;
    let missed = rows.iter().chain(alerts).any(|r| r["status"] == "fail");
    let expected = if missed { ("fail", 1) } else { ("pass", 0) };
    ensure!(
        verdict["status"] == expected.0,
        "the verdict is {}, its rows say {}",
        verdict["status"],
        expected.0
    );
    ensure!(code == Some(expected.1), "the loop exits with {code:?}, its verdict says {}", expected.1);
    Ok(())
}

pub(super) fn promtool_reads(bin: &Path, data: &Path) -> Result<()> {
    for what in ["list", "analyze", "dump"] {
        let out = shell::output(Command::new(bin.join("promtool")).args(["tsdb", what]).arg(data))?;
        if out.lines().count() < 2 {
            bail!("promtool tsdb {what} says nothing of {}", data.display());
        }
    }
    Ok(())
}

/// Asks a Prometheus on a copy of the data for each objective's measure; yields how many were compared.
fn prometheus_agrees(bin: &Path, run: &Path, verdict: &Value) -> Result<usize> {
    let dir = shell::root().join("target/ci-prometheus");
    folder::fresh(&dir)?;
    assay_testkit::files::copy(&run.join("data"), &dir.join("data"))
        .with_context(|| run.join("data").display().to_string())?;
    fs::write(dir.join("prometheus.yml"), "global: {scrape_interval: 1h}\n")?;
    let port = free_port()?;
    let mut command = Command::new(bin.join("prometheus"));
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg("--enable-feature=native-histograms")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut process = Process::start("prometheus", &mut command, &dir)?;
    let server = Server::new(port);
    server.wait_for("/-/ready", &mut process)?;
    let rows = verdict["objectives"].as_array().context("a verdict has objectives")?;
    let mut compared = 0;
    for row in rows.iter().filter(|r| r["raw"].is_number()) {
        let (name, ours) = (&row["name"], row["raw"].as_f64().context("a number")?);
        let measure = row["measure"].as_str().context("a measure")?;
        let answer = server.query(measure, row["at_ms"].as_i64())?;
        let theirs = value_for(&answer, row).with_context(|| format!("{name}: {measure}: {answer}"))?;
        let same = (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs());
        ensure!(same, "{name}: the report says {ours}, Prometheus {theirs}: {measure}");
        compared += 1;
    }
    ensure!(compared >= 17, "only {compared} objectives have a number");
    Ok(compared)
}

/// The value of the series that a row of the verdict is about.
fn value_for(answer: &Value, row: &Value) -> Option<f64> {
    let labels = row["labels"].as_array()?;
    let is_same = |metric: &Value| {
        metric.as_object().is_some_and(|m| m.len() == labels.len())
            && labels.iter().all(|pair| pair[0].as_str().is_some_and(|name| metric[name] == pair[1]))
    };
    let series = answer["result"].as_array()?.iter().find(|s| is_same(&s["metric"]))?;
    series["value"][1].as_str()?.parse().ok()
}
