//! Percentile files as HdrHistogram writes them (Java's `outputPercentileDistribution`, 2.2; five ticks for
//! each half of the distance to 100 %), for its plotters.
//!
//! Invariant: a value is the upper bound of the bucket that the percentile falls into, never above the
//! greatest value observed, so it exceeds the true one by at most the width of a bucket, which the file's last
//! line states. Counts are exact.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use assay_model::histogram::ExponentialHistogram;

use crate::{
    measure::{families::PhaseTotals, tally::histogram},
    scenario::Scenario,
};

const TICKS_PER_HALF_DISTANCE: f64 = 5.0;
const MS_PER_S: f64 = 1e3;

/// A percentile file, or its directory, that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct PercentileFileError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// Makes sure, before the load starts, that files can be written into `directory`, which is made where it is
/// not there.
///
/// # Errors
/// Where the directory cannot be made or written to.
pub fn prepare(directory: &Path) -> Result<(), PercentileFileError> {
    let failed = |source| PercentileFileError { path: directory.to_owned(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    fs::write(&probe, "").and_then(|()| fs::remove_file(&probe)).map_err(failed)
}

/// Writes two files for each step of each phase: `<phase>-<step>-duration.hgrm`, from the first byte sent, and
/// `<phase>-<step>-latency.hgrm`, from the scheduled instant.
pub(crate) fn write_all(
    directory: &Path,
    scenario: &Scenario,
    totals: &[PhaseTotals],
) -> Result<(), PercentileFileError> {
    let mut taken: Vec<PathBuf> = Vec::new();
    for phase in totals {
        for (name, step) in scenario.steps.iter().zip(&phase.tally.steps) {
            let (mut duration, mut latency) = (histogram(), histogram());
            for outcome in &step.outcomes {
                duration.merge(&outcome.duration);
                latency.merge(&outcome.latency);
            }
            if duration.count() == 0 {
                continue;
            }
            for (kind, histogram) in [("duration", &duration), ("latency", &latency)] {
                let path = file(directory, &[&phase.phase.name, &name.name, kind], "hgrm", &taken);
                fs::write(&path, distribution(histogram))
                    .map_err(|source| PercentileFileError { path: path.clone(), source })?;
                taken.push(path);
            }
        }
    }
    Ok(())
}

/// A file's name from names that may hold anything; two that look the same then are distinguished by a number.
pub(crate) fn file(directory: &Path, names: &[&str], extension: &str, taken: &[PathBuf]) -> PathBuf {
    let tame = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let stem: String = names.join("-").chars().map(tame).collect();
    let stem = stem.trim_start_matches('.');
    let mut path = directory.join(format!("{stem}.{extension}"));
    for n in 2.. {
        if !taken.contains(&path) {
            break;
        }
        path = directory.join(format!("{stem}-{n}.{extension}"));
    }
    path
}

/// The distribution of a histogram of seconds, in milliseconds.
fn distribution(h: &ExponentialHistogram) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, h);
    out
}

fn write(out: &mut String, h: &ExponentialHistogram) -> std::fmt::Result {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let buckets = buckets_ms(h);
    let total: u64 = buckets.iter().map(|b| b.count).sum();
    let max = h.max().unwrap_or(0.0) * MS_PER_S;
    let (mut below, mut level) = (0u64, 0.0f64);
    for bucket in &buckets {
        below += bucket.count;
        while below < total && 100.0 * below as f64 / total as f64 >= level {
            row(out, bucket.upper, level, below)?;
            level = next_level(level);
        }
    }
    if total > 0 {
        // HdrHistogram gives the last bucket one row on the way, and one at 100 %.
        row(out, max, level, total)?;
        writeln!(out, "{max:>12.3} {:>14.12} {total:>10}", 1.0)?;
    }
    let mean = if h.count() > 0 { h.sum() * MS_PER_S / h.count() as f64 } else { 0.0 };
    writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {:>12.3}]", deviation(&buckets, mean))?;
    writeln!(out, "#[Max     = {max:>12.3}, Total count    = {total:>12}]")?;
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", buckets.len(), 1)?;
    let width = (-f64::from(h.schema())).exp2().exp2() - 1.0;
    writeln!(out, "#[Unit = ms, Scale = {}, values are at most {:.2} % too high]", h.schema(), 100.0 * width)
}

fn row(out: &mut String, value: f64, level: f64, below: u64) -> std::fmt::Result {
    let inverse = 1.0 / (1.0 - level / 100.0);
    writeln!(out, "{value:>12.3} {:>14.12} {below:>10} {inverse:>14.2}", level / 100.0)
}

