//! The compose file on a real Docker engine: built, brought up, judged, and treated badly.
//!
//! Images copy the programs that are built here, so that nothing is compiled again. What an engine cannot have (Grafana and
//! Tempo, without a registry) is not started. Invariant: each case ends with a verdict or with one clear line.

mod compose;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::compose::{Compose, Up};
use crate::{
    process::{Process, free_port},
    shell,
};

/// What is started: everything but Grafana and the profiles.
const SERVICES: [&str; 6] = ["demo", "exporter", "prometheus", "alertmanager", "reports", "run"];
const PROFILES: [&str; 4] = ["gpu", "traces", "minilm", "cyborgdb"];
const OVERRIDES: [&str; 4] = [
    "loadgen/src/cli/init/docker-compose.own.yml",
    "docker-compose.linux.yml",
    "docker-compose.edit.yml",
    "docker-compose.scrape.yml",
];
const SCRAPE: &str = "docker-compose.scrape.yml";
const OWN: &str = "docker-compose.own.yml";
/// Objectives on times and on the host, which is busy with this.
const TIMED: [&str; 3] = ["resources", "latency", "stages"];
/// A service that is not well.
const FAULT: &str =
    "services:\n  demo:\n    command: [serve, --listen, \"0.0.0.0:8000\", --fault, errors=0.3]\n";
/// A disk that a run does not fit on.
const FULL: &str = "volumes:\n  runs:\n    driver: local\n    driver_opts: {type: tmpfs, device: tmpfs, o: \"size=300k,uid=10001\"}\n";
/// Runs are half as long as someone's own.
const SHORT: (&str, &str) = ("ASSAY_TIME_SCALE", "0.5");

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
    valid()?;
    for image in images(&fs::read_to_string(shell::root().join("Dockerfile"))?) {
        if !answers(&["image", "inspect", &image]) && !answers(&["pull", "--quiet", &image]) {
            return Ok(Some(format!("the engine cannot have the image {image}")));
        }
    }
    let mut compose = Compose::prepare()?;
    compose.write("fault.yml", FAULT)?;
    compose.write("full.yml", FULL)?;
    compose.run(&[["build"].as_slice(), &SERVICES].concat())?;
    verdicts(&mut compose)?;
    killed(&mut compose)?;
    webhook(&mut compose)?;
    own_service(&mut compose)?;
    mistakes(&mut compose)?;
    full_disk(&mut compose)?;
    Ok(None)
}

/// Every profile and every override file is a configuration that Compose takes.
fn valid() -> Result<()> {
    let config = |arguments: &[&str]| {
        let mut command = Command::new("docker");
        command.current_dir(shell::root()).env("ASSAY_TARGET", "http://mine:1");
        shell::output(
            command.args(["compose", "-f", "docker-compose.yml"]).args(arguments).args(["config", "-q"]),
        )
    };
    for profile in PROFILES {
        config(&["--profile", profile])?;
    }
    for file in OVERRIDES {
        config(&["-f", file])?;
    }
    Ok(())
}

/// The images that others are made from, but for those without a stand-in and the compiler's.
fn images(dockerfile: &str) -> Vec<String> {
    let from = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    let names = from.filter_map(|line| line.split_whitespace().next()).filter(|name| name.contains(':'));
    names
        .filter(|name| !name.starts_with("grafana/") && !name.starts_with("rust:"))
        .map(str::to_owned)
        .collect()
}

/// A service that is well passes, one that fails does not; both runs are served, also after `down`.
fn verdicts(compose: &mut Compose) -> Result<()> {
    compose.with(&[SCRAPE], &[SHORT]);
    let mut up = compose.up(&SERVICES)?;
    watch(compose, &mut up, SERVICES.len() - 1)?;
    up.wait_until("loadgen's series are in Prometheus", || Ok(!queried(compose, "load_users")?.is_empty()))?;
    hardened(compose)?;
    let (code, log) = up.end()?;
    let well = served(compose, 1)?;
    ensure!(well.failed.is_empty(), "the demo is well, and misses {}", well.failed.join(", "));
    ensure!(code == well.code(), "exit code {code} for the verdict {}:\n{log}", well.status);
    compose.run(&["down"])?;

    compose.with(&[SCRAPE, "fault.yml"], &[SHORT]);
    let mut up = compose.up(&SERVICES)?;
    watch(compose, &mut up, SERVICES.len() - 1)?;
    let (code, log) = up.end()?;
    let unwell = served(compose, 2)?;
    ensure!(code == 1, "a service that fails ends with {code}:\n{log}");
    ensure!(unwell.failed.iter().any(|name| name == "Error rate"), "missed are {}", unwell.failed.join(", "));
    eprintln!(
        "  verdicts: {} for a service that is well, {} (exit code 1) for one that fails",
        well.status, unwell.status
    );
    Ok(())
}

