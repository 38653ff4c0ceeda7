//! `quantile_over_time` and `mad_over_time`. Invariant: NaN sorts before all numbers.
//!
//! Source: Prometheus `promql/functions.go` and `promql/quantile.go` v3.13. Overlapping windows keep their
//! values sorted and exchange only those that leave and enter.

use std::{cmp::Ordering, ops::Range};

use super::Job;
use crate::engine::{
    notes::{Notes, ignored_in_range, invalid_quantile},
    points::Points,
};

/// The order in which quantiles are taken.
pub(crate) fn order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// The quantile of sorted values, between two of them by their distance.
pub(crate) fn quantile_of(q: f64, sorted: &[f64]) -> f64 {
    if sorted.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let last = sorted.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

/// The sorted values of a moving window.
#[derive(Default)]
struct SortedWindow {
    sorted: Vec<f64>,
    range: Range<usize>,
}

impl SortedWindow {
    fn move_to(&mut self, values: &[f64], to: Range<usize>) -> &[f64] {
        let kept = self.range.end.saturating_sub(to.start);
        let fresh = to.end - self.range.end.max(to.start).min(to.end);
        if kept < fresh {
            self.sorted.clear();
            self.sorted.extend_from_slice(&values[to.clone()]);
            self.sorted.sort_unstable_by(|a, b| order(*a, *b));
        } else {
            for v in &values[self.range.start..to.start] {
                let at = self.position(*v);
                self.sorted.remove(at);
            }
            for v in &values[self.range.end..to.end] {
                let at = self.position(*v);
                self.sorted.insert(at, *v);
            }
        }
        self.range = to;
        &self.sorted
    }

    fn position(&self, v: f64) -> usize {
        self.sorted.partition_point(|s| order(*s, v) == Ordering::Less)
    }
}

pub(super) fn quantile(job: &Job<'_>, notes: &mut Notes) -> Points {
    let mut window = SortedWindow::default();
    let mut out = job.absent();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        let q = job.params.first().map_or(f64::NAN, |p| p.at(w.step));
        if !(0.0..=1.0).contains(&q) {
            notes.warn(job.site, invalid_quantile(q));
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        out.values[w.step] = quantile_of(q, window.move_to(job.samples.values, w.floats));
    }
    out
}

pub(super) fn mad(job: &Job<'_>, notes: &mut Notes) -> Points {
    let mut window = SortedWindow::default();
    let mut out = job.absent();
    let mut deviations: Vec<f64> = Vec::new();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        let sorted = window.move_to(job.samples.values, w.floats);
        out.values[w.step] = if sorted[0].is_nan() {
            f64::NAN
        } else {
            let median = quantile_of(0.5, sorted);
            deviations.clear();
            deviations.extend(sorted.iter().map(|v| (v - median).abs()));
            deviations.sort_unstable_by(|a, b| order(*a, *b));
            quantile_of(0.5, &deviations)
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_window_stays_sorted() {
        let values: Vec<f64> =
            (0..100).map(|i| if i % 13 == 0 { f64::NAN } else { f64::from(i * 37 % 29) }).collect();
        let mut window = SortedWindow::default();
        for start in 0..60 {
            let to = start..start + 20 + start / 3;
            let mut want = values[to.clone()].to_vec();
            want.sort_by(|a, b| order(*a, *b));
            let got = window.move_to(&values, to.clone());
            assert!(got.iter().zip(&want).all(|(a, b)| order(*a, *b).is_eq()), "{to:?}");
            assert_eq!(got.len(), want.len());
        }
    }
}
