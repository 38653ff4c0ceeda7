//! What each part runs on: our release binaries, a core for the client, a core for the server.
//!
//! Invariant: a client's processor time is that of its process alone, user and kernel together, from start to
//! exit.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use super::server::Log;
use crate::{
    folder,
    process::{PEAK, Process, RESIDENT, free_port, memory_mib},
    shell,
};

/// The client's core and the server's.
const CLIENT_CORE: &str = "0";
const SERVER_CORE: &str = "1";

/// Our binaries and a folder.
pub(super) struct Rig {
    pub(super) loadgen: PathBuf,
    xtask: PathBuf,
    pub(super) dir: PathBuf,
    is_undisturbed: bool,
}

/// A server that runs.
pub(super) struct Served {
    process: Process,
    pub(super) port: u16,
    log: PathBuf,
}

/// What a client came to.
pub(super) struct Client {
    pub(super) stdout: String,
    /// Seconds of processor time.
    pub(super) cpu_s: f64,
    /// The resident set ten times a second, in MiB.
    pub(super) resident_mib: Vec<f64>,
    /// The largest resident set, in MiB.
    pub(super) peak_mib: f64,
}

impl Rig {
    /// Builds what is needed and makes an empty folder. `ASSAY_LOADGEN` names another build of loadgen to
    /// measure.
    pub(super) fn make(name: &str) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        ensure!(cores >= 2, "client and server need a core each, and this process has {cores}");
        let release = shell::build("release", &["loadgen", "xtask"])?;
        let dir = shell::root().join("target/bench/loadgen").join(name);
        folder::fresh(&dir)?;
        let loadgen =
            std::env::var_os("ASSAY_LOADGEN").map_or_else(|| release.join("loadgen"), PathBuf::from);
        Ok(Self { loadgen, xtask: release.join("xtask"), dir, is_undisturbed: false })
    }

    /// Lets client and server go before whatever else the machine does, where it allows that: a client that
    /// loses its core to another program would be held to account for it.
    pub(super) fn be_undisturbed(&mut self) {
        let allowed = Command::new("chrt").args(["-r", "1", "true"]).stderr(Stdio::null()).status();
        self.is_undisturbed = allowed.is_ok_and(|status| status.success());
        println!(
            "client and server {} before other processes of this machine",
            if self.is_undisturbed { "go (SCHED_RR)" } else { "do not go" }
        );
    }

    fn pinned(&self, core: &str, program: &Path) -> Command {
        let mut command = Command::new(if self.is_undisturbed { "chrt" } else { "taskset" });
        if self.is_undisturbed {
            command.args(["-r", "1", "taskset"]);
        }
        command.args(["-c", core]).arg(program);
        command
    }

    /// Starts our own server.
    pub(super) fn serve(&self, plan: &str) -> Result<Served> {
        let (port, log) = (free_port()?, self.dir.join("server.bin"));
        let mut command = self.pinned(SERVER_CORE, &self.xtask);
        command.args(["serve", "--port", &port.to_string(), "--plan", plan]).arg("--log").arg(&log);
        self.start(command, port, log)
    }

    /// Starts nginx with an answer of 31 bytes; `None` where there is no nginx.
    pub(super) fn nginx(&self) -> Result<Option<Served>> {
        let Some(program) = find("nginx") else { return Ok(None) };
        let (port, conf) = (free_port()?, self.dir.join("nginx.conf"));
        let dir = self.dir.display();
        fs::write(
            &conf,
            format!(
                "daemon off; master_process off; error_log stderr error; pid {dir}/nginx.pid;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_requests 1000000000;\n\
                 server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain;\n\
                 return 200 \"thirty bytes of plain text ...\\n\"; }} }} }}\n"
            ),
        )?;
        let mut command = self.pinned(SERVER_CORE, &program);
        command.arg("-e").arg("stderr").arg("-c").arg(conf);
        self.start(command, port, PathBuf::new()).map(Some)
    }

    fn start(&self, mut command: Command, port: u16, log: PathBuf) -> Result<Served> {
        let mut process = Process::start("server", &mut command, &self.dir)?;
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.ended()? || start.elapsed() > Duration::from_secs(10) {
                bail!(process.post_mortem());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Served { process, port, log })
    }

    /// Runs a client on its core to its end.
    pub(super) fn client(&self, program: &Path, arguments: &[String]) -> Result<Client> {
        let (out, err) = (self.dir.join("client.out"), self.dir.join("client.err"));
        let before = children_cpu_s()?;
        let mut child = self
            .pinned(CLIENT_CORE, program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .context("taskset")?;
        let (mut peak_mib, mut resident_mib) = (0f64, Vec::new());
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            peak_mib = peak_mib.max(memory_mib(child.id(), PEAK).unwrap_or(0.0));
            resident_mib.extend(memory_mib(child.id(), RESIDENT));
            sleep(Duration::from_millis(100));
        };
        let cpu_s = children_cpu_s()? - before;
        let said = fs::read_to_string(err)?;
        let end: Vec<&str> = said.lines().rev().take(5).collect();
        let end = end.into_iter().rev().collect::<Vec<_>>().join("\n");
        ensure!(status.success(), "{}: {status}\n{end}", program.display());
        Ok(Client { stdout: fs::read_to_string(out)?, cpu_s, resident_mib, peak_mib })
    }

    /// Starts loadgen on the client's core and hands it over while it runs.
    pub(super) fn start_loadgen(&self, arguments: &[String]) -> Result<Child> {
        self.pinned(CLIENT_CORE, &self.loadgen)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(self.dir.join("client.out"))?)
            .spawn()
            .context("taskset")
    }

    /// Writes a scenario of one step, and gives the arguments that run it. Its last phase is the one that counts.
    pub(super) fn scenario(&self, port: u16, step: &str, phases: &[&str]) -> Result<Vec<String>> {
        let file = self.dir.join("scenario.yml");
        let mut text =
            format!("scenario: bench\ntarget: http://127.0.0.1:{port}\nflow:\n  - {step}\nphases:\n");
        for (i, phase) in phases.iter().enumerate() {
            text.push_str(&format!("  phase-{i}: {phase}\n"));
        }
        fs::write(&file, text)?;
        let file = file.display().to_string();
        let words = ["run", &file, "--quiet", "--workers", "1", "--summary", "json"];
        Ok(words.map(str::to_owned).into())
    }
}

impl Served {
    /// The address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Ends our server and reads what it logged, the first `warmup` requests left out.
    pub(super) fn quit(mut self, warmup: usize) -> Result<Log> {
        ureq::get(format!("{}quit", self.url())).call()?;
        let status = self.process.wait()?;
        ensure!(status.success(), self.process.post_mortem());
        Log::read(&self.log).map(|log| log.without_first(warmup))
    }
}

/// Processor time of all children that were waited for.
fn children_cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// A program by the variable `ASSAY_NAME`, or in the search path or where system services are.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(format!("ASSAY_{}", name.to_uppercase())) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir: PathBuf| dir.join(name))
        .find(|file| file.is_file())
}