/// Waits until every service but `run` is healthy, and Prometheus scrapes all that it is to scrape.
fn watch(compose: &Compose, up: &mut Up, services: usize) -> Result<()> {
    up.wait_until("healthy", || {
        let health = compose.health()?;
        let healthy = health.iter().filter(|(_, health)| health == "healthy").count();
        ensure!(healthy >= services, "{health:?}");
        Ok(true)
    })?;
    up.wait_until("scraped", || {
        let down = targets_down(compose)?;
        ensure!(down.is_empty(), "{} down", down.join(", "));
        Ok(true)
    })
}

/// The jobs of targets that are not up; an error while the server does not answer or has no targets yet.
fn targets_down(compose: &Compose) -> Result<Vec<String>> {
    let answer = json(&compose.url("ASSAY_PROMETHEUS_PORT", "/api/v1/targets"))?;
    let targets = answer["data"]["activeTargets"].as_array().context("no targets")?;
    ensure!(targets.len() >= 3, "{} targets", targets.len());
    let down = targets.iter().filter(|t| t["health"] != "up");
    Ok(down.map(|t| t["labels"]["job"].as_str().unwrap_or_default().to_owned()).collect())
}

fn json(url: &str) -> Result<Value> {
    let text = ureq::get(url).call().with_context(|| url.to_owned())?.body_mut().read_to_string()?;
    serde_json::from_str(&text).with_context(|| url.to_owned())
}

/// What Prometheus answers to a query now.
fn queried(compose: &Compose, expr: &str) -> Result<Vec<Value>> {
    let answer = json(&compose.url("ASSAY_PROMETHEUS_PORT", &format!("/api/v1/query?query={expr}")))?;
    answer["data"]["result"].as_array().cloned().context("no result")
}

/// No container runs as root, writes to its own file system, or may gain rights.
fn hardened(compose: &Compose) -> Result<()> {
    let ids = compose.run(&["ps", "--quiet"])?;
    for id in ids.lines() {
        let text = shell::output(Command::new("docker").args(["inspect", id]))?;
        let seen: Value = serde_json::from_str(&text)?;
        let (name, config, host) = (&seen[0]["Name"], &seen[0]["Config"], &seen[0]["HostConfig"]);
        let user = config["User"].as_str().unwrap_or_default();
        ensure!(!["", "0", "root"].contains(&user), "{name} runs as {user:?}");
        ensure!(host["ReadonlyRootfs"] == true, "{name} has a file system that can be written");
        ensure!(host["CapDrop"][0] == "ALL", "{name} keeps capabilities");
        let options = host["SecurityOpt"].to_string();
        ensure!(options.contains("no-new-privileges:true"), "{name} may gain rights: {options}");
    }
    Ok(())
}

/// The newest run as `reports` serves it.
struct Served {
    status: String,
    /// Objectives that it missed, but for those that a busy machine misses.
    failed: Vec<String>,
}

impl Served {
    /// The exit code of a run with this verdict.
    fn code(&self) -> i32 {
        ["pass", "fail", "", "inconclusive"].iter().position(|s| *s == self.status).map_or(-1, |n| n as i32)
    }
}

/// Asks `reports` for the newest of so many runs.
fn served(compose: &Compose, runs: usize) -> Result<Served> {
    compose.run(&["up", "--detach", "--wait", "reports"])?;
    let page = ureq::get(compose.url("ASSAY_REPORTS_PORT", "/")).call()?.body_mut().read_to_string()?;
    let names: Vec<&str> = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("/report.html"))
        .map(|(path, _)| path)
        .collect();
    ensure!(names.len() == runs, "{} reports of {runs} are listed", names.len());
    let url = |file: &str| compose.url("ASSAY_REPORTS_PORT", &format!("/{}/{file}", names[0]));
    let verdict = json(&url("verdict.json"))?;
    let report = ureq::get(url("report.html")).call()?.body_mut().read_to_string()?;
    ensure!(report.contains("<title>"), "no report is served");
    let api = json(&url("api/v1/label/job/values"))?;
    ensure!(
        api["data"].as_array().is_some_and(|jobs| jobs.len() > 1),
        "the API over the run has no jobs: {api}"
    );
    let rows = verdict["objectives"].as_array().context("a verdict has objectives")?;
    let counts =
        |row: &&Value| row["status"] == "fail" && !TIMED.iter().any(|category| row["category"] == **category);
    let missed = rows.iter().filter(counts);
    let mut failed: Vec<String> = missed.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
    failed.dedup();
    Ok(Served { status: verdict["status"].as_str().unwrap_or_default().to_owned(), failed })
}

