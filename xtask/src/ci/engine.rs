//! The compose file on a real Docker engine: built, brought up, judged, twice.
//!
//! Images copy the programs that are built here, so that nothing is compiled again. What an engine cannot have (Grafana,
//! without a registry) is not started. Invariant: containers, networks and volumes have a project of their own, and are gone
//! afterwards.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{folder, process::free_port, shell};

const PROJECT: &str = "assay-gate";
const SERVICES: [&str; 5] = ["demo", "exporter", "prometheus", "alertmanager", "run"];
/// A service that is not well.
const FAULT: &str =
    "services:\n  demo:\n    command: [serve, --listen, \"0.0.0.0:8000\", --fault, errors=0.3]\n";

/// Yields why the step was left out, if it was.
pub(super) fn run() -> Result<Option<String>> {
    let answers = |arguments: &[&str]| {
        Command::new("docker").args(arguments).output().is_ok_and(|out| out.status.success())
    };
    if !answers(&["info"]) {
        return Ok(Some("no Docker engine answers".to_owned()));
    }
    if !answers(&["compose", "version"]) {
        return Ok(Some("the Docker engine has no Compose".to_owned()));
    }
    for image in images(&fs::read_to_string(shell::root().join("Dockerfile"))?) {
        if !answers(&["image", "inspect", &image]) && !answers(&["pull", "--quiet", &image]) {
            return Ok(Some(format!("the engine cannot have the image {image}")));
        }
    }
    let compose = Compose::prepare()?;
    compose.run(&["build"], &SERVICES)?;
    let well = compose.judged(&[])?;
    ensure!(well.failed.is_empty(), "the demo is well, and misses {}", well.failed.join(", "));
    compose.run(&["down"], &[])?;
    let unwell = compose.judged(&["fault.yml"])?;
    ensure!(unwell.code == 1, "a service that fails ends with {}", unwell.code);
    ensure!(unwell.failed.iter().any(|name| name == "Error rate"), "missed are {}", unwell.failed.join(", "));
    ensure!(unwell.runs == well.runs + 1, "{} runs are kept, then {}", well.runs, unwell.runs);
    eprintln!(
        "the compose file: exit code {} for a service that is well, {} for one that fails",
        well.code, unwell.code
    );
    Ok(None)
}

/// The images that others are made from, but for Grafana and the compiler.
fn images(dockerfile: &str) -> Vec<String> {
    let from = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    let names = from.filter_map(|line| line.split_whitespace().next()).filter(|name| name.contains(':'));
    names
        .filter(|name| !name.starts_with("grafana/") && !name.starts_with("rust:"))
        .map(str::to_owned)
        .collect()
}

/// What a run in the stack came to.
struct Judged {
    code: i32,
    /// Objectives that it missed, but for those on the host, which is busy with this.
    failed: Vec<String>,
    /// Runs that the volume holds.
    runs: usize,
}

struct Compose {
    dir: PathBuf,
    prometheus: u16,
    ports: Vec<(&'static str, u16)>,
}

impl Compose {
    /// A folder to build in, with the programs in it.
    fn prepare() -> Result<Self> {
        let programs = ["demo", "exporter", "loadgen"];
        let bin = shell::build("dev", &programs)?;
        let root = shell::root();
        let dir = root.join("target/engine");
        folder::fresh(&dir)?;
        fs::create_dir(dir.join("out"))?;
        for program in programs {
            fs::copy(bin.join(program), dir.join("out").join(program))?;
        }
        fs::write(dir.join("out/ruleseval"), "")?;
        for name in ["prometheus", "grafana"] {
            folder::copy(&root.join(name), &dir.join(name))?;
        }
        fs::copy(root.join("docker-compose.yml"), dir.join("docker-compose.yml"))?;
        fs::write(dir.join("fault.yml"), FAULT)?;
        let dockerfile = fs::read_to_string(root.join("Dockerfile"))?;
        let (_, rest) = dockerfile.split_once("\nFROM debian").context("the Dockerfile has no base image")?;
        let copied = format!("FROM debian:bookworm-slim AS build\nCOPY out /out\nFROM debian{rest}");
        fs::write(dir.join("Dockerfile"), copied)?;
        let mut ports = Vec::new();
        for name in
            ["ASSAY_DEMO_PORT", "ASSAY_EXPORTER_PORT", "ASSAY_PROMETHEUS_PORT", "ASSAY_ALERTMANAGER_PORT"]
        {
            ports.push((name, free_port()?));
        }
        Ok(Self { prometheus: ports[2].1, dir, ports })
    }

