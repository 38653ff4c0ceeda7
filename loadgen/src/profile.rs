//! Profiles of the process under test: `perf`, or py-spy for Python, samples it, and each phase that is no warm-up has a flame
//! graph in the run's directory.
//!
//! Invariant: the load continues whatever becomes of a profile; why there is none is a note of the run.

use std::{
    fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use assay_model::expo::MetricFamily;
use assay_platform::ending::{self, Ending};
use inferno::{
    collapse::{Collapse as _, perf::Folder},
    flamegraph,
};

use crate::{
    scenario::Phase,
    sink::{MetricsSink, SinkError},
    summary::hgrm::file,
};

/// Samples a second: not in step with what a program does a hundred times a second.
const RATE: &str = "99";

/// How much of each stack is copied. Programs are seldom compiled with frame pointers, so stacks are unwound from a copy.
const CALL_GRAPH: &str = "dwarf,8192";

/// The most that perf writes for a phase, should nothing stop it.
const LARGEST: &str = "2G";

/// What takes the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sampler {
    Perf,
    PySpy,
}

impl Sampler {
    fn of(pid: i32) -> Self {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with("python")) { Self::PySpy } else { Self::Perf }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf",
            Self::PySpy => "py-spy",
        }
    }

    /// What a person may do who has no samples.
    fn needs(self) -> &'static str {
        match self {
            Self::Perf => {
                "it needs perf (linux-perf, linux-tools), kernel.perf_event_paranoid of 2 or less, and in a container CAP_PERFMON"
            }
            Self::PySpy => "it needs py-spy (pip install py-spy), and root or CAP_SYS_PTRACE",
        }
    }

    /// Samples the process into a file until it is interrupted.
    fn start(self, pid: i32, into: &Path) -> io::Result<Child> {
        let mut command = Command::new(self.name());
        match self {
            Self::Perf => command
                .args(["record", "--quiet", "--freq", RATE, "--call-graph", CALL_GRAPH])
                .args(["--max-size", LARGEST]),
            Self::PySpy => command.args(["record", "--nonblocking", "--rate", RATE, "--format", "raw"]),
        };
        command.args(["--pid", &pid.to_string(), "--output"]).arg(into);
        // A signal from the terminal ends the load, which then ends this.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
    }

    /// The samples as lines of `outermost;…;innermost count`.
    fn folded(self, samples: &Path) -> io::Result<Vec<u8>> {
        let mut folded = Vec::new();
        match self {
            Self::PySpy => folded = fs::read(samples)?,
            Self::Perf => {
                let mut script = Command::new(self.name())
                    // Without periods, so that each sample counts as one.
                    .args(["script", "--no-inline", "--fields", "comm,tid,time,event,ip,sym,dso", "--input"])
                    .arg(samples)
                    .stdin(Stdio::null())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()?;
                let out = script.stdout.take().map(BufReader::new);
                out.map_or(Ok(()), |out| Folder::default().collapse(out, &mut folded))?;
                script.wait()?;
            }
        }
        Ok(folded)
    }
}

/// A phase that was, or is being, sampled.
#[derive(Debug)]
struct Sampled {
    phase: String,
    samples: PathBuf,
    process: Child,
}

/// Whether there is such a process.
///
/// # Errors
/// Where there is none, as the system says it.
pub fn exists(pid: i32) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        match rustix::process::test_kill_process(pid) {
            // One of another user is there, too.
            Ok(()) | Err(rustix::io::Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Samples a process while phases are driven.
#[derive(Debug)]
pub struct Profiler {
    pid: i32,
    dir: PathBuf,
    sampler: Sampler,
    sampled: Vec<Sampled>,
    notes: Vec<String>,
}

impl Profiler {
    /// Profiles of the process, to be written into `dir`.
    #[must_use]
    pub fn new(pid: i32, dir: &Path) -> Self {
        let sampler = Sampler::of(pid);
        Self { pid, dir: dir.to_owned(), sampler, sampled: Vec::new(), notes: Vec::new() }
    }

    fn missing(&mut self, phase: &str, cause: &str) {
        let Self { sampler, pid, .. } = self;
        let note = format!(
            "no profile of process {pid} in {phase}: {}: {cause}; {}",
            sampler.name(),
            sampler.needs()
        );
        tracing::warn!("{note}");
        self.notes.push(note);
    }

    /// Draws what was sampled; yields how many samples there were.
    fn draw(&self, sampled: Sampled, svg: &Path) -> Result<u64, String> {
        let said = sampled.process.wait_with_output().map(|out| out.stderr).unwrap_or_default();
        let folded = self.sampler.folded(&sampled.samples);
        let folded = String::from_utf8_lossy(&folded.unwrap_or_default()).into_owned();
        let counts = folded.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        let count = counts.sum();
        if count == 0 {
            let said = String::from_utf8_lossy(&said);
            let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
            let idle = "no samples: the process was idle, or may not be looked at";
            return Err(if said.is_empty() { idle.to_owned() } else { said.join(" ") });
        }
        fs::write(svg.with_extension("folded"), &folded).map_err(|e| e.to_string())?;
        // What the sampler wrote is large, and all of it that counts is in the lines.
        let _ = fs::remove_file(&sampled.samples);
        let mut options = flamegraph::Options::default();
        options.title = format!("Process {} in phase {}", self.pid, sampled.phase);
        options.subtitle = Some(format!("{count} samples by {}, {RATE} a second", self.sampler.name()));
        let out = fs::File::create(svg).map_err(|e| e.to_string())?;
        flamegraph::from_lines(&mut options, folded.lines(), out).map_err(|e| e.to_string())?;
        Ok(count)
    }
}

impl MetricsSink for Profiler {
    fn phase_started(&mut self, phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        if phase.warmup {
            return Ok(());
        }
        let taken: Vec<PathBuf> = self.sampled.iter().map(|s| s.samples.clone()).collect();
        let samples = file(&self.dir, &["profile", &phase.name], "data", &taken);
        match self.sampler.start(self.pid, &samples) {
            Ok(process) => self.sampled.push(Sampled { phase: phase.name.clone(), samples, process }),
            Err(e) => self.missing(&phase.name, &e.to_string()),
        }
        Ok(())
    }

    fn phase_ended(&mut self, _phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        self.end();
        Ok(())
    }

    fn push(&mut self, _t_ms: i64, _families: &[MetricFamily]) -> Result<(), SinkError> {
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Ends the sampling. The samplers of phases before have ended, and nobody has taken their numbers: they are waited for later.
    fn end(&mut self) {
        if let Some(last) = self.sampled.last_mut() {
            interrupt(&mut last.process);
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for sampled in std::mem::take(&mut self.sampled) {
            let (phase, svg) = (sampled.phase.clone(), sampled.samples.with_extension("svg"));
            match self.draw(sampled, &svg) {
                Ok(count) => {
                    let name = svg.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    self.notes.push(format!(
                        "flame graph of process {} in {phase}: {name} ({count} samples)",
                        self.pid
                    ));
                }
                Err(cause) => self.missing(&phase, &cause),
            }
        }
        Ok(())
    }
}

/// Asks a sampler to write what it has and to end.
fn interrupt(process: &mut Child) {
    // Where it cannot be asked it is ended, and has no samples.
    if ending::request(process.id(), Ending::Interrupted).is_err() {
        let _ = process.kill();
    }
}