/// A run that is killed stays readable and is no pass; a Prometheus that is killed comes back with what it had.
fn killed(compose: &mut Compose) -> Result<()> {
    compose.with(&[SCRAPE], &[SHORT]);
    let mut up = compose.up(&SERVICES)?;
    // What the run before left in Prometheus is older than two scrapes.
    let recent = "load_users%20and%20(time()-timestamp(load_users)%3C10)";
    up.wait_until("the load is on", || {
        let running = compose.run(&["ps", "--status", "running", "--services"])?;
        Ok(running.lines().any(|service| service == "run") && !queried(compose, recent)?.is_empty())
    })?;
    compose.run(&["kill", "run"])?;
    let (code, _) = up.end()?;
    ensure!(code != 0, "a run that was killed is a success");
    let runs = compose.runs()?;
    let last = runs.last().context("no run")?;
    let judged = Command::new(compose.bin.join("ruleseval")).arg("eval").arg(last).arg("--quiet").status()?;
    ensure!(matches!(judged.code(), Some(1 | 3)), "a run that was killed is judged with {judged}");

    compose.run(&["up", "--detach", "--wait", "prometheus"])?;
    let before = queried(compose, "count(up)")?;
    compose.run(&["kill", "prometheus"])?;
    compose.run(&["up", "--detach", "--wait", "prometheus"])?;
    let kept = queried(compose, "max(count_over_time(load_users%5B10m%5D))")?;
    ensure!(!kept.is_empty(), "Prometheus lost what it had before it was killed ({before:?})");
    eprintln!(
        "  killed: the stack ended with {code}, and the run is judged with {judged}; Prometheus came back with its data"
    );
    compose.run(&["down"]).map(drop)
}

/// A service that dies is an alert at a webhook.
fn webhook(compose: &mut Compose) -> Result<()> {
    // Containers come from the bridge and not from 127.0.0.1.
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let url = format!("http://host.docker.internal:{}/", listener.local_addr()?.port());
    compose.with(&[], &[("ASSAY_WEBHOOK", &url)]);
    compose.run(&["up", "--detach", "--wait", "demo", "exporter", "prometheus", "alertmanager"])?;
    // A target that was never up is not down.
    let begun = Instant::now();
    while targets_down(compose).map_or(true, |down| !down.is_empty()) {
        ensure!(begun.elapsed() < Duration::from_secs(120), "not everything is scraped");
        std::thread::sleep(Duration::from_millis(500));
    }
    compose.run(&["kill", "demo"])?;
    let sent = std::thread::spawn(move || -> Result<String> {
        loop {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            let mut text = Vec::new();
            // The sender waits for an answer with the connection open: what came until then is all.
            let _ = stream.read_to_end(&mut text);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if text.contains("TargetDown") {
                return Ok(text);
            }
        }
    });
    let begun = Instant::now();
    while !sent.is_finished() {
        ensure!(begun.elapsed() < Duration::from_secs(120), "no alert came to the webhook in two minutes");
        std::thread::sleep(Duration::from_millis(500));
    }
    let Ok(text) = sent.join() else { bail!("the webhook's listener failed") };
    ensure!(text?.contains("\"status\":\"firing\""), "the alert is not firing");
    eprintln!(
        "  a service that was killed: TargetDown came to the webhook after {} s",
        begun.elapsed().as_secs()
    );
    compose.run(&["down", "--volumes"]).map(drop)
}

