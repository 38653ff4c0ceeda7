//! Writes the series of a run as OpenMetrics text.
//!
//! As `promtool tsdb dump-openmetrics` prints them: series by series, each sample with its time, without
//! `TYPE` lines, stale markers as NaN. Invariant: what the text cannot say is counted, not dropped in silence.

use std::io::{self, Write};

use assay_model::{
    Column, Labels, METRIC_NAME, MatchOp, Matcher, QueryError, Queryable,
    expo::{push_seconds, push_series_text, write_float},
};

/// What was written, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportStats {
    /// Series with at least one sample written.
    pub series: u64,
    /// Samples written.
    pub samples: u64,
    /// Native histograms, which the format does not have.
    pub histograms_left_out: u64,
    /// Series without a metric name, which the format does not have either.
    pub unnamed_left_out: u64,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Read(#[from] QueryError),
    /// The text cannot be written.
    #[error("cannot write the text: {0}")]
    Write(#[from] io::Error),
}

/// Writes the samples in `[start_ms, end_ms]`, both ends in, of the series that match, sorted by name.
///
/// # Errors
/// Where the run cannot be read or the text not written.
pub fn to_openmetrics(
    source: &dyn Queryable,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    out: &mut dyn Write,
) -> Result<ExportStats, ExportError> {
    let mut stats = ExportStats::default();
    let mut column = Column::default();
    let mut text = String::new();
    // The format wants the samples of a name together, which the order of label sets does not give.
    for name in source.label_values(METRIC_NAME, matchers)? {
        let mut all = matchers.to_vec();
        all.push(Matcher::equal(METRIC_NAME, &name));
        for series in source.select(&all, start_ms, end_ms)? {
            column.clear();
            series.read(start_ms, end_ms, &mut column)?;
            stats.series += u64::from(!column.times.is_empty());
            stats.samples += column.times.len() as u64;
            stats.histograms_left_out += column.histogram_times.len() as u64;
            text.clear();
            write_samples(&mut text, series.labels(), &column);
            out.write_all(text.as_bytes())?;
        }
    }
    let mut unnamed = matchers.to_vec();
    unnamed.extend(Matcher::new(MatchOp::Equal, METRIC_NAME, "").ok());
    stats.unnamed_left_out = source.select(&unnamed, start_ms, end_ms)?.len() as u64;
    out.write_all(b"# EOF\n")?;
    Ok(stats)
}

fn write_samples(out: &mut String, labels: &Labels, column: &Column) {
    let mut series = String::new();
    push_series_text(&mut series, labels);
    for (t_ms, value) in column.times.iter().zip(&column.values) {
        out.push_str(&series);
        out.push(' ');
        write_float(out, *value);
        out.push(' ');
        push_seconds(out, *t_ms);
        out.push('\n');
    }
}
