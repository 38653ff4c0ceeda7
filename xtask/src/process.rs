//! A child process. Invariant: it is killed when its handle is dropped, so no error path leaves one behind.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};

/// A process, its output in a log.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process that logs to `dir/NAME.log`.
    pub(crate) fn start(name: &'static str, command: &mut Command, dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| log.display().to_string())?;
        let err = out.try_clone()?;
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().with_context(|| {
                format!("{name}: {} cannot start", command.get_program().to_string_lossy())
            })?;
        Ok(Self { name, child, log })
    }

    /// Whether the process ended.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?)
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// The largest resident set so far, in MiB.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        memory_mib(self.child.id(), PEAK)
    }

    /// What to say where the process ended and should not have: the end of its log.
    pub(crate) fn post_mortem(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(5).collect();
        format!("{} ended early:\n{}", self.name, tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The largest resident set of a running process so far.
pub(crate) const PEAK: &str = "VmHWM:";
/// Its resident set now.
pub(crate) const RESIDENT: &str = "VmRSS:";

/// The memory of a running process, in MiB: a field of its `status`.
///
/// # Errors
/// If the process has ended.
pub(crate) fn memory_mib(pid: u32, field: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix(field)).with_context(|| format!("no {field}"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
