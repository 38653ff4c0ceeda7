//! `quantile_over_time` and `mad_over_time`. Invariant: NaN sorts before all numbers.
//!
//! Source: Prometheus `promql/functions.go` and `promql/quantile.go` v3.13. Overlapping windows keep their
//! values sorted and exchange only those that leave and enter.

use std::{cmp::Ordering, iter::Peekable, ops::Range};

use super::Job;
use crate::engine::{
    context::Context,
    notes::{Notes, ignored_in_range, invalid_quantile},
    points::Points,
    sorting::{NUMBERS, sort_by},
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

/// A number whose order as an integer is the order of [`order`].
#[inline]
fn key(v: f64) -> i64 {
    if v.is_nan() {
        return i64::MIN;
    }
    let bits = v.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The float of a key.
#[inline]
fn of_key(k: i64) -> f64 {
    if k == i64::MIN {
        return f64::NAN;
    }
    f64::from_bits((k ^ (((k >> 63) as u64) >> 1) as i64) as u64)
}

/// Sorts keys; those of a query that is over stay in any order.
fn sort_keys(keys: &mut [i64], ctx: &Context<'_>) {
    if keys.len() <= NUMBERS {
        keys.sort_unstable();
    } else {
        let _ = sort_by(keys, ctx, NUMBERS, Ord::cmp);
    }
}

/// The values of a moving window, sorted, as keys: integers compare without branches.
struct SortedWindow<'c> {
    ctx: &'c Context<'c>,
    keys: Vec<i64>,
    sorted: Vec<i64>,
    range: Range<usize>,
    leaving: Vec<i64>,
    entering: Vec<i64>,
    merged: Vec<i64>,
}

impl<'c> SortedWindow<'c> {
    fn new(ctx: &'c Context<'c>, values: &[f64]) -> Self {
        Self {
            ctx,
            keys: values.iter().map(|v| key(*v)).collect(),
            sorted: Vec::new(),
            range: 0..0,
            leaving: Vec::new(),
            entering: Vec::new(),
            merged: Vec::new(),
        }
    }

    /// The sorted keys of `to`, a window that is not before the last one; in no order where the query is over.
    fn move_to(&mut self, to: Range<usize>) -> &[i64] {
        let kept = self.range.end.saturating_sub(to.start);
        let fresh = to.end - self.range.end.max(to.start).min(to.end);
        if kept < fresh {
            self.sorted.clear();
            self.sorted.extend_from_slice(&self.keys[to.clone()]);
            sort_keys(&mut self.sorted, self.ctx);
        } else {
            let (leave, enter) = (self.range.start..to.start, self.range.end..to.end);
            if leave.len() == 1 && enter.len() == 1 {
                self.exchange(self.keys[leave.start], self.keys[enter.start]);
            } else if !(leave.is_empty() && enter.is_empty()) {
                self.merge(leave, enter);
            }
        }
        self.range = to;
        &self.sorted
    }

    /// One value leaves and one enters: only what lies between their places moves.
    fn exchange(&mut self, leaving: i64, entering: i64) {
        let out = self.sorted.partition_point(|k| *k < leaving);
        if entering > leaving {
            let to = self.sorted.partition_point(|k| *k < entering) - 1;
            self.sorted.copy_within(out + 1..=to, out);
            self.sorted[to] = entering;
        } else {
            let to = self.sorted.partition_point(|k| *k < entering);
            self.sorted.copy_within(to..out, to + 1);
            self.sorted[to] = entering;
        }
    }

    /// Several leave and enter: one pass over the window.
    fn merge(&mut self, leave: Range<usize>, enter: Range<usize>) {
        for (list, range) in [(&mut self.leaving, leave), (&mut self.entering, enter)] {
            list.clear();
            list.extend_from_slice(&self.keys[range]);
            sort_keys(list, self.ctx);
        }
        self.merged.clear();
        let (mut leaving, mut from) = (self.leaving.iter().peekable(), 0);
        // Runs between the places at which something changes are copied whole.
        for &e in &self.entering {
            let upto = from + self.sorted[from..].partition_point(|k| *k < e);
            copy_without(&self.sorted[from..upto], &mut leaving, &mut self.merged);
            self.merged.push(e);
            from = upto;
        }
        copy_without(&self.sorted[from..], &mut leaving, &mut self.merged);
        std::mem::swap(&mut self.sorted, &mut self.merged);
    }
}

/// Copies a sorted run without those that leave.
fn copy_without(run: &[i64], leaving: &mut Peekable<std::slice::Iter<'_, i64>>, out: &mut Vec<i64>) {
    let mut rest = run;
    while let Some(&&gone) = leaving.peek() {
        let at = rest.partition_point(|k| *k < gone);
        if rest.get(at) != Some(&gone) {
            break;
        }
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        leaving.next();
    }
    out.extend_from_slice(rest);
}

/// [`quantile_of`] for keys.
fn quantile_of_keys(q: f64, sorted: &[i64]) -> f64 {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return quantile_of(q, &[0.0]);
    }
    let last = sorted.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor();
    let upper = (lower as usize + 1).min(last);
    let weight = rank - lower;
    of_key(sorted[lower as usize]) * (1.0 - weight) + of_key(sorted[upper]) * weight
}

