//! Classic histograms as native ones with custom buckets, as Prometheus makes them with
//! `convert_classic_histograms_to_nhcb`; the classic series stay as well.
//!
//! Source: Prometheus `util/convertnhcb/convertnhcb.go` v3.13. Invariant: a histogram is made of buckets of one instant
//! that begin, rise and end as a classic histogram's do (up to `+Inf`), or not at all.

use std::{collections::BTreeMap, path::Path};

use assay_model::{
    Column, FloatHistogram, Histogram, Labels, METRIC_NAME, MatchOp, Matcher, Queryable as _, Span,
    histogram::CUSTOM_BUCKETS_SCHEMA, is_stale,
};
use assay_tsdb::{BlockWriter, Database, OpenOptions};

use crate::{RowValue, import::ImportError};

/// The label of a bucket's upper bound.
const BOUND: &str = "le";

/// The parts of classic histograms at one instant.
#[derive(Default)]
pub(crate) struct Classic {
    parts: BTreeMap<Labels, Parts>,
}

#[derive(Default)]
struct Parts {
    /// Upper bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
    /// Whether the target shows the histogram natively, too.
    is_native: bool,
}

impl Classic {
    /// Takes a sample in, whatever it is of.
    pub(crate) fn take(&mut self, labels: &Labels, value: &RowValue) {
        let name = labels.metric_name();
        let value = match value {
            RowValue::Float(v) => *v,
            _ => {
                self.parts.entry(labels.clone()).or_default().is_native = true;
                return;
            }
        };
        let base = |suffix: &str| {
            let base = name.strip_suffix(suffix)?;
            let mut builder = labels.to_builder();
            builder.set(METRIC_NAME, base).del(BOUND);
            Some(builder.build())
        };
        if let Some(bound) = labels.get(BOUND).and_then(|b| b.parse::<f64>().ok()) {
            if let Some(base) = base("_bucket") {
                self.parts.entry(base).or_default().buckets.push((bound, value));
            }
        } else if let Some(base) = base("_sum") {
            self.parts.entry(base).or_default().sum = Some(value);
        } else if let Some(base) = base("_count") {
            self.parts.entry(base).or_default().count = Some(value);
        }
    }

    /// The histograms that are whole.
    pub(crate) fn finish(self) -> impl Iterator<Item = (Labels, RowValue)> {
        self.parts.into_iter().filter_map(|(labels, parts)| Some((labels, parts.finish()?)))
    }
}

impl Parts {
    fn finish(mut self) -> Option<RowValue> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (last, total) = *self.buckets.last()?;
        if self.is_native || last != f64::INFINITY {
            return None;
        }
        let mut counts = Vec::new();
        let mut below = 0.0;
        for (_, cumulative) in &self.buckets {
            counts.push(cumulative - below);
            below = *cumulative;
        }
        if counts.iter().any(|c| c.is_nan() || *c < 0.0) {
            return None;
        }
        let custom_values: Vec<f64> = self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect();
        let positive_spans = vec![Span { offset: 0, length: u32::try_from(counts.len()).ok()? }];
        let (count, sum) = (self.count.unwrap_or(total), self.sum.unwrap_or(0.0));
        let is_whole = |v: &f64| v.fract() == 0.0 && *v < 9e15;
        if !is_whole(&count) || !counts.iter().all(is_whole) {
            return Some(RowValue::FloatHistogram(FloatHistogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count,
                sum,
                positive_spans,
                positive_buckets: counts,
                custom_values,
                ..FloatHistogram::default()
            }));
        }
        let mut before = 0;
        let delta = |c: &f64| {
            let delta = *c as i64 - before;
            before = *c as i64;
            delta
        };
        Some(RowValue::Histogram(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: count as u64,
            sum,
            positive_spans,
            positive_buckets: counts.iter().map(delta).collect(),
            custom_values,
            ..Histogram::default()
        }))
    }
}

