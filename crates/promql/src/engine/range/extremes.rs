//! `min_over_time`, `max_over_time` and the times of the extremes. Invariant: NaN counts only where there is
//! nothing else, and of equal values the latest is the extreme.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`compareOverTime`); windows slide by a monotonic queue.

use std::collections::VecDeque;

use super::Job;
use crate::engine::{
    notes::{Notes, ignored_in_range},
    points::Points,
};

/// Which extreme.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Min,
    Max,
}

pub(super) fn extreme(job: &Job<'_>, which: Which, time: bool, notes: &mut Notes) -> Points {
    match which {
        Which::Min => slide(job, time, notes, |new, old| new <= old),
        Which::Max => slide(job, time, notes, |new, old| new >= old),
    }
}

fn slide(job: &Job<'_>, time: bool, notes: &mut Notes, beats: impl Fn(f64, f64) -> bool) -> Points {
    let (times, values) = (job.samples.times, job.samples.values);
    let mut out = job.absent();
    // Indices of values that may yet be an extreme: each later one is beaten by all before it.
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        while queue.front().is_some_and(|i| *i < w.floats.start) {
            queue.pop_front();
        }
        for (i, v) in values.iter().enumerate().take(w.floats.end).skip(next.max(w.floats.start)) {
            if v.is_nan() {
                continue;
            }
            while queue.back().is_some_and(|b| beats(*v, values[*b])) {
                queue.pop_back();
            }
            queue.push_back(i);
        }
        next = w.floats.end;
        let at = queue.front().copied().unwrap_or(w.floats.end - 1);
        out.values[w.step] = if time { times[at] as f64 / 1000.0 } else { values[at] };
    }
    out
}
