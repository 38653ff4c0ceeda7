//! The programs, a run to torment, and how a program is tried. Invariant: everything is below a folder of its own in
//! `target/torment`, which goes at the end; a program that is tried is measured by its parent and ends within its time.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use assay_testkit::{Program, Server, server::respond};
use serde_json::Value;

use crate::{folder::only_entry, shell};

/// A program that is tried ends by itself long before.
const LONGEST: Duration = Duration::from_secs(300);

/// Series of a wide run.
pub(super) const SERIES: usize = 50_000;

/// What all cases share.
pub(super) struct Rig {
    pub(super) loadgen: PathBuf,
    pub(super) ruleseval: PathBuf,
    pub(super) exporter: PathBuf,
    pub(super) demo: PathBuf,
    /// A folder for what cases leave.
    pub(super) dir: PathBuf,
    /// A finished run.
    pub(super) run: PathBuf,
    /// The service that load is driven at.
    pub(super) target: Server,
}

/// What became of a program.
#[derive(Debug)]
pub(super) struct Tried {
    /// `None` if a signal ended it.
    pub(super) code: Option<i64>,
    pub(super) wall_s: f64,
    pub(super) peak_mib: f64,
    /// What it wrote to stderr.
    pub(super) said: String,
}

impl Tried {
    /// Whether it ended as a program ends: not by a signal, not by a panic, not by its time.
    pub(super) fn is_orderly(&self) -> bool {
        self.code.is_some_and(|code| code < 100 || code == 130) && !self.said.contains("panicked")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Rig {
    /// Builds the programs and records a run.
    pub(super) fn build(profile: &str) -> Result<Self> {
        let programs = shell::build(profile, &["loadgen", "ruleseval", "demo", "exporter"])?;
        let target = shell::root().join("target");
        let dir = target.join(format!("torment/{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let mut rig = Self {
            loadgen: programs.join("loadgen"),
            ruleseval: programs.join("ruleseval"),
            exporter: programs.join("exporter"),
            demo: programs.join("demo"),
            run: PathBuf::new(),
            target: Server::start(|_| respond(200, "content-type: text/plain\r\n", "ok")),
            dir,
        };
        rig.run = rig.record("first", 4)?;
        Ok(rig)
    }

    /// A run of one sample in each of [`SERIES`] series.
    pub(super) fn wide(&self) -> Result<PathBuf> {
        let (text, run) = (self.dir.join("wide.prom"), self.dir.join("wide"));
        if run.exists() {
            return Ok(run);
        }
        let mut lines = String::from("# TYPE x gauge\n");
        for n in 0..SERIES {
            let _ = writeln!(lines, "x{{i=\"{n}\"}} {n} 1767225600000");
        }
        write(&text, lines.as_bytes())?;
        let mut import = Command::new(&self.ruleseval);
        shell::output(import.args(["import", "--format", "text"]).arg(&text).arg("--out").arg(&run))?;
        Ok(run)
    }

    /// A command of `loadgen` that drives a little load for some seconds.
    pub(super) fn load(&self, name: &str, seconds: u32) -> Result<Command> {
        let scenario = self.dir.join(format!("{name}.yml"));
        let text = format!(
            "scenario: {name}\nflow: [{{name: a, get: /a}}, {{name: b, get: /b}}, {{think: 20ms}}]\n\
             phases: {{steady: {{executor: constant-vus, vus: 4, duration: {seconds}s}}}}\n"
        );
        fs::write(&scenario, text).with_context(|| scenario.display().to_string())?;
        let mut command = Command::new(&self.loadgen);
        command.arg("run").arg(scenario).args(["--quiet", "--target", &self.target.url()]);
        Ok(command)
    }

    /// Records a run.
    pub(super) fn record(&self, name: &str, seconds: u32) -> Result<PathBuf> {
        let parent = self.dir.join(name);
        let mut command = self.load(name, seconds)?;
        shell::output(command.arg("--record").arg(&parent))?;
        only_entry(&parent)
    }

    /// `ruleseval query` over a run.
    pub(super) fn query(&self, run: &Path, expression: &str) -> Command {
        let mut command = Command::new(&self.ruleseval);
        command.arg("query").arg(run).arg(expression);
        command
    }

    /// `ruleseval serve` over a run.
    pub(super) fn serve(&self, run: &Path, more: &[&str]) -> Program {
        let mut command = Command::new(&self.ruleseval);
        command.arg("serve").arg(run).args(["--listen", "127.0.0.1:0"]).args(more);
        Program::listening(&mut command, "serving")
    }

    /// Runs a command and measures it; the shell words `before` it set limits or redirect it.
    pub(super) fn try_after(&self, before: &str, after: &str, command: &Command) -> Result<Tried> {
        let errors = self.dir.join("stderr");
        let mut measured = Command::new(std::env::current_exe()?);
        measured.current_dir(shell::root());
        let (program, arguments) = (command.get_program(), command.get_args());
        let script = format!("{before} \"$@\" {after}");
        measured
            .args(["measure", "--any-status", "--", "bash", "-c", &script, "bash"])
            .arg(program)
            .args(arguments);
        measured.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(fs::File::create(&errors)?);
        let (output, wall_s) = within(LONGEST, measured.spawn()?)?;
        let usage: Value = serde_json::from_slice(&output)
            .with_context(|| format!("no measurement: {}", String::from_utf8_lossy(&output)))?;
        Ok(Tried {
            code: usage["code"].as_i64(),
            wall_s,
            peak_mib: usage["peak_mib"].as_f64().context("peak_mib")?,
            said: String::from_utf8_lossy(&fs::read(&errors)?).into_owned(),
        })
    }

    /// Runs a command and measures it.
    pub(super) fn try_it(&self, command: &Command) -> Result<Tried> {
        self.try_after("exec", "", command)
    }
}

/// The output of a program that ends within a time, and how long it took.
fn within(longest: Duration, mut child: Child) -> Result<(Vec<u8>, f64)> {
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        if begun.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("no end within {longest:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let wall_s = begun.elapsed().as_secs_f64();
    Ok((child.wait_with_output()?.stdout, wall_s))
}

/// All files below a folder, in order.
pub(super) fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::File::create(path).with_context(|| path.display().to_string())?;
    Ok(file.write_all(bytes)?)
}

/// Numbers that look random and are the same for a seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    pub(super) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}