/// Adds a block with the histograms of a data directory's classic series; yields how many series were made.
pub(crate) fn convert(data: &Path) -> Result<usize, ImportError> {
    let database = Database::open(data, OpenOptions::default())?;
    let read = |e: assay_model::QueryError| ImportError::Io {
        path: data.to_owned(),
        action: "read what was imported",
        source: std::io::Error::other(e.to_string()),
    };
    let mut writer = None;
    let mut made = 0;
    for name in database.label_values(METRIC_NAME, &[]).map_err(read)? {
        let Some(base) = name.strip_suffix("_bucket") else { continue };
        let mut by_time: BTreeMap<i64, Classic> = BTreeMap::new();
        for part in [name.clone(), format!("{base}_sum"), format!("{base}_count"), base.to_owned()] {
            let matcher = Matcher::new(MatchOp::Equal, METRIC_NAME, &part).into_iter().collect::<Vec<_>>();
            for series in database.select(&matcher, i64::MIN, i64::MAX).map_err(read)? {
                let mut column = Column::default();
                series.read(i64::MIN, i64::MAX, &mut column).map_err(read)?;
                for (t_ms, value) in column.times.iter().zip(&column.values).filter(|(_, v)| !is_stale(**v)) {
                    by_time.entry(*t_ms).or_default().take(series.labels(), &RowValue::Float(*value));
                }
                for (t_ms, h) in column.histogram_times.iter().zip(&column.histograms) {
                    let native = RowValue::FloatHistogram(FloatHistogram::clone(h));
                    by_time.entry(*t_ms).or_default().take(series.labels(), &native);
                }
            }
        }
        let mut seen = BTreeMap::new();
        for (t_ms, classic) in by_time {
            for (labels, value) in classic.finish() {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    none => none.insert(BlockWriter::create(data)?),
                };
                let at = match seen.get(&labels) {
                    Some(at) => *at,
                    None => {
                        made += 1;
                        let at = writer.series(&labels)?;
                        seen.insert(labels, at);
                        at
                    }
                };
                match &value {
                    RowValue::Float(v) => writer.append(at, t_ms, *v)?,
                    RowValue::Histogram(h) => writer.append_histogram(at, t_ms, h)?,
                    RowValue::FloatHistogram(h) => writer.append_float_histogram(at, t_ms, h)?,
                }
            }
        }
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(text.iter().copied())
    }

    #[test]
    fn buckets_of_one_instant_become_a_histogram() {
        let mut classic = Classic::default();
        for (bound, count) in [("0.5", 2.0), ("+Inf", 7.0), ("1", 6.0)] {
            classic.take(
                &labels(&[("__name__", "d_bucket"), ("job", "a"), ("le", bound)]),
                &RowValue::Float(count),
            );
        }
        classic.take(&labels(&[("__name__", "d_sum"), ("job", "a")]), &RowValue::Float(4.5));
        classic.take(&labels(&[("__name__", "d_count"), ("job", "a")]), &RowValue::Float(7.0));
        classic.take(&labels(&[("__name__", "summary_sum"), ("job", "a")]), &RowValue::Float(4.5));
        let made: Vec<_> = classic.finish().collect();
        let want = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 7,
            sum: 4.5,
            positive_spans: vec![Span { offset: 0, length: 3 }],
            positive_buckets: vec![2, 2, -3],
            custom_values: vec![0.5, 1.0],
            ..Histogram::default()
        };
        assert_eq!(made, [(labels(&[("__name__", "d"), ("job", "a")]), RowValue::Histogram(want))]);
    }

    #[test]
    fn what_is_not_whole_or_native_already_is_left_alone() {
        let bucket = |bound: &str| labels(&[("__name__", "d_bucket"), ("le", bound)]);
        let check = |buckets: &[(&str, f64)], native: bool| {
            let mut classic = Classic::default();
            for (bound, count) in buckets {
                classic.take(&bucket(bound), &RowValue::Float(*count));
            }
            if native {
                classic.take(&labels(&[("__name__", "d")]), &RowValue::Histogram(Histogram::default()));
            }
            assert_eq!(classic.finish().count(), 0, "{buckets:?}");
        };
        check(&[("1", 1.0)], false);
        check(&[("1", 3.0), ("+Inf", 2.0)], false);
        check(&[("1", 1.0), ("+Inf", 2.0)], true);
    }
}