    fn command(&self, files: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", PROJECT, "--file", "docker-compose.yml"]);
        for file in files {
            command.args(["--file", file]);
        }
        command.current_dir(&self.dir).stdin(Stdio::null());
        command.envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command
    }

    fn run(&self, arguments: &[&str], services: &[&str]) -> Result<()> {
        shell::output(self.command(&[]).args(arguments).args(services)).map(drop)
    }

    /// Brings the stack up, waits for its targets and for the verdict.
    fn judged(&self, files: &[&str]) -> Result<Judged> {
        let log = fs::File::create(self.dir.join("up.log"))?;
        let mut up = self.command(files);
        up.args(["up", "--exit-code-from", "run"]).args(SERVICES).stdout(log.try_clone()?).stderr(log);
        let mut up = up.spawn().context("docker compose up")?;
        let watched = self.watch(&mut up);
        let status = up.wait()?;
        watched?;
        let runs = self.dir.join("runs");
        if runs.exists() {
            fs::remove_dir_all(&runs)?;
        }
        self.run(&["cp", "run:/runs"], &[&runs.to_string_lossy()])?;
        let mut all: Vec<PathBuf> = fs::read_dir(&runs)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
        all.sort();
        let last = all.last().context("no run was kept")?;
        let code = status.code().unwrap_or(-1);
        Ok(Judged { code, failed: failed(last)?, runs: all.len() })
    }

    /// Waits until Prometheus scrapes everything that it is to scrape.
    fn watch(&self, up: &mut Child) -> Result<()> {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}/api/v1/targets", self.prometheus);
        loop {
            let down = targets_down(&url);
            if down.as_ref().is_ok_and(Vec::is_empty) {
                return Ok(());
            }
            ensure!(up.try_wait()?.is_none(), "the stack ended early: {}", self.last_lines());
            ensure!(begun.elapsed() < Duration::from_secs(180), "not scraped: {down:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(self.dir.join("up.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Nothing is left behind, whatever went wrong.
        let _ = self.command(&[]).args(["down", "--volumes", "--timeout", "5"]).output();
    }
}

/// The jobs of targets that are not up; an error while the server does not answer or has no targets yet.
fn targets_down(url: &str) -> Result<Vec<String>> {
    let text = ureq::get(url).call()?.body_mut().read_to_string()?;
    let answer: Value = serde_json::from_str(&text)?;
    let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
    ensure!(targets.len() >= 3, "{} targets", targets.len());
    let down = targets.iter().filter(|t| t["health"] != "up");
    Ok(down.map(|t| t["labels"]["job"].as_str().unwrap_or_default().to_owned()).collect())
}

/// The objectives that a run's verdict says it missed, resources of the host left out.
fn failed(run: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(run.join("verdict.json")).context("the run has no verdict")?;
    let verdict: Value = serde_json::from_str(&text)?;
    let rows = verdict["objectives"].as_array().context("a verdict has objectives")?;
    let missed = rows.iter().filter(|row| row["status"] == "fail" && row["category"] != "resources");
    let mut names: Vec<String> = missed.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_others_are_found() {
        let text = "FROM rust:1 AS build\nFROM debian:b AS base\nFROM base AS demo\nFROM prom/prometheus:v1 AS p\nFROM grafana/grafana:1\n";
        assert_eq!(images(text), ["debian:b", "prom/prometheus:v1"]);
    }
}
