//! The test suite again and again, on an idle and on a busy machine. Invariant: every run is counted, and a test that
//! fails once is named with how often.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::{Result, bail};

use crate::{peers, shell};

/// How often, and next to how much other work.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often the suite runs
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// How many of the runs, the last ones, share the machine with a busy thread for each processor
    #[arg(long, default_value_t = 10)]
    busy: u32,
    /// Upstream's test data; `ASSAY_DATA` if it is set
    #[arg(long, env = "ASSAY_DATA")]
    data: Option<PathBuf>,
    /// Arguments of `cargo test`
    #[arg(last = true, default_value = "--workspace")]
    arguments: Vec<String>,
}

/// Runs the suite and fails with every test that failed, and how often.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bin = peers::install()?;
    let test = |more: &[&str]| {
        let mut command = shell::cargo(&["test"]);
        command.args(&options.arguments).args(more).current_dir(shell::root()).env("ASSAY_PEERS", &bin);
        if let Some(data) = &options.data {
            command.env("ASSAY_DATA", data).env("CI", "true");
        }
        command
    };
    shell::run(&mut test(&["--no-run"]))?;
    let mut failures = BTreeMap::<String, u32>::new();
    for n in 1..=options.times {
        let is_busy = n > options.times.saturating_sub(options.busy);
        let begun = Instant::now();
        let load = is_busy.then(Load::start);
        let output = test(&["--no-fail-fast"]).output()?;
        drop(load);
        let text = String::from_utf8_lossy(&output.stdout);
        let failed: Vec<_> = failed(&text).collect();
        let passed: u64 = text.lines().filter_map(passed).sum();
        println!(
            "run {n:>2} of {}{}: {passed} passed, {} failed, {:.0} s",
            options.times,
            if is_busy { " (busy)" } else { "" },
            failed.len(),
            begun.elapsed().as_secs_f64()
        );
        if !output.status.success() && failed.is_empty() {
            bail!("cargo test: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        for name in failed {
            println!("  {name}");
            for line in said(&text, &name) {
                println!("    {line}");
            }
            *failures.entry(name).or_default() += 1;
        }
    }
    if failures.is_empty() {
        println!("{} runs, no failure", options.times);
        return Ok(());
    }
    let list: Vec<_> = failures.iter().map(|(name, n)| format!("{n} of {}: {name}", options.times)).collect();
    bail!("tests that failed:\n{}", list.join("\n"))
}

/// The tests of one run's output that failed.
fn failed(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines = text.lines().filter_map(|l| l.strip_prefix("test "));
    lines.filter_map(|l| l.strip_suffix(" ... FAILED")).map(str::to_owned)
}

/// What a test that failed said, as far as a person wants to read of it.
fn said<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    const LINES: usize = 30;
    let head = format!("---- {name} stdout ----");
    let lines = text.lines().skip_while(move |l| *l != head).skip(1);
    lines
        .take_while(|l| !l.starts_with("---- ") && *l != "failures:" && !l.starts_with("stack backtrace"))
        .take(LINES)
}

/// How many passed, from the line that sums a binary up.
fn passed(line: &str) -> Option<u64> {
    line.strip_prefix("test result: ")?.split(". ").nth(1)?.split(' ').next()?.parse().ok()
}

/// Other work: a thread for each processor that does nothing but turn, until this is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let is_on = Arc::new(AtomicBool::new(true));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let is_on = Arc::clone(&is_on);
            std::thread::spawn(move || {
                while is_on.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(is_on)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_passes_are_read_from_the_output() {
        let text = "test a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n\n---- a::c stdout ----\nit broke\n\nfailures:\n    a::c\n\n\
             test result: FAILED. 96 passed; 1 failed; 0 ignored\n";
        assert_eq!(failed(text).collect::<Vec<_>>(), ["a::c"]);
        assert_eq!(said(text, "a::c").collect::<Vec<_>>(), ["it broke", ""]);
        assert_eq!(text.lines().filter_map(passed).sum::<u64>(), 96);
    }
}
