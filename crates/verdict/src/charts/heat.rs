//! How often a step took how long: over time, and in each phase. Invariant: a cell is a number of requests, whatever form the
//! run's histograms have.

use assay_model::{FloatHistogram, duration, histogram::Bucket};
use assay_promql::RangeSeries;

use super::Sampling;
use crate::{
    histogram::{Histogram, REQUESTS},
    source::{Source, SourceError, series},
    verdict::RunInfo,
};

/// How many rows of times there are, and how many columns at most.
const ROWS: usize = 24;
const COLUMNS: i64 = 80;
/// Times below this are drawn as this, in seconds.
const LEAST_S: f64 = 1e-6;

/// Requests by time and by how long they took.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// The step.
    pub step: String,
    /// The bounds of the rows in seconds, ascending, evenly apart on a logarithmic scale; one more than rows.
    pub bounds: Vec<f64>,
    /// How long a column is, in milliseconds.
    pub width_ms: i64,
    /// For each column its end, in milliseconds since the Unix epoch, and how many requests each row has.
    pub columns: Vec<(i64, Vec<f64>)>,
    /// For each phase that does not only warm up its name, and how many requests each row has.
    pub phases: Vec<(String, Vec<f64>)>,
}

/// The requests of a step, which `matcher` selects.
pub(super) fn query(
    run: &RunInfo,
    step: &str,
    matcher: &str,
    sampling: Sampling,
    source: &dyn Source,
) -> Result<Option<Heat>, SourceError> {
    let matchers = format!("{matcher}, {}", REQUESTS.matchers);
    let all = Histogram { matchers: &matchers, ..REQUESTS }.all();
    let over = |length_ms: i64| all.replace("RANGE", &duration::format_ms(length_ms));
    let width_ms = ((sampling.end_ms - sampling.start_ms) / COLUMNS).max(3 * sampling.interval_ms);
    let found = source.range(&over(width_ms), sampling.start_ms + width_ms, sampling.end_ms, width_ms)?;
    let columns = counts(series(found));
    let Some(bounds) = bounds(columns.iter().map(|(_, c)| c)) else { return Ok(None) };
    let mut phases = Vec::new();
    for phase in run.phases.iter().filter(|p| !p.warmup && p.end_ms > p.start_ms) {
        let found = source.range(&over(phase.end_ms - phase.start_ms), phase.end_ms, phase.end_ms, 1)?;
        if let Some((_, count)) = counts(series(found)).first() {
            phases.push((phase.name.clone(), count.rows(&bounds)));
        }
    }
    let columns = columns.iter().map(|(t, c)| (*t, c.rows(&bounds))).collect();
    Ok(Some(Heat { step: step.to_owned(), bounds, width_ms, columns, phases }))
}

/// How many were below a time.
enum Count {
    /// Buckets with something in them, ascending.
    Native(Vec<Bucket>),
    /// Upper bounds and how many were at most that.
    Classic(Vec<(f64, f64)>),
}

/// What was observed at each time, ascending.
fn counts(found: Vec<RangeSeries>) -> Vec<(i64, Count)> {
    let mut classic: std::collections::BTreeMap<i64, Vec<(f64, f64)>> = std::collections::BTreeMap::new();
    let mut out = Vec::new();
    for one in found {
        let bound = one.labels.get("le").and_then(|le| le.parse::<f64>().ok());
        if let Some(bound) = bound {
            for (t, v) in one.samples.times.iter().zip(&one.samples.values) {
                classic.entry(*t).or_default().push((bound, *v));
            }
        } else {
            let native = one.samples.histogram_times.into_iter().zip(one.samples.histograms);
            out.extend(native.map(|(t, h)| (t, Count::Native(buckets(&h)))));
        }
    }
    if out.is_empty() {
        out.extend(classic.into_iter().map(|(t, mut list)| {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
            (t, Count::Classic(list))
        }));
    }
    out
}

