//! The sum of series over time. Invariant: a counter or histogram that has ended keeps its last value in the
//! sum; a gauge counts only for as long as it is fresh.

use std::sync::Arc;

use assay_model::{Column, FloatHistogram, Labels, expo::ScrapeValue, is_stale};

use super::MergeError;
use crate::import::{ImportError, Store};

/// How long a gauge's sample stands for the present: the generator writes one each second.
const FRESH_MS: i64 = 10_000;

/// Writes the sum of `parts` under `labels`.
pub(super) fn write(labels: &Labels, parts: &[Column], store: &mut Store) -> Result<(), MergeError> {
    let series = store.series(labels)?;
    let is_counter = labels.metric_name().ends_with("_total");
    let floats: Vec<&[i64]> = parts.iter().map(|c| c.times.as_slice()).collect();
    walk(&floats, |t_ms, latest| {
        let values = parts.iter().zip(latest).filter_map(|(part, at)| {
            let at = (*at)?;
            let is_fresh = is_counter || t_ms - part.times[at] <= FRESH_MS;
            Some(part.values[at]).filter(|v| is_fresh && !is_stale(*v))
        });
        store.push(series, t_ms, values.sum())
    })?;
    let histograms: Vec<&[i64]> = parts.iter().map(|c| c.histogram_times.as_slice()).collect();
    walk(&histograms, |t_ms, latest| {
        let mut sum: Option<FloatHistogram> = None;
        for (part, at) in parts.iter().zip(latest) {
            let Some(next) = at.map(|at| &part.histograms[at]).filter(|h| !is_stale(h.sum)) else { continue };
            match &mut sum {
                None => sum = Some(FloatHistogram::clone(next)),
                // The generator's histograms are exponential, all of them.
                Some(sum) => drop(sum.add(next)),
            }
        }
        match sum {
            Some(sum) => store.push_value(series, t_ms, &ScrapeValue::FloatHistogram(sum)),
            None => Ok(()),
        }
    })?;
    Ok(())
}

/// Writes a series as it is.
pub(super) fn copy(labels: &Labels, column: &Column, store: &mut Store) -> Result<(), MergeError> {
    let series = store.series(labels)?;
    for (t_ms, v) in column.times.iter().zip(&column.values) {
        store.push(series, *t_ms, *v)?;
    }
    for (t_ms, h) in column.histogram_times.iter().zip(&column.histograms) {
        store.push_value(
            series,
            *t_ms,
            &ScrapeValue::FloatHistogram(FloatHistogram::clone(Arc::as_ref(h))),
        )?;
    }
    Ok(())
}

/// Calls `visit` at each time of any list, ascending, with where each list stands then: the index of its
/// latest time so far.
pub(super) fn walk(
    times: &[&[i64]],
    mut visit: impl FnMut(i64, &[Option<usize>]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut next = vec![0usize; times.len()];
    let mut latest: Vec<Option<usize>> = vec![None; times.len()];
    while let Some(t_ms) = times.iter().zip(&next).filter_map(|(list, at)| list.get(*at)).min().copied() {
        for ((list, at), latest) in times.iter().zip(&mut next).zip(&mut latest) {
            while list.get(*at).is_some_and(|t| *t <= t_ms) {
                *latest = Some(*at);
                *at += 1;
            }
        }
        visit(t_ms, &latest)?;
    }
    Ok(())
}
