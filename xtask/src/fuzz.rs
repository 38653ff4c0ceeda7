//! The fuzz targets, built by the project's own toolchain and run for seconds each. Invariant: a target that finds
//! something ends the chore and leaves the input below `target/fuzz`.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::shell;

/// What libFuzzer needs of the compiler; a stable one has all but the address sanitizer.
const FLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Cdebug-assertions",
];

/// Which targets run, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The targets; all if none is named
    names: Vec<String>,
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// The seed of what is tried; 0 for another one each time
    #[arg(long, default_value_t = 0)]
    seed: u32,
}

impl Default for Options {
    fn default() -> Self {
        // A gate tries the same each time, as far as it gets.
        Self { names: Vec::new(), seconds: 10, seed: 1 }
    }
}

/// Builds every `fuzz` folder and runs its targets, and prints what each took.
pub(crate) fn run(options: &Options) -> Result<()> {
    match run_or_leave_out(options)? {
        None => Ok(()),
        Some(why) => bail!("{why}"),
    }
}

/// The same; yields why it was left out if there is no C++ compiler.
pub(crate) fn run_or_leave_out(Options { names, seconds, seed }: &Options) -> Result<Option<String>> {
    if Command::new("c++").arg("--version").output().is_err() {
        return Ok(Some("no C++ compiler, which libFuzzer is built with".to_owned()));
    }
    // With a target named, cargo keeps the flags from build scripts and procedural macros, which cannot be linked so.
    let host = host()?;
    let target = shell::root().join("target/fuzz");
    let mut waiting = Vec::new();
    for folder in folders()? {
        let manifest = folder.join("Cargo.toml").to_string_lossy().into_owned();
        let mut build =
            shell::cargo(&["build", "--release", "--bins", "--target", &host, "--manifest-path", &manifest]);
        shell::run(build.env("RUSTFLAGS", FLAGS.join(" ")).env("CARGO_TARGET_DIR", &target))?;
        for entry in fs::read_dir(folder.join("fuzz_targets"))? {
            let path = entry?.path();
            let Some(name) = path.file_stem() else { continue };
            if !names.is_empty() && !names.iter().any(|n| **n == *name) {
                continue;
            }
            // What was found before is tried first, and nothing is written next to the sources.
            let corpus = target.join("corpus").join(name);
            fs::create_dir_all(&corpus)?;
            let mut fuzz = Command::new(target.join(&host).join("release").join(name));
            fuzz.arg(&corpus)
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-seed={seed}"))
                .args(["-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=0", "-verbosity=0"])
                .arg(format!("-artifact_prefix={}/{}-", target.display(), name.to_string_lossy()));
            let seeds = folder.join("seeds").join(name);
            if seeds.is_dir() {
                fuzz.arg(seeds);
            }
            waiting.push((path, fuzz));
        }
    }
    let count = waiting.len();
    ensure!(count > 0, "there is no such fuzz target");
    let before = processor_time()?;
    side_by_side(waiting)?;
    let used = processor_time()?.saturating_sub(before).as_secs_f64();
    eprintln!("{count} fuzz targets, {seconds} s each, {used:.0} s of processor time, found nothing");
    Ok(None)
}

/// Runs targets, as many at a time as there are processors, to the first that finds something.
fn side_by_side(mut waiting: Vec<(PathBuf, Command)>) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    waiting.reverse();
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some((path, mut fuzz)) = next() {
            let begun = Instant::now();
            if let Err(e) = shell::output(&mut fuzz) {
                waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return Err(e.context(path.display().to_string()));
            }
            println!("{}: {:.0} s", path.display(), begun.elapsed().as_secs_f64());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|t| t.join().unwrap_or_else(|_| bail!("a thread panicked")))
    })
}

/// The processor time of all children that ended.
fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        [usage.user_time(), usage.system_time()].map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6);
    Ok(Duration::from_secs_f64(seconds.iter().sum()))
}

/// The triple that the compiler builds for.
fn host() -> Result<String> {
    let version = shell::output(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|l| l.strip_prefix("host: "));
    Ok(line.context("rustc -vV names no host")?.to_owned())
}

/// Every package of fuzz targets.
fn folders() -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for parent in [shell::root(), shell::root().join("crates")] {
        for entry in fs::read_dir(&parent).with_context(|| parent.display().to_string())? {
            let fuzz = entry?.path().join("fuzz");
            if fuzz.join("Cargo.toml").is_file() {
                folders.push(fuzz);
            }
        }
    }
    folders.sort();
    Ok(folders)
}