fn buckets(histogram: &FloatHistogram) -> Vec<Bucket> {
    histogram.all_buckets().into_iter().filter(|b| b.count > 0.0).collect()
}

impl Count {
    fn below(&self, v: f64) -> f64 {
        match self {
            Self::Native(list) => {
                let part = |b: &Bucket| match () {
                    () if b.upper <= v => 1.0,
                    () if b.lower >= v => 0.0,
                    // An exponential bucket does not touch zero.
                    () => b.fraction_below(v, b.lower <= 0.0),
                };
                list.iter().map(|b| b.count * part(b)).sum()
            }
            Self::Classic(list) => {
                let at = list.partition_point(|(bound, _)| *bound <= v);
                let (low, below) = if at == 0 { (0.0, 0.0) } else { list[at - 1] };
                match list.get(at) {
                    Some((high, upto)) if high.is_finite() => {
                        below + (upto - below).max(0.0) * (v - low) / (high - low)
                    }
                    _ => below,
                }
            }
        }
    }

    /// The bounds between which there is anything.
    fn ends(&self) -> Option<(f64, f64)> {
        match self {
            Self::Native(list) => Some((list.first()?.lower, list.last()?.upper)),
            Self::Classic(list) => {
                let all = list.last().map(|(_, n)| *n).filter(|n| *n > 0.0)?;
                let first = list.iter().position(|(_, n)| *n > 0.0)?;
                let low = first.checked_sub(1).map_or(0.0, |i| list[i].0);
                let finite = || list.iter().filter(|(bound, _)| bound.is_finite());
                let high = finite().find(|(_, n)| *n >= all).or_else(|| finite().next_back())?.0;
                Some((low, high))
            }
        }
    }

    /// How many lie between each two bounds; what lies outside is in the outermost rows.
    fn rows(&self, bounds: &[f64]) -> Vec<f64> {
        let last = bounds.len() - 2;
        let below = |i: usize| if i == 0 { 0.0 } else { self.below(bounds[i]) };
        (0..=last)
            .map(|i| {
                let upto = if i == last { self.below(f64::MAX) } else { below(i + 1) };
                (upto - below(i)).max(0.0)
            })
            .collect()
    }
}

/// Bounds that hold all counts; `None` if there is nothing.
fn bounds<'a>(counts: impl Iterator<Item = &'a Count>) -> Option<Vec<f64>> {
    let ends = counts.filter_map(Count::ends).filter(|(low, high)| low.is_finite() && high.is_finite());
    let (low, high) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let low = low.max(LEAST_S);
    let ratio = (high.max(low * 1.5) / low).ln() / ROWS as f64;
    Some((0..=ROWS).map(|i| low * (ratio * i as f64).exp()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_one_row() {
        let count = Count::Classic(vec![(0.1, 4.0), (0.2, 4.0), (0.4, 10.0), (f64::INFINITY, 11.0)]);
        let bounds = bounds([&count].into_iter()).expect("has data");
        assert!((bounds[0] - LEAST_S).abs() < 1e-9 && (bounds[ROWS] - 0.4).abs() < 1e-9, "{bounds:?}");
        let rows = count.rows(&bounds);
        // What is above the last finite bound has no place of its own, as in `histogram_quantile`.
        assert!((rows.iter().sum::<f64>() - 10.0).abs() < 1e-9, "{rows:?}");
        assert!(super::bounds([&Count::Classic(vec![(0.1, 0.0)])].into_iter()).is_none());
    }

    #[test]
    fn a_native_histogram_keeps_its_count() {
        let mut recorder = assay_model::ExponentialHistogram::new(160);
        for i in 1..=100 {
            recorder.record(f64::from(i) / 100.0);
        }
        let count = Count::Native(buckets(&recorder.snapshot().to_float()));
        let bounds = bounds([&count].into_iter()).expect("has data");
        let rows = count.rows(&bounds);
        assert_eq!(rows.len(), ROWS);
        assert!((rows.iter().sum::<f64>() - 100.0).abs() < 1e-6, "{rows:?}");
    }
}
