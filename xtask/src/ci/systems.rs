//! Windows and macOS: the tests and a whole run of Windows programs under Wine, and the types of macOS.
//!
//! What builds for them is not part of this repository: `ASSAY_SYSTEMS` names a program that is called in the checkout as
//! `PROGRAM FOLDER sh COMMAND`, a shell in which cargo builds for Windows and runs under Wine what it built, and as
//! `PROGRAM FOLDER check-mac ARGUMENTS…`, `cargo check` for macOS. FOLDER is where it keeps what it installs and builds.
//!
//! Invariant: a test that fails is on the list with its reason, one on the list fails, and the list has at most 5 % of the tests.

mod report;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::report::{Report, known_failures};
use super::the_loop::promtool_reads;
use crate::{folder, peers, shell};

/// Quick to build: without debug information. What hangs is ended.
const CARGO: &str = "export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 \
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER='timeout --kill-after=10 600 wine'; ";
/// All tests of the workspace.
const TESTS: &str = "cargo test --workspace --lib --bins --tests --no-fail-fast";
/// The test that Ctrl-C leaves a whole record, which no list excuses.
const CTRL_C: &str = "cli::a_request_to_end_ends_with_130_and_a_whole_record";

/// Runs all of it; yields why it was left out, if it was.
pub(super) fn run() -> Result<Option<String>> {
    let program = env::var_os("ASSAY_SYSTEMS").filter(|program| !program.is_empty()).map(PathBuf::from);
    let Some(program) = program else {
        return Ok(Some("ASSAY_SYSTEMS names no program that builds for other systems".to_owned()));
    };
    let systems = Systems { program, folder: place()? };
    let executables = systems.build()?;
    systems.test(&executables)?;
    systems.whole_run(&executables)?;
    systems.check_mac()?;
    Ok(None)
}

/// Next to other caches, and not below `target`: what lies there is a system of its own, for all checkouts.
fn place() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(cache.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("assay-systems"))
}

/// The program that builds for other systems.
struct Systems {
    program: PathBuf,
    folder: PathBuf,
}

/// A program or a test that was built for Windows.
struct Executable {
    package: String,
    target: String,
    is_test: bool,
    path: String,
}

impl Systems {
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(&self.folder).arg(what).current_dir(shell::root());
        command
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = self.command("sh");
        command.arg(format!("{CARGO}{line}"));
        command
    }

    /// Builds the tests and the programs.
    fn build(&self) -> Result<Vec<Executable>> {
        let line = format!("{TESTS} --no-run --message-format=json-render-diagnostics");
        let messages = shell::captured(&mut self.shell(&line))?;
        let executables: Vec<_> = messages.lines().filter_map(executable).collect();
        ensure!(executables.iter().any(|e| e.is_test), "no test was built for Windows");
        Ok(executables)
    }

    /// Runs the tests, and holds those that fail to the list.
    fn test(&self, executables: &[Executable]) -> Result<()> {
        let log = shell::root().join("target/ci-systems.log");
        let list = shell::root().join("xtask/src/ci/systems/known-failures.txt");
        let known =
            known_failures(&fs::read_to_string(&list)?).with_context(|| list.display().to_string())?;
        // Tests that fail are no failure of this command; what they say decides.
        let line = format!("{TESTS} -- --test-threads=2 2>&1 || true");
        let text = shell::captured(&mut self.shell(&line))?;
        fs::write(&log, &text)?;
        let report = Report::read(&text, |path| {
            let found = executables.iter().find(|e| e.path == path)?;
            Some((found.package.clone(), found.target.clone()))
        });
        report.hold_to(&known).with_context(|| format!("all that the tests said: {}", log.display()))?;
        ensure!(report.passed("assay-loadgen", CTRL_C), "{CTRL_C} did not run");
        eprintln!("  Windows: {} tests pass under Wine, {} fail as listed", report.passes(), known.len());
        Ok(())
    }

    /// The demo to its verdict, and promtool on what it recorded.
    fn whole_run(&self, executables: &[Executable]) -> Result<()> {
        let demo = executables.iter().find(|e| e.package == "assay-demo" && e.target == "demo" && !e.is_test);
        let demo = &demo.context("demo.exe was not built")?.path;
        let runs = "target/ci-systems-runs";
        folder::fresh(&shell::root().join(runs))?;
        let line = format!("timeout --kill-after=10 600 wine {demo} --plain --time-scale 0.5 --runs {runs}");
        let code = shell::status(&mut self.shell(&line))?.code();
        let run = folder::only_entry(&shell::root().join(runs))?;
        let verdict: Value = serde_json::from_str(&fs::read_to_string(run.join("verdict.json"))?)?;
        let expected = match verdict["status"].as_str() {
            Some("pass") => 0,
            Some("fail") => 1,
            status => bail!("the verdict of demo.exe is {status:?}"),
        };
        ensure!(code == Some(expected), "demo.exe exits with {code:?}, its verdict is {}", verdict["status"]);
        match peers::install() {
            Ok(bin) => promtool_reads(&bin, &run.join("data"))?,
            Err(e) => eprintln!("left out: promtool on the run of demo.exe: {e:#}"),
        }
        eprintln!("  Windows: demo.exe ends with the verdict {}", verdict["status"]);
        Ok(())
    }

    /// The types of all code and tests for macOS; nothing is linked or run.
    fn check_mac(&self) -> Result<()> {
        shell::run(self.command("check-mac").args(["--workspace", "--tests"]))
    }
}

/// What a message of cargo's says of a program or a test; other messages are about none.
fn executable(line: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // `path+file:///…/loadgen#assay-loadgen@0.2.0`, or `…#0.2.0` if the folder has the package's name.
    let id = message["package_id"].as_str()?;
    let (folder, package) = id.rsplit_once('#')?;
    let package = match package.split_once('@') {
        Some((name, _)) => name,
        None => folder.rsplit('/').next()?,
    };
    Some(Executable {
        package: package.to_owned(),
        target: text(&message["target"]["name"])?,
        is_test: message["profile"]["test"] == true,
        path: text(&message["executable"])?,
    })
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn executables_are_known_by_package_and_target() {
        let check = |id: &str, package: &str| {
            let line = format!(
                r#"{{"package_id":"{id}","target":{{"name":"it"}},"profile":{{"test":true}},"executable":"/t/it-1.exe"}}"#
            );
            let found = executable(&line).expect("an executable");
            assert_eq!((found.package.as_str(), found.target.as_str(), found.is_test), (package, "it", true));
        };
        check("path+file:///work/loadgen#assay-loadgen@0.2.0", "assay-loadgen");
        check("path+file:///work/assay-text#0.2.0", "assay-text");
        assert!(executable(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
