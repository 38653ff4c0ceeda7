//! How the cost of queries grows: the eight queries of the PromQL benchmark over ten times the series, and at ten
//! times the steps. Invariant: only one of the two changes at a time, and each point is a process of its own.

use std::{fs, path::Path};

use anyhow::Result;

use super::{
    Bed, Size, data, median,
    promql::{QUERIES, range_query},
};
use crate::shell;

/// Samples of each series where the number of series grows.
const SAMPLES: u32 = 900;

pub(super) fn run(size: &Size) -> Result<()> {
    let bed = Bed::make("linearity")?;
    println!("the eight queries together, processor time; {} runs, medians\n", size.runs);
    println!("| series | steps | cpu ms | growth |\n|---|---|---|---|");
    let mut first = None;
    for copies in [1, 2, 5, 10] {
        let of = Size { samples: SAMPLES, copies, runs: size.runs };
        let dir = import(&bed, &of)?;
        let cpu_ms = cost(&bed, &dir, &of, 1)?;
        let base = *first.get_or_insert(cpu_ms);
        println!("| {} | {SAMPLES} | {cpu_ms:.0} | {:.1} |", 900 * copies, cpu_ms / base);
        fs::remove_dir_all(&dir)?;
    }
    let of = Size { samples: 3600, copies: 1, runs: size.runs };
    let dir = import(&bed, &of)?;
    let mut first = None;
    for step_s in [10, 5, 2, 1] {
        let cpu_ms = cost(&bed, &dir, &of, step_s)?;
        let base = *first.get_or_insert(cpu_ms);
        println!("| 900 | {} | {cpu_ms:.0} | {:.1} |", 3600 / step_s, cpu_ms / base);
    }
    Ok(())
}

/// A run that holds the data.
fn import(bed: &Bed, size: &Size) -> Result<std::path::PathBuf> {
    let text = bed.dir.join("series.om");
    data::write_openmetrics(&text, size)?;
    let dir = bed.dir.join("run");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    let mut command = std::process::Command::new(&bed.ruleseval);
    shell::output(command.arg("import").arg(&text).arg("--out").arg(&dir))?;
    fs::remove_file(&text)?;
    Ok(dir)
}

/// Milliseconds of processor time for all queries once.
fn cost(bed: &Bed, dir: &Path, size: &Size, step_s: i64) -> Result<f64> {
    let (start, end) = (data::START_S, data::START_S + i64::from(size.samples) - 1);
    let mut totals = Vec::new();
    for _ in 0..size.runs {
        let mut total = 0.0;
        for (_, query) in QUERIES {
            total += range_query(&bed.ruleseval, dir, query, (start, end), step_s)?.cpu_s * 1e3;
        }
        totals.push(total);
    }
    Ok(median(&mut totals))
}
