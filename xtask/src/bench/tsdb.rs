//! OpenMetrics text into a block: `ruleseval import` against `promtool tsdb create-blocks-from openmetrics`.

use std::{fs, path::Path};

use anyhow::Result;

use super::{Bed, Size, data, measure::usage, median};
use crate::shell;

pub(super) fn run(size: &Size) -> Result<()> {
    let bed = Bed::make("tsdb")?;
    let text = bed.dir.join("series.om");
    let samples = data::write_openmetrics(&text, size)?;
    let text_bytes = fs::metadata(&text)?.len();
    println!(
        "{samples} samples, {:.0} MB of OpenMetrics text, {} runs, medians\n",
        text_bytes as f64 / 1e6,
        size.runs
    );
    let (promtool_out, our_out) = (bed.dir.join("promtool"), bed.dir.join("ours"));
    let (text, p, o) = (text.to_string_lossy(), promtool_out.to_string_lossy(), our_out.to_string_lossy());
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..size.runs {
        clear(&promtool_out)?;
        theirs.push(usage(
            &bed.peers.join("promtool"),
            &["tsdb", "create-blocks-from", "openmetrics", &text, &p],
        )?);
        clear(&our_out)?;
        ours.push(usage(&bed.ruleseval, &["import", &text, "--out", &o])?);
    }
    println!("| | wall s | cpu s | peak MiB | bytes on disk |\n|---|---|---|---|---|");
    for (name, list, dir) in [("promtool", &theirs, &promtool_out), ("ruleseval import", &ours, &our_out)] {
        let of = |f: fn(&super::measure::Usage) -> f64| median(&mut list.iter().map(f).collect::<Vec<_>>());
        println!(
            "| {name} | {:.2} | {:.2} | {:.0} | {} |",
            of(|u| u.wall_s),
            of(|u| u.cpu_s),
            of(|u| u.peak_mib),
            bytes(dir)?
        );
    }
    let ratio = median(&mut ours.iter().zip(&theirs).map(|(a, b)| a.wall_s / b.wall_s).collect::<Vec<_>>());
    println!("\nwall time, ours / promtool, median of pairs: {ratio:.3}\n");
    println!("our reader and recorder, on the block of ours, on one core:");
    let speed = ["run", "--release", "--quiet", "-p", "assay-tsdb", "--example", "tsdb_speed", "--"];
    shell::run(shell::cargo(&speed).arg(our_out.join("data")))
}

fn clear(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// The size of the files below a folder.
fn bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
