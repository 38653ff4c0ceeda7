//! A disk that is full from any call on: a library that is loaded before the system's makes each call that writes fail,
//! one run for each call at which it may begin.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{
    Options, Table,
    rig::{Rig, write},
};
use crate::{folder::only_entry, shell};

/// What the library does.
const SOURCE: &str = include_str!("full.c");

pub(super) fn run(rig: &Rig, _options: &Options, table: &mut Table) -> Result<()> {
    table.add(
        "a disk that is full from any call on that writes, while recording",
        "exit 1 with the reason; promtool and `ruleseval` read what was recorded",
        full_disks(rig),
    );
    Ok(())
}

/// What became of the runs.
#[derive(Default)]
struct Found {
    tried: u64,
    begun: u64,
    wrong: Vec<String>,
}

fn full_disks(rig: &Rig) -> Result<(String, bool)> {
    let library = rig.dir.join("full.so");
    let source = rig.dir.join("full.c");
    write(&source, SOURCE.as_bytes())?;
    shell::output(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source))?;
    let promtool = std::env::var_os("ASSAY_PEERS").map(|dir| Path::new(&dir).join("promtool"));
    let count = calls(rig, &library)?;
    let mut found = Found::default();
    // Runs differ by a few calls: those at the end are tried until the disk has room for all of them.
    for at in 1..=count + 20 {
        if !full_from(rig, &library, promtool.as_deref(), at, &mut found)? && at > count {
            break;
        }
    }
    let first = found.wrong.first().map(|w| format!("; {} wrong, such as {w}", found.wrong.len()));
    let readers = if promtool.is_some() { "both read all" } else { "no promtool here; ours reads all" };
    let measured = format!(
        "{} of about {count} calls, one run each; {} of them left a record, {readers}{}",
        found.tried,
        found.begun,
        first.unwrap_or_default()
    );
    Ok((measured, found.wrong.is_empty() && found.tried > 20))
}

/// How many calls a run makes whose disk has room.
fn calls(rig: &Rig, library: &Path) -> Result<u64> {
    let parent = rig.dir.join("roomy");
    let counted = rig.dir.join("calls");
    let set = format!("LD_PRELOAD={} FULL_COUNT={} exec", library.display(), counted.display());
    let mut command = rig.load("roomy", 1)?;
    command.arg("--record").arg(&parent);
    let tried = rig.try_after(&set, "", &command)?;
    anyhow::ensure!(tried.code == Some(0), "a run with room ended with {:?}: {}", tried.code, tried.said);
    let text = fs::read_to_string(&counted).context("the library counted nothing")?;
    Ok(text.parse()?)
}

/// Records on a disk that is full from this call on; false if the run did not come so far.
fn full_from(rig: &Rig, library: &Path, promtool: Option<&Path>, at: u64, found: &mut Found) -> Result<bool> {
    let parent = rig.dir.join(format!("full-{at}"));
    let mut command = rig.load("fills", 1)?;
    command.arg("--record").arg(&parent);
    let tried =
        rig.try_after(&format!("LD_PRELOAD={} FULL_AT={at} exec", library.display()), "", &command)?;
    if tried.code == Some(0) {
        fs::remove_dir_all(&parent)?;
        return Ok(false);
    }
    found.tried += 1;
    if tried.code.is_none_or(|code| code != 1 && code != 2) || !tried.said.contains("No space left") {
        found.wrong.push(format!(
            "call {at}: exit {:?}, {}",
            tried.code,
            tried.said.lines().last().unwrap_or_default()
        ));
    }
    // The folder of runs, or the run, may not have been made.
    let run = parent.is_dir().then(|| only_entry(&parent).ok()).flatten();
    if let Some(run) = run.filter(|run| run.join("run.json").exists()) {
        found.begun += 1;
        let read = rig.try_it(&rig.query(&run, "count({__name__!=\"\"})"))?;
        if read.code != Some(0) {
            found.wrong.push(format!("call {at}: read with {:?}, {}", read.code, read.said.trim()));
        }
        let data = run.join("data");
        if let Some(promtool) = promtool
            && data.join("wal").is_dir()
        {
            let mut dump = Command::new(promtool);
            let read = rig.try_it(dump.args(["tsdb", "dump"]).arg(&data))?;
            if read.code != Some(0) {
                found.wrong.push(format!(
                    "call {at}: promtool ended with {:?}, {}",
                    read.code,
                    read.said.trim()
                ));
            }
        }
    }
    if parent.exists() {
        fs::remove_dir_all(&parent)?;
    }
    Ok(true)
}
