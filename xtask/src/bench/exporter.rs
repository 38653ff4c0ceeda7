//! The exporter against node_exporter, and against another build of itself, scraped in turns with the same collectors on.
//!
//! Invariant: all answer the same question on the same machine at the same time; processor time is the kernel's account
//! of the process, and memory is what is resident after as many scrapes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::median;
use crate::{
    peers,
    process::{RESIDENT, memory_mib},
    shell,
};

/// How much to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Scrapes {
    /// Scrapes of each.
    #[arg(long, default_value_t = 300)]
    scrapes: usize,
    /// Clients that ask and do not read.
    #[arg(long, default_value_t = 1000)]
    readers: usize,
    /// Processes to group.
    #[arg(long, default_value_t = 10_000)]
    processes: usize,
    /// Another build of the exporter to measure next to it.
    #[arg(long)]
    before: Option<PathBuf>,
}

/// Collectors that both have on by default.
const COLLECTORS: &[&str] = &[
    "arp",
    "bcache",
    "bcachefs",
    "bonding",
    "btrfs",
    "conntrack",
    "cpu",
    "cpufreq",
    "diskstats",
    "dmi",
    "edac",
    "entropy",
    "fibrechannel",
    "filefd",
    "filesystem",
    "hwmon",
    "infiniband",
    "ipvs",
    "kernel_hung",
    "loadavg",
    "mdadm",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "nfs",
    "nfsd",
    "nvme",
    "os",
    "powersupplyclass",
    "pressure",
    "rapl",
    "schedstat",
    "selinux",
    "sockstat",
    "softnet",
    "stat",
    "tapestats",
    "textfile",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
    "watchdog",
    "xfs",
    "zfs",
];

/// A program that serves metrics, ended with this value.
struct Server {
    name: &'static str,
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(name: &'static str, program: &Path, port: u16, arguments: &[String]) -> Result<Self> {
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(program)
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let server = Self { name, child, address };
        let start = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            if start.elapsed() > Duration::from_secs(20) {
                bail!("{name} does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Milliseconds that a scrape took, and the samples that it had.
    fn scrape(&self) -> Result<(f64, usize)> {
        let start = Instant::now();
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let (_, body) = text.split_once("\r\n\r\n").context("a response without a body")?;
        Ok((ms, body.lines().filter(|line| !line.starts_with('#')).count()))
    }

    /// Milliseconds of processor time so far, over all threads, those that ended too.
    fn cpu_ms(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, rest) = stat.rsplit_once(')').context("stat")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks * 10.0)
    }

    fn resident_mib(&self) -> Result<f64> {
        memory_mib(self.child.id(), RESIDENT)
    }
}

/// What was measured of one side.
struct Figures {
    p50_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
    samples: usize,
    resident_mib: f64,
    after_readers_mib: f64,
}

pub(super) fn run(options: &Scrapes) -> Result<()> {
    let peers = peers::install()?;
    let program = shell::build("release", &["exporter"])?.join("exporter");
    let mut arguments: Vec<String> = COLLECTORS.iter().map(|name| format!("--collector.{name}")).collect();
    arguments.push("--collector.disable-defaults".to_owned());
    let node_exporter = peers.join("prometheus-node-exporter");
    let programs = [
        ("node_exporter", Some(&node_exporter)),
        ("before", options.before.as_ref()),
        ("exporter", Some(&program)),
    ];
    let mut servers = Vec::new();
    for (port, (name, program)) in (29_100..).zip(programs) {
        if let Some(program) = program {
            servers.push(Server::start(name, program, port, &arguments)?);
        }
    }
    let figures = compare(&servers, options)?;
    println!("{} scrapes of each, in turns; {} collectors on in each\n", options.scrapes, COLLECTORS.len());
    println!(
        "| | p50 ms | p99 ms | CPU ms per scrape | samples | resident MiB | after {} slow readers |",
        options.readers
    );
    println!("|---|---|---|---|---|---|---|");
    for (server, f) in servers.iter().zip(&figures) {
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {} | {:.1} | {:.1} |",
            server.name, f.p50_ms, f.p99_ms, f.cpu_ms, f.samples, f.resident_mib, f.after_readers_mib
        );
    }
    for (server, ours) in servers.iter().zip(&figures).skip(1) {
        let theirs = &figures[0];
        println!(
            "| {} / node_exporter | {:.2} | {:.2} | {:.2} | | {:.2} | {:.2} |",
            server.name,
            ours.p50_ms / theirs.p50_ms,
            ours.p99_ms / theirs.p99_ms,
            ours.cpu_ms / theirs.cpu_ms,
            ours.resident_mib / theirs.resident_mib,
            ours.after_readers_mib / theirs.after_readers_mib
        );
    }
    drop(servers);
    println!("\nbinary: {:.1} MB", fs::metadata(&program)?.len() as f64 / 1e6);
    groups(&program, options.processes)
}

