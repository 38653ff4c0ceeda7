//! The stack without containers: the processes of `docker-compose.yml`, from the peers' binaries and our own.
//!
//! Invariant: every process that it starts ends with it, and everything it writes stands under
//! `target/stack/`. Grafana is not among the peers; what its dashboard asks is asked of Prometheus instead.

pub(crate) mod config;
mod probe;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    folder, peers,
    process::{Process, free_port},
    server::Server,
    shell,
};

/// What to run, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The scenario's mode that loadgen drives.
    #[arg(long, default_value = "demo")]
    mode: String,
    /// Scales the scenario's durations.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// Checks every target, rule group and dashboard expression during the run, and ends with the verdict on
    /// them; ports are picked free.
    #[arg(long)]
    check: bool,
    /// The build profile of our own binaries.
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Options {
    /// A short run that checks the stack, with our binaries from `profile`.
    pub(crate) fn check(profile: &str) -> Self {
        Self { mode: "demo".to_owned(), time_scale: 0.6, check: true, profile: profile.to_owned() }
    }
}

/// Where each process listens, all on 127.0.0.1.
#[derive(Debug)]
struct Ports {
    demo: u16,
    exporter: u16,
    loadgen: u16,
    prometheus: u16,
    alertmanager: u16,
}

impl Ports {
    /// The usual ones, so that bookmarks work; with `any`, free ones, so that nothing collides.
    fn pick(any: bool) -> Result<Self> {
        let port = |usual| if any { free_port() } else { Ok(usual) };
        Ok(Self {
            demo: port(8000)?,
            exporter: port(9100)?,
            loadgen: port(9099)?,
            prometheus: port(9090)?,
            alertmanager: port(9093)?,
        })
    }
}

/// Starts everything, drives the load, checks where asked, and stops everything.
pub(crate) fn run(options: &Options) -> Result<()> {
    let peers = peers::install()?;
    let bin = shell::build(&options.profile, &["demo", "exporter", "loadgen"])?;
    let dir = shell::root().join("target/stack");
    folder::fresh(&dir)?;
    let ports = Ports::pick(options.check)?;
    config::write(&dir, &ports)?;

    let listen = |port: u16| format!("127.0.0.1:{port}");
    let mut demo = Command::new(bin.join("demo"));
    demo.args(["serve", "--profile", "laptop", "--listen", &listen(ports.demo)]);
    let mut exporter = Command::new(bin.join("exporter"));
    exporter.args(["--web.listen-address", &listen(ports.exporter)]);
    let alertmanager = peers.join("prometheus-alertmanager");
    let mut alertmanager = assay_testkit::peers::alertmanager(&alertmanager);
    alertmanager
        .arg(format!("--config.file={}", shell::root().join("prometheus/alertmanager.yml").display()))
        .arg(format!("--storage.path={}", dir.join("alertmanager").display()))
        .arg(format!("--web.listen-address={}", listen(ports.alertmanager)))
        .arg("--cluster.listen-address=");
    let mut prometheus = Command::new(peers.join("prometheus"));
    prometheus
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={}", listen(ports.prometheus)))
        .arg("--enable-feature=native-histograms,exemplar-storage,created-timestamp-zero-ingestion");

    let mut demo = Process::start("demo", &mut demo, &dir)?;
    let _exporter = Process::start("exporter", &mut exporter, &dir)?;
    let mut alertmanager = Process::start("alertmanager", &mut alertmanager, &dir)?;
    let mut prometheus = Process::start("prometheus", &mut prometheus, &dir)?;
    let server = Server::new(ports.prometheus);
    server.wait_for("/-/ready", &mut prometheus)?;
    Server::new(ports.demo).wait_for("/health", &mut demo)?;
    Server::new(ports.alertmanager).wait_for("/-/ready", &mut alertmanager)?;

    let mut load = Command::new(bin.join("loadgen"));
    load.args(["run", "clinical-rag", "--mode", &options.mode])
        .args(["--target", &format!("http://{}", listen(ports.demo))])
        .args(["--metrics-listen", &listen(ports.loadgen)])
        .args(["--time-scale", &options.time_scale.to_string()])
        .env("RAG_PASSWORD", "demo");
    let mut load = Process::start("loadgen", &mut load, &dir)?;
    println!("Prometheus   http://{}", listen(ports.prometheus));
    println!("Alertmanager http://{}", listen(ports.alertmanager));
    println!("demo         http://{}", listen(ports.demo));
    println!("exporter     http://{}/metrics", listen(ports.exporter));
    println!("logs         {}", dir.display());

    if options.check {
        check(&server, &ports, &mut load)?;
        return Ok(());
    }
    let status = load.wait()?;
    println!("loadgen ended ({status}); Prometheus stays up until Ctrl-C");
    prometheus.wait()?;
    Ok(())
}

/// What the boards of a run and of its stages ask. The other boards need a GPU, a model server or time; what has data
/// of those, a test of `demo` says.
fn expressions() -> Vec<(String, String)> {
    let asked = grafana::expressions::all("15s", "1m").into_iter();
    let here = asked.filter(|e| ["assay-run", "assay-stages"].contains(&e.board));
    // Nothing fails in a healthy run, no rate is intended by scenarios of users, and no alert may fire.
    let never = ["error_type!~\"|interrupted\"}", "load_rate_target_per_second", "ALERTS{"];
    here.filter(|e| !never.iter().any(|part| e.expr.contains(part))).map(|e| (e.place, e.expr)).collect()
}

/// Waits until all holds that should, and names what does not when the load ends first.
fn check(server: &Server, ports: &Ports, load: &mut Process) -> Result<()> {
    let expressions = expressions();
    let (mut missing, mut problems) = (expressions.clone(), Vec::new());
    let start = Instant::now();
    let deadline = Duration::from_secs(300);
    while start.elapsed() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        problems = probe::problems(server, ports)?;
        missing = probe::without_data(server, &missing)?;
        if problems.is_empty() && missing.is_empty() {
            break;
        }
        if load.ended()? {
            break;
        }
    }
    for problem in &problems {
        println!("not as it should be: {problem}");
    }
    for (panel, expr) in &missing {
        println!("no data: {panel}: {expr}");
    }
    let total = expressions.len();
    println!("{} of {total} dashboard expressions returned data", total - missing.len());
    ensure!(problems.is_empty() && missing.is_empty(), "the stack is not whole");
    let status = load.wait().context("loadgen")?;
    ensure!(status.success(), "loadgen ended with {status}; its log is under target/stack");
    evaluated(server)?;
    println!("every target up, every rule evaluated, Alertmanager ready and known");
    Ok(())
}

/// Waits until Prometheus has evaluated every rule once, which may be after the load's end, and without an error.
fn evaluated(server: &Server) -> Result<()> {
    let start = Instant::now();
    loop {
        let waiting = probe::unevaluated(server)?;
        if waiting.is_empty() {
            break;
        }
        ensure!(start.elapsed() < Duration::from_secs(120), "never evaluated: {}", waiting.join(", "));
        std::thread::sleep(Duration::from_secs(1));
    }
    let failing = probe::failing(server)?;
    ensure!(failing.is_empty(), "{}", failing.join("; "));
    Ok(())
}
