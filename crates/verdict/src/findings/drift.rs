//! Requests that take longer and longer under the same load. Invariant: what a longer load, or another finding, explains is no
//! finding of its own.

use super::{
    Confidence, Finding, Kind, Severity,
    seen::{Histogram, REQUESTS, Seen, mean, times},
};
use crate::{leak, source::SourceError};

pub(super) const KIND: Kind = Kind { id: "B003", name: "latency-grows" };

/// A shorter window shows no drift.
const SHORTEST_S: f64 = 60.0;
/// Into how many parts the window is cut, and how many requests each takes.
const PARTS: u32 = 20;
const FEWEST: f64 = 5.0;
/// By how much the median must grow over the window, as a part of what it was and in seconds.
const LEAST_SHARE: f64 = 0.2;
const LEAST_S: f64 = 0.02;
/// How far the load may differ between the ends of the window.
const SAME_LOAD: f64 = 0.1;

const ANSWERED: Histogram<'static> = Histogram { matchers: "error_type=\"\"", ..REQUESTS };

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    if seen.seconds() < SHORTEST_S || !is_level(seen, "sum(load_users)")? {
        return Ok(Vec::new());
    }
    if !is_level(seen, "sum(load_rate_target_per_second)")? {
        return Ok(Vec::new());
    }
    let (p50, count) = (ANSWERED.quantile(0.5), ANSWERED.count());
    let mut points = Vec::new();
    for i in 0..PARTS {
        let part = seen.part(f64::from(i) / f64::from(PARTS), f64::from(i + 1) / f64::from(PARTS));
        if seen.number_in(&count, part)?.unwrap_or(0.0) < FEWEST {
            continue;
        }
        points.extend(seen.number_in(&p50, part)?.map(|v| (part.1 as f64 / 1e3, v)));
    }
    let late = leak::trend(&points[points.len() / 2..]);
    let Some((all, late)) = leak::trend(&points).zip(late) else { return Ok(Vec::new()) };
    let surely = all.low_per_s * all.length_s;
    let start = all.start();
    if surely < LEAST_S || surely < LEAST_SHARE * start || late.per_s < 0.5 * all.per_s {
        return Ok(Vec::new());
    }
    let title = format!(
        "Requests take longer and longer under the same load: {} as long at the end as at the start",
        times(all.level / start.max(1e-9))
    );
    Ok(vec![
        seen.finding(KIND, "", title)
            // It says that something accumulates, not what.
            .severity(Severity::Warning)
            .confidence(Confidence::Medium)
            .shows("median response time at the end, on the line of its growth, against the start", String::new(), Some(start), all.level, "s")
            .grows(&all, "s")
            .against("A median that stays, or falls back, in a longer run: then it was a warm-up or a cache that filled.")
            .act("Look for what accumulates: a table or list that is searched from end to end, a queue that is never emptied, a heap that is collected more and more often."),
    ])
}

/// Whether a line is as high at the window's end as at its start; a line that is not there is.
fn is_level(seen: &Seen<'_>, expression: &str) -> Result<bool, SourceError> {
    let points = seen.line(expression)?;
    let quarter = points.len() / 4;
    let (first, last) = (mean(&points[..quarter]), mean(&points[points.len() - quarter..]));
    Ok((first - last).abs() <= SAME_LOAD * first.max(last))
}
