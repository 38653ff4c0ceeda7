//! `min_over_time`, `max_over_time` and the times of the extremes. Invariant: NaN counts only where there is
//! nothing else, and of equal values the latest is the extreme.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`compareOverTime`); windows slide by a monotonic queue.

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
    // Values that may yet be an extreme, with their indices: each later one is beaten by all before it. Those
    // before `head` have left the window.
    let mut queue: Vec<(usize, f64)> = Vec::new();
    let (mut head, mut next) = (0, 0);
    for w in job.windows() {
        if w.floats.is_empty() {
            continue;
        }
        if !w.histograms.is_empty() {
            notes.info(job.site, ignored_in_range(job.metric));
        }
        let from = next.max(w.floats.start);
        for (i, v) in values[from..w.floats.end.max(from)].iter().enumerate() {
            if v.is_nan() {
                continue;
            }
            while queue.len() > head && beats(*v, queue[queue.len() - 1].1) {
                queue.pop();
            }
            queue.push((from + i, *v));
        }
        next = w.floats.end;
        while queue.get(head).is_some_and(|(i, _)| *i < w.floats.start) {
            head += 1;
        }
        let (at, value) = queue.get(head).copied().unwrap_or((w.floats.end - 1, f64::NAN));
        out.values[w.step] = if time { times[at] as f64 / 1000.0 } else { value };
    }
    out
}
