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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportStats {
    /// Series with at least one sample written.
    pub series: u64,
    /// Samples written.
    pub samples: u64,
    /// Native histograms, which the format does not have.
    pub histograms_left_out: u64,
    /// The metrics that they are of.
    pub histogram_metrics: Vec<String>,
    /// Series without a metric's name, which the format does not have either.
    pub unnamed_left_out: Vec<Labels>,
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
            if !column.histogram_times.is_empty() && stats.histogram_metrics.last() != Some(&name) {
                stats.histogram_metrics.push(name.clone());
            }
            text.clear();
            write_samples(&mut text, series.labels(), &column);
            out.write_all(text.as_bytes())?;
        }
    }
    let mut unnamed = matchers.to_vec();
    unnamed.extend(Matcher::new(MatchOp::Equal, METRIC_NAME, "").ok());
    for series in source.select(&unnamed, start_ms, end_ms)? {
        stats.unnamed_left_out.push(series.labels().clone());
    }
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

#[cfg(test)]
mod tests {
    use assay_tsdb::{BlockWriter, Database, OpenOptions};

    use super::*;

    #[test]
    fn what_the_format_lacks_is_listed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = BlockWriter::create(dir.path()).expect("begins");
        let named =
            writer.series(&Labels::from_pairs([(METRIC_NAME, "up"), ("job", "a")])).expect("is taken");
        writer.append(named, 1_000, 1.0).expect("is taken");
        let unnamed = Labels::from_pairs([("job", "b")]);
        let at = writer.series(&unnamed).expect("is taken");
        writer.append(at, 1_000, 2.0).expect("is taken");
        let histograms = writer.series(&Labels::from_pairs([(METRIC_NAME, "h")])).expect("is taken");
        let h = assay_model::FloatHistogram::default();
        writer.append_float_histogram(histograms, 1_000, &h).expect("is taken");
        writer.append_float_histogram(histograms, 2_000, &h).expect("is taken");
        writer.finish().expect("finishes");
        let database = Database::open(dir.path(), OpenOptions::default()).expect("opens");
        let mut text = Vec::new();
        let stats = to_openmetrics(&database, &[], 0, 5_000, &mut text).expect("is written");
        assert_eq!(String::from_utf8_lossy(&text), "up{job=\"a\"} 1 1\n# EOF\n");
        assert_eq!((stats.series, stats.samples, stats.histograms_left_out), (1, 1, 2));
        assert_eq!((stats.histogram_metrics, stats.unnamed_left_out), (vec!["h".to_owned()], vec![unnamed]));
    }
}
