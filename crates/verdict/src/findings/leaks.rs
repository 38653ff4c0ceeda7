//! What grows for as long as the load lasts: memory, file descriptors, threads. Invariant: what grows at the start and then stays
//! is a pool or a cache that fills.

use assay_model::duration;

use super::{
    Confidence, Finding, Kind, OBSERVERS, Severity,
    seen::{Points, Seen, mean, only},
};
use crate::{
    leak::{self, Trend},
    source::SourceError,
    units,
};

pub(super) const MEMORY: Kind = Kind { id: "R005", name: "memory-leak" };
pub(super) const FILES: Kind = Kind { id: "R006", name: "descriptor-leak" };
pub(super) const THREADS: Kind = Kind { id: "R010", name: "thread-leak" };

/// A shorter window shows no leak.
const SHORTEST_S: f64 = 30.0;
/// How many times as many users make the load another one.
const MORE_USERS: f64 = 1.25;

/// A thing that may leak.
struct Leak {
    kind: Kind,
    what: &'static str,
    unit: &'static str,
    /// By how much it must grow over the window.
    least: f64,
    /// Where it is measured: those further down are asked only if those above know nothing of the service.
    places: &'static [Place],
    /// What it cannot exceed; `OWNER` stands for the matcher of whose it is.
    limit: &'static str,
    remedy: &'static str,
}

/// A metric, what its series must have, and the label that says whose it is.
struct Place {
    metric: &'static str,
    matchers: &'static str,
    label: &'static str,
}

const fn of_job(metric: &'static str) -> Place {
    Place { metric, matchers: "job!=\"\"", label: "job" }
}

const fn of_group(metric: &'static str, matchers: &'static str) -> Place {
    Place { metric, matchers, label: "groupname" }
}

const fn of_container(metric: &'static str) -> Place {
    Place { metric, matchers: "name!=\"\"", label: "name" }
}

const LEAKS: [Leak; 3] = [
    Leak {
        kind: MEMORY,
        what: "memory",
        unit: "bytes",
        least: 32.0 * 1024.0 * 1024.0,
        places: &[
            of_job("process_resident_memory_bytes"),
            of_group("namedprocess_namegroup_memory_bytes", "memtype=\"resident\""),
            of_container("container_memory_working_set_bytes"),
        ],
        limit: "sum(node_memory_MemTotal_bytes)",
        remedy: "Run the sustained phase for longer, and take a heap profile at its start and at its end.",
    },
    Leak {
        kind: FILES,
        what: "file descriptors",
        unit: "",
        least: 20.0,
        places: &[
            of_job("process_open_fds"),
            of_group("namedprocess_namegroup_open_filedesc", "groupname!=\"\""),
            of_container("container_file_descriptors"),
        ],
        limit: "min(process_max_fds{OWNER})",
        remedy: "Count what the descriptors are at the end of a run (/proc/PID/fd): connections, files or pipes that nothing closes.",
    },
    Leak {
        kind: THREADS,
        what: "threads or tasks",
        unit: "",
        least: 10.0,
        places: &[
            of_job("process_threads"),
            of_job("process_thread_count"),
            of_job("jvm_threads_live_threads"),
            of_job("go_goroutines"),
            of_group("namedprocess_namegroup_num_threads", "groupname!=\"\""),
            of_container("container_threads"),
        ],
        limit: "",
        remedy: "Take a dump of all threads at the end of a run: most of them will wait in the same place, for a pool or a call without a timeout.",
    },
];

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    if seen.seconds() < SHORTEST_S || load_grows(seen)? {
        return Ok(found);
    }
    for leak in &LEAKS {
        let mut known: Vec<Points> = Vec::new();
        for (place, owner, points) in lines(seen, leak)? {
            let Some(trend) = lasting(&points, leak.least) else { continue };
            // One process that two jobs scrape leaks once.
            if known.contains(&points) {
                continue;
            }
            let limit = leak.limit.replace("OWNER", &only(place.label, &owner));
            let limit = if limit.is_empty() { None } else { seen.number(&limit)? };
            found.push(leaking(seen, leak, place, &owner, trend, limit));
            known.push(points);
        }
    }
    Ok(found)
}

/// Whether there are more users at the end than after the start: what each user takes is no leak.
fn load_grows(seen: &Seen<'_>) -> Result<bool, SourceError> {
    let users = seen.line("sum(load_users)")?;
    let quarter = users.len() / 4;
    let (early, late) = (mean(&users[quarter..2 * quarter]), mean(&users[users.len() - quarter..]));
    Ok(late > MORE_USERS * early)
}

/// Whose it is, and how it went.
type Owned = (&'static Place, String, Points);

fn lines(seen: &Seen<'_>, leak: &'static Leak) -> Result<Vec<Owned>, SourceError> {
    let mut all: Vec<Owned> = Vec::new();
    for place in leak.places {
        let Place { metric, matchers, label } = place;
        let found = seen.lines(&format!("sum by ({label}) ({metric}{{{matchers}}})"), label)?;
        all.extend(found.into_iter().map(|(owner, points)| (place, owner, points)));
        if all.iter().any(|(_, owner, _)| !OBSERVERS.contains(&owner.as_str())) {
            break;
        }
    }
    Ok(all)
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
    leak: &Leak,
    place: &Place,
    owner: &str,
    trend: Trend,
    limit: Option<f64>,
) -> Finding {
    let &Leak { kind, what, unit, remedy, .. } = leak;
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
    let start = trend.start();
    let title = format!("{owner} loses {what}: {per_hour} an hour for as long as the load lasts{until}");
    let expression = format!("sum({}{{{}}})", place.metric, only(place.label, owner));
    seen.finding(kind, owner, title)
        .severity(Severity::Warning)
        .confidence(Confidence::Medium)
        .shows(
            format!("{what} at the end, on the line of its growth, against the start"),
            expression,
            Some(start),
            trend.level,
            unit,
        )
        .grows(&trend, unit)
        .against("Growth that ends in a longer run: then it was a cache or a pool that filled.")
        .act(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// A sample a second for an hour, with seeded uniform noise of ±20 MiB.
    fn hour(seed: u64, start: f64, per_s: f64) -> Points {
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0) * 20.0 * MIB
        };
        (0..3600).map(|s| (s * 1000, start + per_s * s as f64 + noise())).collect()
    }

    #[test]
    fn an_hour_of_half_a_megabyte_a_second_is_a_leak_and_an_hour_of_noise_is_none() {
        for seed in 1..=20 {
            let leak = lasting(&hour(seed, 500.0 * MIB, 500e3), LEAKS[0].least).expect("a leak");
            assert!((leak.per_hour() / 1.8e9 - 1.0).abs() < 0.02, "seed {seed}: {leak:?}");
            assert_eq!(lasting(&hour(seed, 30.0 * MIB, 0.0), LEAKS[0].least), None, "seed {seed}");
        }
    }
}