/// The percentile after `level`: the ticks become twice as dense each time that half of the distance to 100 is
/// behind.
fn next_level(level: f64) -> f64 {
    let halves = (100.0 / (100.0 - level)).log2().floor() + 1.0;
    level + 100.0 / (TICKS_PER_HALF_DISTANCE * halves.exp2())
}

struct Bucket {
    lower: f64,
    upper: f64,
    count: u64,
}

/// The buckets in use, ascending, in milliseconds and within what was observed.
fn buckets_ms(h: &ExponentialHistogram) -> Vec<Bucket> {
    let (Some(min), Some(max)) = (h.min(), h.max()) else { return Vec::new() };
    let float = h.snapshot().to_float();
    let within = |v: f64| v.clamp(min, max) * MS_PER_S;
    let all = float.all_buckets().into_iter().filter(|b| b.count > 0.0);
    all.map(|b| Bucket { lower: within(b.lower), upper: within(b.upper), count: b.count as u64 }).collect()
}

/// The standard deviation, each value taken as the middle of its bucket.
fn deviation(buckets: &[Bucket], mean: f64) -> f64 {
    let total: u64 = buckets.iter().map(|b| b.count).sum();
    let squares: f64 =
        buckets.iter().map(|b| (f64::midpoint(b.lower, b.upper) - mean).powi(2) * b.count as f64).sum();
    if total == 0 { 0.0 } else { (squares / total as f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_hdrhistogram() {
        let mut h = histogram();
        [0.001, 0.001, 0.002, 0.004].into_iter().for_each(|v| h.record(v));
        let want = "       Value     Percentile TotalCount 1/(1-Percentile)

       1.001 0.000000000000          2           1.00
       1.001 0.100000000000          2           1.11
       1.001 0.200000000000          2           1.25
       1.001 0.300000000000          2           1.43
       1.001 0.400000000000          2           1.67
       1.001 0.500000000000          2           2.00
       2.001 0.550000000000          3           2.22
       2.001 0.600000000000          3           2.50
       2.001 0.650000000000          3           2.86
       2.001 0.700000000000          3           3.33
       2.001 0.750000000000          3           4.00
       4.000 0.775000000000          4           4.44
       4.000 1.000000000000          4
#[Mean    =        2.000, StdDeviation   =        1.223]
#[Max     =        4.000, Total count    =            4]
#[Buckets =            3, SubBuckets     =            1]
#[Unit = ms, Scale = 8, values are at most 0.27 % too high]
";
        assert_eq!(distribution(&h), want);
    }

    #[test]
    fn percentiles_are_within_the_stated_error_of_the_exact_ones() {
        let mut x = 7u64;
        let mut values: Vec<f64> = (0..50_000)
            .map(|_| {
                x = crate::seed::mix(x);
                // A long tail: 1 ms to 1 s.
                0.001 * 1000f64.powf((x >> 11) as f64 / (1u64 << 53) as f64)
            })
            .collect();
        let mut h = histogram();
        values.iter().for_each(|v| h.record(*v));
        values.sort_by(f64::total_cmp);
        let text = distribution(&h);
        let note = text.lines().last().expect("a line");
        let error: f64 = note
            .split_once("at most ")
            .and_then(|(_, r)| r.split(' ').next())
            .map_or(0.0, |e| e.parse().expect("a number"));
        assert!(error < 3.0, "{note}");
        let mut rows = 0;
        for line in text.lines().skip(2).filter(|l| !l.starts_with('#')) {
            let cells: Vec<f64> = line.split_whitespace().map(|c| c.parse().expect("a number")).collect();
            let rank = ((cells[1] * 50_000.0).ceil() as usize).clamp(1, 50_000);
            let exact = values[rank - 1] * 1e3;
            assert!(
                cells[0] >= exact - 0.0006 && cells[0] <= exact * (1.0 + error / 100.0) + 0.0006,
                "{line}: exactly {exact}"
            );
            let counted = values.iter().filter(|v| **v * 1e3 <= cells[0] + 0.0006).count();
            assert!(counted as f64 >= cells[2] && cells[2] >= rank as f64, "{line}: {counted}");
            rows += 1;
        }
        assert!(rows > 40, "{rows}");
    }

    #[test]
    fn names_that_look_the_same_in_a_file_system_do_not_overwrite_each_other() {
        let one = file(Path::new("d"), &["main", "a/b", "latency"], "hgrm", &[]);
        assert_eq!(one, Path::new("d/main-a-b-latency.hgrm"));
        let two = file(Path::new("d"), &["main", "a b", "latency"], "hgrm", &[one]);
        assert_eq!(two, Path::new("d/main-a-b-latency-2.hgrm"));
    }
}
