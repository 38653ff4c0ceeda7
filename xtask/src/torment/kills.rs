//! Recordings that are killed: while they run, and while they finish.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use assay_testkit::wait::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    Options, Table,
    rig::{Random, Rig},
};
use crate::folder::only_entry;

/// How often a run is killed while it finishes.
const FINISHING: u64 = 16;

pub(super) fn run(rig: &Rig, options: &Options, table: &mut Table) -> Result<()> {
    let mut random = Random::new(options.seed);
    let mut readable = 0;
    let mut all = |name: &str, count: u64, finishing: bool| {
        readable = 0;
        for n in 0..count {
            readable += u64::from(kill(rig, &format!("{name}-{n}"), random.below(1_200), finishing)?);
        }
        Ok((format!("{readable} of {count} readable"), readable == count))
    };
    table.add("kill -9 of a run that records", "all readable", all("killed", options.kills, false));
    table.add("kill -9 of a run that finishes", "all readable", all("finishing", FINISHING, true));
    Ok(())
}

/// Kills a recording some milliseconds after it began, or after it was asked to end; yields whether it is readable.
fn kill(rig: &Rig, name: &str, after_ms: u64, finishing: bool) -> Result<bool> {
    let parent = rig.dir.join(name);
    let mut command = rig.load(name, 60)?;
    command.arg("--record").arg(&parent).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let begun = Instant::now();
    // From its first samples on there is something to lose.
    let has_samples = || only_entry(&parent).is_ok_and(|run| run.join("data/wal").is_dir());
    while !has_samples() {
        ensure!(begun.elapsed() < PATIENCE && child.try_wait()?.is_none(), "no recording began");
        sleep(Duration::from_millis(5));
    }
    if finishing {
        sleep(Duration::from_millis(1_200));
        kill_process(Pid::from_child(&child), Signal::INT)?;
        sleep(Duration::from_millis(after_ms / 4));
    } else {
        sleep(Duration::from_millis(1_000 + after_ms));
    }
    child.kill()?;
    child.wait().context("it ends")?;
    let tried = rig.try_it(&rig.query(&only_entry(&parent)?, "count({__name__!=\"\"})"))?;
    Ok(tried.code == Some(0) && tried.is_orderly())
}
