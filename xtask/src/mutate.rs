//! Mutation of the shipped rules: each change that should matter must fail a unit test.
//!
//! Invariant: the files under `prometheus/` are read and never written; mutants live in copies below `target/`.

mod mutants;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};

use self::mutants::{Mutant, mutants};
use crate::{peers, shell::root};

/// What to mutate, and how many mutants may survive.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only rules whose file name contains this
    #[arg(long, default_value = "")]
    file: String,
    /// The least share of mutants that the unit tests must kill
    #[arg(long, default_value_t = 0.95)]
    least: f64,
    /// A folder with promtool; the peers are installed if it isn't given
    #[arg(long, env = "ASSAY_PEERS")]
    peers: Option<PathBuf>,
}

/// Tries every mutant, prints the table and the survivors.
///
/// # Errors
/// If the unchanged rules fail a test, or if too many mutants survive.
pub(crate) fn run(options: &Options) -> Result<()> {
    let bin = options.peers.clone().map_or_else(peers::install, Ok)?;
    let promtool = bin.join("promtool");
    let rules = read("rules")?;
    let tests = read("tests")?;
    let all: Vec<Mutant> = rules
        .iter()
        .filter(|(name, _)| name.contains(&options.file))
        .flat_map(|(name, text)| mutants(name, text))
        .collect();
    ensure!(!all.is_empty(), "no rule file matches {:?}", options.file);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let benches =
        (0..workers).map(|n| Bench::new(n, &promtool, &rules, &tests)).collect::<Result<Vec<_>>>()?;
    for (test, _) in &tests {
        ensure!(benches[0].passes(test)?, "{test} fails with the rules as they are");
    }
    let next = AtomicUsize::new(0);
    let verdicts = thread::scope(|scope| {
        let runs: Vec<_> = benches.iter().map(|bench| scope.spawn(|| bench.work(&all, &next))).collect();
        let mut killed = vec![false; all.len()];
        for run in runs {
            let done = run.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            for (i, dead) in done {
                killed[i] = dead;
            }
        }
        anyhow::Ok(killed)
    })?;
    report(&all, &verdicts, options.least)
}

fn report(all: &[Mutant], killed: &[bool], least: f64) -> Result<()> {
    let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (mutant, dead) in all.iter().zip(killed) {
        let row = table.entry(mutant.kind).or_default();
        row.0 += 1;
        row.1 += usize::from(*dead);
        if !dead {
            println!("survived: {mutant}");
        }
    }
    println!("\n| change | mutants | killed |\n|---|---|---|");
    for (kind, (count, dead)) in &table {
        println!("| {kind} | {count} | {dead} |");
    }
    let dead = killed.iter().filter(|k| **k).count();
    #[allow(clippy::cast_precision_loss)] // Hundreds of mutants.
    let share = dead as f64 / all.len() as f64;
    println!("| all | {} | {dead} ({:.1} %) |", all.len(), share * 100.0);
    ensure!(share >= least, "fewer than {:.0} % of the mutants are killed", least * 100.0);
    Ok(())
}

/// Name and text of each file of a folder of `prometheus/`, by name.
fn read(folder: &str) -> Result<Vec<(String, String)>> {
    let dir = root().join("prometheus").join(folder);
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".yml") {
            files.push((name, fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

/// A copy of rules and tests, in which one worker tries one mutant at a time.
struct Bench<'a> {
    dir: PathBuf,
    promtool: &'a Path,
    rules: &'a [(String, String)],
    tests: &'a [(String, String)],
}

impl<'a> Bench<'a> {
    fn new(
        number: usize,
        promtool: &'a Path,
        rules: &'a [(String, String)],
        tests: &'a [(String, String)],
    ) -> Result<Self> {
        let dir = root().join(format!("target/mutate/{number}"));
        for (folder, files) in [("rules", rules), ("tests", tests)] {
            fs::create_dir_all(dir.join(folder))?;
            for (name, text) in files {
                fs::write(dir.join(folder).join(name), text)?;
            }
        }
        Ok(Self { dir, promtool, rules, tests })
    }

    /// Takes mutants until none is left; yields each one's index and whether it was killed.
    fn work(&self, all: &[Mutant], next: &AtomicUsize) -> Result<Vec<(usize, bool)>> {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = all.get(i) else { return Ok(done) };
            let killed = self.kills(mutant)?;
            eprintln!("{}/{}: {}: {mutant}", i + 1, all.len(), if killed { "killed" } else { "survived" });
            done.push((i, killed));
        }
    }

    fn kills(&self, mutant: &Mutant) -> Result<bool> {
        let path = self.dir.join("rules").join(&mutant.file);
        fs::write(&path, &mutant.text)?;
        let mut killed = false;
        for test in self.tests_of(mutant) {
            if !self.passes(test)? {
                killed = true;
                break;
            }
        }
        let original = self.rules.iter().find(|(name, _)| *name == mutant.file);
        fs::write(&path, original.map_or("", |(_, text)| text))?;
        Ok(killed)
    }

    /// The tests that load the mutant's file: those that name its rule first, the longest last.
    fn tests_of(&self, mutant: &Mutant) -> Vec<&'a str> {
        let loads = format!("../rules/{}", mutant.file);
        let mut tests: Vec<_> = self.tests.iter().filter(|(_, text)| text.contains(&loads)).collect();
        tests.sort_by_key(|(_, text)| (!text.contains(&mutant.rule), text.len()));
        tests.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    fn passes(&self, test: &str) -> Result<bool> {
        let status = Command::new(self.promtool)
            .args(["test", "rules"])
            .arg(self.dir.join("tests").join(test))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| self.promtool.display().to_string())?;
        Ok(status.success())
    }
}
