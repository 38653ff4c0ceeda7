//! When alerts would have fired. Invariant: the timeline is that of a Prometheus that had the rules loaded while
//! the run was recorded.

use std::path::Path;

use assay_model::{is_stale, stale_nan};
use assay_rules::{
    overlay::Overlay,
    replay::{ReplayResult, replay},
};
use assay_run::Run;
use assay_tsdb::BlockWriter;

use crate::{
    alerts,
    eval::{EvalError, EvalOptions, read_files, run_info},
    verdict::{AlertRow, RunInfo},
};

/// What rules would have done over a run.
#[derive(Debug)]
pub struct Backtest {
    /// The run.
    pub run: RunInfo,
    /// One entry for each alerting rule, in the order of the files.
    pub alerts: Vec<AlertRow>,
    /// Evaluations that failed, one line each.
    pub errors: Vec<String>,
    /// What the rules would have written.
    pub series: Overlay,
}

/// Replays the rules of `options` over its run; SLA files are not read.
///
/// # Errors
/// Where a rule file is wrong or the run cannot be read.
pub fn backtest(options: &EvalOptions) -> Result<Backtest, EvalError> {
    let (files, _) = read_files(&options.rules, &[])?;
    let run = Run::open(&options.run)?;
    let info = run_info(&run, &options.phases, options.range_ms)?;
    let options = options.replaying().options(info.start_ms, info.end_ms);
    let replayed: ReplayResult = replay(&run.database, &files, &options);
    let alerts = alerts::over_the_run(&info, &files, &replayed);
    let errors = alerts::failed_evaluations(&files, &replayed);
    Ok(Backtest { run: info, alerts, errors, series: replayed.series })
}

/// Writes `ALERTS`, `ALERTS_FOR_STATE` and the recorded series as a block of the data directory `dir`, which is
/// made if need be. Returns how many series and samples were written.
///
/// # Errors
/// Where the directory has a log or cannot be written.
pub fn write_block(series: &Overlay, dir: &Path) -> Result<(usize, usize), assay_tsdb::Error> {
    let mut writer = BlockWriter::create(dir)?;
    let (mut count, mut samples) = (0, 0);
    for (labels, column) in series.series() {
        let at = writer.series(labels)?;
        for (t_ms, value) in column.times.iter().zip(&column.values) {
            // A marker that went through arithmetic could have another payload.
            let value = if is_stale(*value) { stale_nan() } else { *value };
            writer.append(at, *t_ms, value)?;
        }
        for (t_ms, histogram) in column.histogram_times.iter().zip(&column.histograms) {
            writer.append_float_histogram(at, *t_ms, histogram)?;
        }
        count += 1;
        samples += column.len();
    }
    writer.finish()?;
    Ok((count, samples))
}