fn compare(servers: &[Server], options: &Scrapes) -> Result<Vec<Figures>> {
    for server in servers {
        for _ in 0..20 {
            server.scrape()?;
        }
    }
    let before = servers.iter().map(Server::cpu_ms).collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); servers.len()];
    let mut samples = vec![0; servers.len()];
    for _ in 0..options.scrapes {
        for (at, server) in servers.iter().enumerate() {
            let (ms, n) = server.scrape()?;
            times[at].push(ms);
            samples[at] = n;
        }
    }
    let mut figures = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let cpu_ms = (server.cpu_ms()? - before[at]) / options.scrapes as f64;
        let resident_mib = server.resident_mib()?;
        let after_readers_mib = slow_readers(server, options.readers)?;
        let p50_ms = median(&mut times[at]);
        let p99_ms = times[at][(times[at].len() * 99 / 100).min(times[at].len() - 1)];
        figures.push(Figures {
            p50_ms,
            p99_ms,
            cpu_ms,
            samples: samples[at],
            resident_mib,
            after_readers_mib,
        });
    }
    Ok(figures)
}

/// Clients that ask and never read, all at once; then what is resident when they are gone.
fn slow_readers(server: &Server, n: usize) -> Result<f64> {
    let mut held = Vec::new();
    for _ in 0..n {
        let mut stream = TcpStream::connect(&server.address)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.address)?;
        held.push(stream);
    }
    // All of them are answered, as far as buffers go, when one more is.
    while server.scrape()?.1 < 10 {}
    drop(held);
    server.scrape()?;
    server.resident_mib()
}

/// Scrapes of which the median is taken.
const GROUPINGS: usize = 20;

/// Processes that do nothing, ended with this value.
struct Sleepers(Vec<Child>);

impl Drop for Sleepers {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The time of a scrape that groups many processes.
fn groups(program: &Path, n: usize) -> Result<()> {
    let mut processes = Sleepers(Vec::with_capacity(n));
    for _ in 0..n {
        let process = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        match process {
            Ok(process) => processes.0.push(process),
            Err(cause) => {
                println!("only {} processes: {cause}", processes.0.len());
                break;
            }
        }
    }
    let arguments = ["--collector.disable-defaults", "--collector.groups"].map(str::to_owned);
    let server = Server::start("exporter", program, 29_102, &arguments)?;
    let first = server.scrape()?.0;
    let before = server.cpu_ms()?;
    let mut times = (0..GROUPINGS).map(|_| Ok(server.scrape()?.0)).collect::<Result<Vec<_>>>()?;
    let cpu_ms = (server.cpu_ms()? - before) / GROUPINGS as f64;
    // It sorts them.
    let p50_ms = median(&mut times);
    println!(
        "{} processes grouped: {p50_ms:.0} ms a scrape (median of {GROUPINGS}; minimum {:.0}, first {first:.0}), \
         {cpu_ms:.0} ms of processor time",
        processes.0.len(),
        times[0],
    );
    Ok(())
}
