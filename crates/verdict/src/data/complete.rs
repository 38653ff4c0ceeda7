//! Whether the data of a window are complete. Invariant: a reason names the target or the selector, and what is missing
//! of it.
//!
//! - A target that is read must have samples throughout: no pause longer than three of its intervals and ten seconds.
//! - The window's edges must be covered, to within two intervals, by at least one target that has the metric: a series
//!   that ends while its target is still scraped has ended, and a rollout replaces targets. A window that is all there is
//!   has no edges of its own.

use std::collections::BTreeSet;

use assay_model::{Column, METRIC_NAME, Matcher, QueryError};
use assay_promql::{Expr, ast::VectorSelector};

use super::{RunData, Target, TargetKey};
use crate::{units, verdict::Window};

/// A pause that is never too long, whatever the interval.
const SHORT_PAUSE_MS: i64 = 10_000;

/// What is missing of the data that an expression reads in a window.
///
/// # Errors
/// If the source cannot be read.
pub fn gaps(
    data: &RunData<'_>,
    window: &Window,
    expr: &Expr,
    has_edges: bool,
) -> Result<Vec<String>, QueryError> {
    let mut reasons = BTreeSet::new();
    for selector in expr.selectors() {
        if selector.offset.is_some() || selector.at.is_some() {
            continue;
        }
        let read = targets(data, window, &selector.matchers)?;
        pauses(data, window, &read, &mut reasons)?;
        if has_edges && !read.is_empty() {
            edges(data, window, selector, read, &mut reasons)?;
        }
    }
    Ok(reasons.into_iter().collect())
}

/// The targets of the series that match and have samples in the window.
fn targets(
    data: &RunData<'_>,
    window: &Window,
    matchers: &[Matcher],
) -> Result<BTreeSet<TargetKey>, QueryError> {
    let mut keys = BTreeSet::new();
    for series in data.source().select(matchers, window.start_ms + 1, window.end_ms)? {
        let mut column = Column::default();
        series.read(window.start_ms + 1, window.end_ms, &mut column)?;
        if !column.is_empty() {
            keys.insert(TargetKey::of(series.labels()));
        }
    }
    Ok(keys)
}

fn pauses(
    data: &RunData<'_>,
    window: &Window,
    read: &BTreeSet<TargetKey>,
    reasons: &mut BTreeSet<String>,
) -> Result<(), QueryError> {
    for key in read {
        let target = data.target(key)?;
        let Some((from_ms, to_ms)) = Edges::of(&target, window).pause else { continue };
        reasons.insert(format!(
            "{key} has no sample from {} to {}, {} long; it is scraped every {}",
            units::clock(from_ms),
            units::clock(to_ms),
            units::length(to_ms - from_ms),
            units::length(target.interval_ms)
        ));
    }
    Ok(())
}

fn edges(
    data: &RunData<'_>,
    window: &Window,
    selector: &VectorSelector,
    read: BTreeSet<TargetKey>,
    reasons: &mut BTreeSet<String>,
) -> Result<(), QueryError> {
    // A pod that is new, or gone, may be the only one with a label value; the others say that the metric was watched.
    let watched = match selector.name.as_str() {
        "" => read,
        name => targets(data, window, &[Matcher::equal(METRIC_NAME, name)])?,
    };
    let (mut late_ms, mut early_ms) = (i64::MAX, i64::MAX);
    for key in watched {
        let edges = Edges::of(&*data.target(&key)?, window);
        late_ms = late_ms.min(edges.late_ms);
        early_ms = early_ms.min(edges.early_ms);
    }
    let name = if selector.name.is_empty() { "the selector" } else { &selector.name };
    if late_ms > 0 {
        let late = units::length(late_ms);
        reasons.insert(format!("the data of {name} begin {late} after the window does"));
    }
    if early_ms > 0 {
        let early = units::length(early_ms);
        reasons.insert(format!("the data of {name} end {early} before the window does"));
    }
    Ok(())
}

/// How a target covers a window.
struct Edges {
    /// How late it begins, 0 if in time.
    late_ms: i64,
    /// How early it ends, 0 if in time.
    early_ms: i64,
    /// The first pause that is too long.
    pause: Option<(i64, i64)>,
}

impl Edges {
    fn of(target: &Target, window: &Window) -> Self {
        let times = &target.times_ms;
        // The samples just outside say that there was no pause at the edge.
        let from = times.partition_point(|t| *t <= window.start_ms);
        let to = times.partition_point(|t| *t <= window.end_ms);
        let tolerated_ms = 2 * target.interval_ms;
        let distance = |ms: i64| if ms > tolerated_ms { ms } else { 0 };
        let first = times[from..to].first().copied();
        let last = times[from..to].last().copied();
        let length_ms = window.len_ms();
        let least_ms = (3 * target.interval_ms).max(SHORT_PAUSE_MS);
        let pause = times[from..to].windows(2).find(|w| w[1] - w[0] > least_ms).map(|w| (w[0], w[1]));
        Self {
            late_ms: distance(first.map_or(length_ms, |t| t - window.start_ms)),
            early_ms: distance(last.map_or(length_ms, |t| window.end_ms - t)),
            pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_and_edges() {
        let window = Window { end_ms: 60_000, ..Window::whole(0, 60_000) };
        let check = |times_s: &[i64], interval_s: i64, want: (i64, i64, Option<(i64, i64)>)| {
            let times_ms = times_s.iter().map(|s| s * 1000).collect();
            let target = Target { times_ms, interval_ms: interval_s * 1000, process_starts_ms: Vec::new() };
            let edges = Edges::of(&target, &window);
            assert_eq!((edges.late_ms, edges.early_ms, edges.pause), want, "{times_s:?}");
        };
        check(&[-10, 5, 20, 35, 50, 65], 15, (0, 0, None));
        check(&[31, 46, 61], 15, (31_000, 0, None));
        check(&[5, 20], 15, (0, 40_000, None));
        check(&[5, 20, 60], 5, (0, 0, Some((20_000, 60_000))));
        // A pause of ten seconds is short, whatever the interval.
        check(&[1, 2, 3, 13, 14, 59], 1, (0, 0, Some((14_000, 59_000))));
        check(&(0..=60).filter(|s| !(20..29).contains(s)).collect::<Vec<_>>(), 1, (0, 0, None));
        check(&[70], 15, (60_000, 60_000, None));
    }
}
