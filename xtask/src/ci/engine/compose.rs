//! A copy of the compose file with the programs that are built here, and a project of its own on the engine.
//!
//! Invariant: containers, networks, volumes and images of the project are gone when it is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{folder, process::free_port, shell};

const PROJECT: &str = "assay-gate";
/// What compose's files call the ports.
const PORTS: [&str; 7] = [
    "ASSAY_DEMO_PORT",
    "ASSAY_EXPORTER_PORT",
    "ASSAY_PROMETHEUS_PORT",
    "ASSAY_ALERTMANAGER_PORT",
    "ASSAY_REPORTS_PORT",
    "ASSAY_WEB_PORT",
    "ASSAY_TEMPO_PORT",
];

/// The programs in the images.
const PROGRAMS: [&str; 4] = ["demo", "exporter", "loadgen", "ruleseval"];

pub(super) struct Compose {
    pub(super) dir: PathBuf,
    /// Where our own programs are.
    pub(super) bin: PathBuf,
    ports: Vec<(&'static str, u16)>,
    /// Override files, in the order in which they apply.
    files: Vec<&'static str>,
    /// Variables of this project's calls.
    variables: Vec<(&'static str, String)>,
}

impl Compose {
    /// A folder to build in, with the programs in it.
    pub(super) fn prepare() -> Result<Self> {
        let bin = shell::build("dev", &PROGRAMS)?;
        let root = shell::root();
        let dir = root.join("target/engine");
        folder::fresh(&dir)?;
        fs::create_dir(dir.join("out"))?;
        for program in PROGRAMS {
            copy_without_symbols(&bin.join(program), &dir.join("out").join(program))?;
        }
        for name in ["prometheus", "grafana", "deploy"] {
            assay_testkit::files::copy(&root.join(name), &dir.join(name))
                .with_context(|| root.join(name).display().to_string())?;
        }
        for file in ["docker-compose.yml", "docker-compose.scrape.yml"] {
            // Not the tags that someone's own build has.
            let text = fs::read_to_string(root.join(file))?.replace("image: assay/", "image: assay-gate/");
            fs::write(dir.join(file), text)?;
        }
        let dockerfile = fs::read_to_string(root.join("Dockerfile"))?;
        let (_, rest) = dockerfile.split_once("\nFROM debian").context("the Dockerfile has no base image")?;
        let copied = format!("FROM debian:bookworm-slim AS build\nCOPY out /out\nFROM debian{rest}");
        fs::write(dir.join("Dockerfile"), copied)?;
        let ports = PORTS.iter().map(|name| Ok((*name, free_port()?))).collect::<Result<_>>()?;
        Ok(Self { dir, bin, ports, files: Vec::new(), variables: Vec::new() })
    }

    /// The same project with these override files and variables from now on.
    pub(super) fn with(&mut self, files: &[&'static str], variables: &[(&'static str, &str)]) {
        self.files = files.to_vec();
        self.variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    }

    /// Writes a file next to the compose file.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        fs::write(self.dir.join(name), text).with_context(|| name.to_owned())
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", PROJECT, "--file", "docker-compose.yml"]);
        for file in &self.files {
            command.args(["--file", file]);
        }
        command.current_dir(&self.dir).stdin(Stdio::null());
        command.envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `docker compose …`, which must succeed, and yields what it printed.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        shell::output(self.command().args(arguments))
    }

    /// Runs `docker compose …`, which may fail.
    pub(super) fn attempt(&self, arguments: &[&str]) -> Result<Attempt> {
        Ok(Attempt::of(&self.command().args(arguments).output()?))
    }

    /// Starts `docker compose up --exit-code-from run` for these services.
    pub(super) fn up(&self, services: &[&str]) -> Result<Up> {
        let log = self.dir.join("up.log");
        let out = fs::File::create(&log)?;
        let mut command = self.command();
        command.args(["up", "--exit-code-from", "run"]).args(services).stdout(out.try_clone()?).stderr(out);
        Ok(Up { child: command.spawn().context("docker compose up")?, log })
    }

    /// A URL of a service; `port` is its variable's name.
    pub(super) fn url(&self, port: &str, path: &str) -> String {
        let number = self.ports.iter().find(|(name, _)| *name == port).map_or(0, |(_, number)| *number);
        format!("http://127.0.0.1:{number}{path}")
    }

    /// The services that run, with their health: `healthy`, or nothing if they have no check.
    pub(super) fn health(&self) -> Result<Vec<(String, String)>> {
        let lines = self.run(&["ps", "--format", "json"])?;
        let services = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(services.iter().map(|s| (text(&s["Service"]), text(&s["Health"]))).collect())
    }

    /// Copies the runs of the volume here; the newest is last.
    pub(super) fn runs(&self) -> Result<Vec<PathBuf>> {
        let runs = self.dir.join("runs");
        if runs.exists() {
            fs::remove_dir_all(&runs)?;
        }
        self.run(&["cp", "reports:/runs", &runs.to_string_lossy()])?;
        let mut all: Vec<PathBuf> = fs::read_dir(&runs)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
        all.sort();
        Ok(all)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Nothing is left behind, whatever went wrong.
        let down = ["down", "--volumes", "--rmi", "all", "--remove-orphans", "--timeout", "5"];
        let _ = self.command().args(down).output();
    }
}

/// What a command that may fail came to.
pub(super) struct Attempt {
    pub(super) code: i32,
    /// Both streams.
    pub(super) said: String,
}

impl Attempt {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), said: text(&output.stdout) + &text(&output.stderr) }
    }

    /// Whether it ended with this code and a line that contains all of these.
    pub(super) fn expect(&self, what: &str, code: i32, says: &[&str]) -> Result<()> {
        ensure!(self.code == code, "{what}: exit code {} and not {code}:\n{}", self.code, self.said);
        let clear = self.said.lines().find(|line| says.iter().all(|part| line.contains(part)));
        let line = clear.with_context(|| format!("{what}: no line has {says:?}:\n{}", self.said))?;
        eprintln!("  {what}: exit code {code}: {}", line.trim());
        Ok(())
    }
}

/// A stack that is coming up, running, or ended.
pub(super) struct Up {
    child: Child,
    log: PathBuf,
}

impl Up {
    /// Waits until `done` says so; an error while it does not is shown if the time is over.
    pub(super) fn wait_until(&mut self, what: &str, done: impl Fn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        loop {
            let state = done();
            if matches!(state, Ok(true)) {
                return Ok(());
            }
            ensure!(
                self.child.try_wait()?.is_none(),
                "the stack ended before {what}:\n{}",
                self.last_lines()
            );
            ensure!(begun.elapsed() < Duration::from_secs(240), "not {what} in four minutes: {state:?}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Waits for the end; yields the exit code of `run`, and the last lines of what was said.
    pub(super) fn end(mut self) -> Result<(i32, String)> {
        let code = self.child.wait()?.code().unwrap_or(-1);
        Ok((code, self.last_lines()))
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// Debug information makes images ten times as large.
fn copy_without_symbols(from: &Path, to: &Path) -> Result<()> {
    let stripped = Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(from, to)?;
    }
    Ok(())
}