pub(super) fn quantile(job: &Job<'_>, notes: &mut Notes) -> Points {
    let mut window = SortedWindow::new(job.ctx, job.samples.values);
    let mut out = job.absent();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        let q = job.params.first().map_or(f64::NAN, |p| p.at(w.step));
        if !(0.0..=1.0).contains(&q) {
            notes.warn(job.param_site, invalid_quantile(q));
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        out.values[w.step] = quantile_of_keys(q, window.move_to(w.floats));
    }
    out
}

pub(super) fn mad(job: &Job<'_>, notes: &mut Notes) -> Points {
    let mut window = SortedWindow::new(job.ctx, job.samples.values);
    let mut out = job.absent();
    let mut deviations: Vec<f64> = Vec::new();
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        let sorted = window.move_to(w.floats);
        let median = quantile_of_keys(0.5, sorted);
        deviations.clear();
        deviations.extend(sorted.iter().map(|k| (of_key(*k) - median).abs()));
        if sort_by(&mut deviations, job.ctx, NUMBERS, |a, b| order(*a, *b)).is_err() {
            break;
        }
        out.values[w.step] = quantile_of(0.5, &deviations);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::EngineOptions, promqltest::MemStorage};

    #[test]
    fn keys_order_as_floats_and_come_back() {
        let values =
            [f64::NAN, f64::NEG_INFINITY, -2.5, -1e-300, -0.0, 0.0, 5e-324, 1.0, 1e300, f64::INFINITY];
        assert!(values.map(key).is_sorted());
        for v in &values[1..] {
            assert_eq!(of_key(key(*v)).to_bits(), v.to_bits());
        }
    }

    #[test]
    fn a_moving_window_stays_sorted() {
        let (source, options) = (MemStorage::new(), EngineOptions::default());
        let ctx = Context::new(&source, &options, &[]);
        let values: Vec<f64> =
            (0..400).map(|i| if i % 13 == 0 { f64::NAN } else { f64::from(i * 37 % 29) - 9.0 }).collect();
        for (stride, width) in [(1, 20), (1, 1), (3, 40), (15, 40), (30, 40), (50, 10)] {
            let mut window = SortedWindow::new(&ctx, &values);
            for start in (0..300).step_by(stride) {
                let to = start..start + width + start / 9;
                let mut want: Vec<i64> = values[to.clone()].iter().map(|v| key(*v)).collect();
                want.sort_unstable();
                assert_eq!(window.move_to(to.clone()), want, "{to:?} by {stride}");
            }
        }
    }
}
