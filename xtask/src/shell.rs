//! Running other programs. Invariant: a program that fails is an error that shows its command line.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// The root of the workspace that this was called in; cargo says where when it runs this program.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let called_in = || std::env::current_dir().ok().and_then(|dir| workspace_above(&dir));
    manifest.as_deref().and_then(Path::parent).map(Path::to_path_buf).or_else(called_in).unwrap_or_default()
}

/// The nearest folder upwards that has a lock file.
fn workspace_above(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|d| d.join("Cargo.lock").is_file()).map(Path::to_path_buf)
}

/// Prints data. A reader that has seen enough is no error; that the data cannot be written ends the program with 1.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("xtask: standard output: {e}");
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Whether this process has built the tests, and with them the programs of all packages that have any.
static HAS_TESTS: AtomicBool = AtomicBool::new(false);

/// Notes that the tests are built: further builds for development would be others, by the features that a few packages ask for.
pub(crate) fn tests_are_built() {
    HAS_TESTS.store(true, Ordering::Relaxed);
}

/// Builds programs of this workspace, all with the features that building them together gives; yields their folder.
/// `ASSAY_BIN` names a folder that has them, for machines without a compiler.
pub(crate) fn build(profile: &str, programs: &[&str]) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ASSAY_BIN") {
        return Ok(folder.into());
    }
    if profile == "dev" && HAS_TESTS.load(Ordering::Relaxed) {
        return Ok(root().join("target/debug"));
    }
    let mut command = cargo(&["build", "--profile", profile]);
    for program in programs {
        let prefix = if *program == "xtask" { "" } else { "assay-" };
        command.args(["-p", &format!("{prefix}{program}")]);
    }
    run(&mut command)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(root().join("target").join(folder))
}

/// Runs a program in the repository's root, its output shown, and says how long it took.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{}: {status}", describe(command));
    }
    Ok(())
}

/// The same, for a program whose exit status says more than success and failure.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let line = describe(command);
    eprintln!("\n$ {line}");
    let start = Instant::now();
    let status = command
        .current_dir(root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{line}: cannot start"))?;
    eprintln!("  {:.1} s", start.elapsed().as_secs_f64());
    Ok(status)
}

/// Runs a program in the repository's root, its standard error shown, and yields its standard output.
pub(crate) fn captured(command: &mut Command) -> Result<String> {
    let line = describe(command);
    eprintln!("\n$ {line}");
    let start = Instant::now();
    let out = command.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let out = out.with_context(|| format!("{line}: cannot start"))?;
    eprintln!("  {:.1} s", start.elapsed().as_secs_f64());
    if !out.status.success() {
        bail!("{line}: {}", out.status);
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Runs a program quietly and yields its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{line}: cannot start"))?;
    if !out.status.success() {
        bail!("{line}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Cargo, as it runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}
