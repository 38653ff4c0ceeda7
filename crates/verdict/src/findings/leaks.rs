//! What grows for as long as the load lasts: memory and file descriptors. Invariant: what grows at the start and then stays
//! is a pool or a cache that fills.

use assay_model::duration;

use super::{
    Confidence, Finding, Kind, Severity,
    seen::{Points, Seen, only},
};
use crate::{
    leak::{self, Trend},
    source::SourceError,
    units,
};

pub(super) const MEMORY: Kind = Kind { id: "R005", name: "memory-leak" };
pub(super) const FILES: Kind = Kind { id: "R006", name: "descriptor-leak" };

/// A shorter window shows no leak.
const SHORTEST_S: f64 = 30.0;
/// By how much memory must grow over the window.
const LEAST_BYTES: f64 = 32.0 * 1024.0 * 1024.0;
/// By how many descriptors.
const LEAST_FILES: f64 = 20.0;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    if seen.seconds() < SHORTEST_S {
        return Ok(found);
    }
    for (kind, metric, least, unit) in [
        (MEMORY, "process_resident_memory_bytes", LEAST_BYTES, "bytes"),
        (FILES, "process_open_fds", LEAST_FILES, ""),
    ] {
        let mut known: Vec<Points> = Vec::new();
        for (job, points) in seen.lines(&format!("sum by (job) ({metric})"), "job")? {
            let Some(trend) = lasting(&points, least) else { continue };
            // One process that two jobs scrape leaks once.
            if known.contains(&points) {
                continue;
            }
            let limit = match unit {
                "bytes" => "sum(node_memory_MemTotal_bytes)".to_owned(),
                _ => format!("min(process_max_fds{{{}}})", only("job", &job)),
            };
            let limit = seen.number(&limit)?;
            found.push(leaking(seen, kind, &job, metric, trend, limit, unit));
            known.push(points);
        }
    }
    Ok(found)
}

/// The trend of what grows from start to end, and not less in the second half.
fn lasting(points: &[(i64, f64)], least: f64) -> Option<Trend> {
    let in_seconds: Vec<_> = points.iter().map(|(t_ms, v)| (*t_ms as f64 / 1e3, *v)).collect();
    let all = leak::trend(&in_seconds)?;
    let late = leak::trend(&in_seconds[in_seconds.len() / 2..])?;
    (all.is_leak()
        && all.low_per_s * all.length_s > least
        && late.low_per_s > 0.0
        && late.per_s > 0.5 * all.per_s)
        .then_some(all)
}

fn leaking(
    seen: &Seen<'_>,
    kind: Kind,
    job: &str,
    metric: &str,
    trend: Trend,
    limit: Option<f64>,
    unit: &str,
) -> Finding {
    let what = if kind == MEMORY { "memory" } else { "file descriptors" };
    let per_hour = if unit.is_empty() {
        units::digits(trend.per_hour().round())
    } else {
        units::quantity(trend.per_hour(), unit)
    };
    let until = limit.and_then(|limit| trend.until(limit));
    let until = until.map_or_else(String::new, |left| {
        match i64::try_from(left.as_secs()).unwrap_or(i64::MAX / 1000) {
            0 => "; the limit is reached".to_owned(),
            s => format!("; the limit would be reached in {}", duration::format_ms(s * 1000)),
        }
    });
    let start = trend.level - trend.per_s * trend.length_s;
    seen.finding(kind, job, format!("{job} loses {what}: {per_hour} an hour for as long as the load lasts{until}"))
        .severity(Severity::Warning)
        .confidence(Confidence::Medium)
        .shows(format!("{what} at the end, on the line of its growth, against the start"), format!("sum({metric}{{{}}})", only("job", job)), Some(start), trend.level, unit)
        .shows("growth each second (Theil and Sen), against the lower end of its 99.9 % interval", String::new(), Some(trend.low_per_s), trend.per_s, unit)
        .against("Growth that ends in a longer run: then it was a cache or a pool that filled.")
        .act(if kind == MEMORY {
            "Run the sustained phase for longer, and take a heap profile at its start and at its end."
        } else {
            "Count what the descriptors are at the end of a run (/proc/PID/fd): connections, files or pipes that nothing closes."
        })
}
