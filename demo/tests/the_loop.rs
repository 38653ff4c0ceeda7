//! The whole loop as a process: what it leaves when it is killed, and when it is interrupted.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use assay_report::terminal::{TerminalOptions, render};
use assay_run::{Manifest, Outcome, Run};
use assay_testkit::interrupt;
use assay_verdict::eval::{EvalOptions, eval};

/// A loop in progress, its process and the folder of its runs.
struct Loop {
    child: Child,
    runs: tempfile::TempDir,
}

impl Loop {
    fn start(arguments: &[&str]) -> Self {
        let runs = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        let child = interrupt::prepare(&mut command)
            .args(["--plain", "--runs"])
            .arg(runs.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("demo starts");
        Self { child, runs }
    }

    /// Waits until the phase is on record and has samples, and yields the run's directory.
    fn wait_for(&mut self, phase: &str) -> PathBuf {
        let start = Instant::now();
        loop {
            if let Some(dir) = only_entry(self.runs.path()) {
                let began = Manifest::read(&dir).ok().and_then(|m| m.phase(phase).map(|p| p.start_ms));
                let last = Run::open(&dir).ok().and_then(|run| run.time_range()).map(|(_, last)| last);
                if began.zip(last).is_some_and(|(began, last)| last > began + 2_000) {
                    return dir;
                }
            }
            if let Some(status) = self.child.try_wait().expect("a child") {
                let mut log = String::new();
                self.child.stderr.take().expect("piped").read_to_string(&mut log).expect("a log");
                panic!("demo ended with {status}: {log}");
            }
            assert!(start.elapsed() < Duration::from_secs(120), "phase {phase} never came");
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn only_entry(folder: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).ok()?;
    entries.next()?.ok().map(|e| e.path())
}

fn shipped(run: &Path) -> EvalOptions {
    let prometheus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus");
    let mut options = EvalOptions::new(run);
    options.rules = vec![prometheus.join("rules/*.yml").display().to_string()];
    options.slas = vec![prometheus.join("sla/clinical-rag.yml")];
    options
}

#[test]
fn a_killed_run_is_judged_up_to_where_it_was_cut() {
    let mut demo = Loop::start(&["--time-scale", "1"]);
    let dir = demo.wait_for("steady");
    demo.child.kill().expect("SIGKILL");
    demo.child.wait().expect("reaped");

    let run = Run::open(&dir).expect("a killed run opens");
    let cut_short_ms = run.cut_short.expect("it says when it was cut short");
    let began_ms = run.manifest.as_ref().and_then(|m| m.phase("steady")).expect("steady").start_ms;
    assert!(cut_short_ms > began_ms, "the phase has samples");
    assert!(run.manifest.expect("run.json").outcome.is_none());

    let verdict = eval(&shipped(&dir)).expect("it is judged").verdict;
    assert_eq!(verdict.run.cut_short_ms, Some(cut_short_ms));
    let measured = verdict.objectives.iter().filter(|row| row.value.is_some()).count();
    assert!(measured >= 8, "{measured} objectives of the cut phase have a value");
    let text = render(&verdict, TerminalOptions { colour: false, width: 120 });
    assert!(text.contains("cut short"), "{text}");
}

#[test]
fn an_interrupted_run_is_whole() {
    if interrupt::is_helper() {
        return;
    }
    let mut demo = Loop::start(&["--time-scale", "1"]);
    let dir = demo.wait_for("steady");
    interrupt::interrupt(demo.child.id());
    let status = demo.child.wait().expect("an end");
    assert_eq!(status.code(), Some(130));

    let run = Run::open(&dir).expect("opens");
    assert_eq!(run.cut_short, None);
    assert_eq!(run.manifest.expect("run.json").outcome, Some(Outcome::Interrupted));
    assert!(dir.join("report.html").is_file() && dir.join("verdict.json").is_file());
    let blocks = std::fs::read_dir(dir.join("data")).expect("data");
    let blocks = blocks.flatten().filter(|e| e.path().join("meta.json").is_file()).count();
    assert_eq!(blocks, 1, "a run that ended is one block");
}
