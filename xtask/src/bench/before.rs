//! ruleseval against another build of itself: queries, a backtest and an import, in pairs.
//!
//! Invariant: each round runs both builds, the order changing from round to round; a ratio is of one round.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::{
    Bed, Size, data, measure,
    measure::{Usage, usage},
    median, promql, rules,
};

/// What to compare with, and over how much data.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Before {
    /// The other build's ruleseval.
    program: PathBuf,
    #[command(flatten)]
    size: Size,
}

pub(super) fn run(before: &Before) -> Result<()> {
    let bed = Bed::ours("before")?;
    let size = &before.size;
    ensure!(size.runs >= 6, "an interval of 95 % needs at least 6 rounds: --runs {}", size.runs);
    let text = bed.dir.join("series.om");
    let samples = data::write_openmetrics(&text, size)?;
    let (text, out) = (text.to_string_lossy().into_owned(), bed.dir.join("out"));
    println!(
        "{samples} samples; {} rounds; milliseconds of processor time, medians, and of the ratios of the rounds the \
         median and its interval of 95 %\n",
        size.runs
    );
    println!("| what | this build | the other | ratio | interval |\n|---|---|---|---|---|");
    let import = compare(&bed, before, "import", |program| {
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        usage(program, &["import", &text, "--out", &out.to_string_lossy()])
    })?;
    let blocks = out.join("data").to_string_lossy().into_owned();
    let file = bed.dir.join("rules.yml").display().to_string();
    fs::write(&file, rules::generated_rules())?;
    let json = bed.dir.join("alerts.json").display().to_string();
    let backtest = compare(&bed, before, "backtest", |program| {
        usage(program, &["backtest", &blocks, "--rules", &file, "--json", &json])
    })?;
    let (start, end) = (data::START_S, data::START_S + i64::from(size.samples) - 1);
    let mut queries = vec![[0.0; 2]; size.runs];
    for step in [15, 1] {
        for (name, query) in promql::QUERIES {
            let rounds = compare(&bed, before, &format!("{name}, {step} s"), |program| {
                promql::range_query(program, Path::new(&blocks), query, (start, end), step)
            })?;
            for (total, round) in queries.iter_mut().zip(&rounds) {
                total[0] += round[0];
                total[1] += round[1];
            }
        }
    }
    row("all queries", &queries);
    println!("\nrounds of the backtest: {}, of the import: {}", backtest.len(), import.len());
    Ok(())
}

/// The processor times of both builds, round by round, in seconds; prints their row.
fn compare(
    bed: &Bed,
    before: &Before,
    what: &str,
    mut once: impl FnMut(&Path) -> Result<Usage>,
) -> Result<Vec<[f64; 2]>> {
    let sides = [bed.ruleseval.as_path(), before.program.as_path()];
    let mut rounds = Vec::with_capacity(before.size.runs);
    // The first round warms the page cache.
    for round in 0..=before.size.runs {
        let mut times = [0.0; 2];
        for turn in 0..2 {
            let side = (turn + round) % 2;
            times[side] = once(sides[side])?.cpu_s;
        }
        if round > 0 {
            rounds.push(times);
        }
    }
    row(what, &rounds);
    Ok(rounds)
}

fn row(what: &str, rounds: &[[f64; 2]]) {
    let of = |side: usize| median(&mut rounds.iter().map(|r| r[side] * 1e3).collect::<Vec<_>>());
    let ratios: Vec<f64> = rounds.iter().map(|r| r[0] / r[1]).collect();
    let [low, middle, high] = measure::median_interval(ratios);
    println!("| {what} | {:.1} | {:.1} | {middle:.3} | {low:.3} to {high:.3} |", of(0), of(1));
}
