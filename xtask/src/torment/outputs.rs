//! Outputs that cannot be written, and limits that the system sets.

use std::process::Command;

use anyhow::Result;

use super::{
    Options, Table,
    rig::{Rig, Tried},
};
use crate::folder::only_entry;

pub(super) fn run(rig: &Rig, _options: &Options, table: &mut Table) -> Result<()> {
    let query = rig.query(&rig.run, "{__name__!=\"\"}");
    let mut eval = Command::new(&rig.ruleseval);
    eval.arg("eval").arg(&rig.run).args([
        "--rules",
        "prometheus/rules/*.yml",
        "--sla",
        "prometheus/sla/*.yml",
    ]);
    for (name, command) in
        [("loadgen run", rig.load("full", 1)?), ("ruleseval query", query), ("ruleseval eval", eval)]
    {
        for (kind, after) in
            [("> /dev/full", "> /dev/full"), ("| head -c 1", "| head -c 1; exit ${PIPESTATUS[0]}")]
        {
            let tried = rig.try_after("", after, &command);
            table.add(
                &format!("`{name} {kind}`"),
                "an exit code of the guide, no panic",
                tried.map(|t| orderly(&t)),
            );
        }
    }
    table.add("the file-size limit while recording (SIGXFSZ)", "exit 1, the record readable", file_size(rig));
    table.add(
        "2 GiB of address space (`RLIMIT_AS`), a query that would need 25 TB",
        "exit 2 with the limit's name",
        address_space(rig),
    );
    Ok(())
}

fn orderly(tried: &Tried) -> (String, bool) {
    let code = tried.code.map_or("a signal".to_owned(), |code| format!("exit {code}"));
    (format!("{code}, {:.1} s", tried.wall_s), tried.is_orderly() && tried.wall_s < 30.0)
}

fn file_size(rig: &Rig) -> Result<(String, bool)> {
    let parent = rig.dir.join("limited");
    let mut command = rig.load("limited", 5)?;
    command.arg("--record").arg(&parent);
    // 16 KiB: the log begins, and cannot grow.
    let tried = rig.try_after("ulimit -f 16; exec", "", &command)?;
    let read = rig.try_it(&rig.query(&only_entry(&parent)?, "count({__name__!=\"\"})"))?;
    let has_reason = tried.said.contains("File too large") || tried.said.contains("too large");
    let measured = format!(
        "{}{}, the record read with exit {}",
        orderly(&tried).0,
        if has_reason { " and the reason" } else { " without the reason" },
        read.code.unwrap_or(-1)
    );
    Ok((measured, tried.code == Some(1) && has_reason && read.code == Some(0)))
}

fn address_space(rig: &Rig) -> Result<(String, bool)> {
    let mut command = rig.query(&rig.run, "max_over_time(vector(1)[100y:1ms])");
    command.args(["--max-memory", "500MB"]);
    let tried = rig.try_after("ulimit -v 2097152; exec", "", &command)?;
    let said: String = tried.said.lines().next().unwrap_or_default().chars().take(120).collect();
    Ok((format!("{}: {said}", orderly(&tried).0), tried.code == Some(2) && tried.is_orderly()))
}