/// A service on the host, by what `loadgen init` writes; demo is away, and nothing fires for it.
fn own_service(compose: &mut Compose) -> Result<()> {
    let written =
        shell::output(Command::new(compose.bin.join("loadgen")).arg("init").arg(compose.dir.join("mine")))?;
    ensure!(written.lines().count() == 5, "loadgen init wrote {written}");
    for name in ["assay", OWN] {
        fs::rename(compose.dir.join("mine").join(name), compose.dir.join(name))?;
    }
    let port = free_port()?;
    // Containers come from the bridge and not from 127.0.0.1.
    let mut service = Command::new(compose.bin.join("exporter"));
    service.arg(format!("--web.listen-address=:{port}"));
    let _service = Process::start("exporter", &mut service, &compose.dir)?;
    let target = format!("http://host.docker.internal:{port}");
    let list = format!("- targets: [\"host.docker.internal:{port}\"]\n  labels: {{job: service}}\n");
    compose.write("assay/targets.yml", &list)?;
    compose.with(&[OWN], &[("ASSAY_MODE", "short"), ("ASSAY_TARGET", &target)]);
    let mut up = compose.up(&SERVICES)?;
    watch(compose, &mut up, SERVICES.len() - 2)?;
    let services = compose.health()?;
    ensure!(services.iter().all(|(name, _)| name != "demo"), "demo is there: {services:?}");
    let up_now = queried(compose, "up%7Bjob=%22service%22%7D")?;
    ensure!(up_now.len() == 1, "the service of one's own is scraped {} times", up_now.len());
    let (code, log) = up.end()?;
    ensure!(code == 0, "a service of one's own that is well ends with {code}:\n{log}");

    // No list: nothing is scraped, and nothing fires.
    compose.write("assay/targets.yml", "[]\n")?;
    let mut up = compose.up(&SERVICES)?;
    up.wait_until("the load is on", || Ok(compose.health()?.iter().any(|(name, _)| name == "run")))?;
    // How busy the host is, is not judged.
    let alerts = "ALERTS%7Balertstate=%22firing%22,severity=%22critical%22,alertname!~%22Host.*%22%7D";
    let firing = queried(compose, alerts)?;
    let (code, log) = up.end()?;
    ensure!(
        code == 0 && firing.is_empty(),
        "without a list of targets: exit code {code}, firing {firing:?}\n{log}"
    );
    eprintln!("  a service of one's own: exit code 0, scraped by its list; without the list nothing fires");
    compose.run(&["down"]).map(drop)
}

/// One clear line for each.
fn mistakes(compose: &mut Compose) -> Result<()> {
    let once = ["run", "--rm", "--no-deps", "-T", "run"];
    compose.with(&[SCRAPE], &[SHORT, ("ASSAY_TARGET", "http://reports:1")]);
    compose.run(&["up", "--detach", "--wait", "reports"])?;
    compose.attempt(&once)?.expect("a wrong target", 4, &["http://reports:1"])?;
    compose.with(&[SCRAPE], &[SHORT]);
    compose.attempt(&once)?.expect("loadgen without the service", 4, &["http://demo:8000"])?;
    compose.run(&["down"])?;

    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    compose.with(&[SCRAPE], &[("ASSAY_REPORTS_PORT", &port)]);
    compose.attempt(&["up", "--detach", "reports"])?.expect("a taken port", 1, &[&port, "in use"])?;
    compose.run(&["down"])?;

    compose.with(&[OWN], &[("ASSAY_MODE", "short")]);
    compose.attempt(&["config", "--quiet"])?.expect(
        "no target of one's own",
        1,
        &["ASSAY_TARGET", "set it to the URL"],
    )?;
    compose.with(&[OWN], &[("ASSAY_TARGET", "http://mine:1")]);
    fs::rename(compose.dir.join("assay"), compose.dir.join("elsewhere"))?;
    compose.attempt(&["up", "--detach", "prometheus"])?.expect(
        "no ./assay",
        1,
        &["assay", "does not exist"],
    )?;
    compose.run(&["down"]).map(drop)
}

/// A run that the volume has no room for ends, and says why.
fn full_disk(compose: &mut Compose) -> Result<()> {
    compose.with(&[SCRAPE], &[SHORT]);
    compose.run(&["down", "--volumes"])?;
    compose.with(&[SCRAPE, "full.yml"], &[SHORT]);
    compose.run(&["up", "--detach", "--wait", "demo", "exporter"])?;
    let ended = compose.attempt(&["run", "--rm", "--no-deps", "-T", "run"])?;
    ended.expect("a full disk", 1, &["No space left on device"])
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
