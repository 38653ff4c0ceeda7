//! The measurement itself: whether the generator offered the load that was planned. Invariant: what a slow service causes
//! is not the generator's fault.

use super::{Finding, Kind, Severity, Topic, seen::Seen};
use crate::{
    judge::generator::{DROPPED, Dropped},
    source::SourceError,
    units,
};

pub(super) const LATE: Kind = Kind { id: "G001", name: "generator-late" };
pub(super) const FROZEN: Kind = Kind { id: "G002", name: "generator-frozen" };
pub(super) const BUSY: Kind = Kind { id: "G003", name: "generator-busy" };
pub(super) const USERS: Kind = Kind { id: "G004", name: "users-short" };

/// How late starts may be, at the 99th percentile, in seconds.
const LATE_S: f64 = 0.1;
/// Fewer starts than this make no percentile.
const FEWEST: f64 = 20.0;
/// The share of the host's processors that the generator may use.
const BUSY_SHARE: f64 = 0.5;

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    found.extend(frozen(seen)?);
    found.extend(late(seen)?);
    found.extend(busy(seen)?);
    Ok(found)
}

fn late(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let count = "sum(histogram_count(increase(load_schedule_lag_seconds[RANGE])))";
    let p99 = "histogram_quantile(0.99, sum(increase(load_schedule_lag_seconds[RANGE])))";
    let (Some(count), Some(lag)) = (seen.number(count)?, seen.number(p99)?) else { return Ok(None) };
    if count < FEWEST || lag < LATE_S {
        return Ok(None);
    }
    let title =
        format!("The generator itself starts requests up to {} late (p99)", units::quantity(lag, "s"));
    let severity = if lag > 1.0 { Severity::Critical } else { Severity::Warning };
    Ok(Some(
        seen.finding(LATE, "", title)
            .severity(severity)
            .confidence(super::Confidence::High)
            .shows("lag of starts behind the schedule, p99, against what is allowed", seen.over_window(p99), Some(LATE_S), lag, "s")
            .against("A lag that is there only while the service answers slowly; the lag is the generator's own by its definition.")
            .act("Give the generator a host of its own, or more workers, and repeat the run: the arrivals were not those of the plan."),
    ))
}

/// A generator that stands still writes nothing: the record has a hole, or its own pulse says so.
fn frozen(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let age = "time() - max(timestamp(load_users))";
    let points = seen.line(age)?;
    let limit_s = (3 * seen.interval_ms) as f64 / 1e3 + 0.5;
    let Some(worst) = points.iter().filter(|p| p.1 > limit_s).max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(None);
    };
    let (to_ms, length_s) = (worst.0, worst.1);
    let from_ms = to_ms - (length_s * 1e3) as i64;
    let title = format!(
        "The generator said nothing for {} from {} on: it stood still, or its host did",
        units::quantity(length_s, "s"),
        units::clock(from_ms)
    );
    Ok(Some(
        seen.finding(FROZEN, "", title)
            .severity(seen.severity(&[Topic::Time, Topic::Errors, Topic::Throughput]))
            .confidence(super::Confidence::High)
            .span((from_ms, to_ms))
            .shows("the longest time without a sample of the generator's, against three intervals", String::new(), Some(limit_s), length_s, "s")
            .against("Scrapes of the generator that failed while it went on: its counters would go up over the gap at the usual rate.")
            .act("Repeat the run on a host that nothing suspends; what was measured around the gap is not the service's."),
    ))
}

fn busy(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let used = "sum(rate(load_cpu_time_seconds_total[RANGE]))";
    let all = "count(node_cpu_seconds_total{mode=\"idle\"})";
    let (Some(cpus), Some(all)) = (seen.number(used)?, seen.number(all)?) else { return Ok(None) };
    if cpus < BUSY_SHARE * all {
        return Ok(None);
    }
    let title = format!(
        "The generator uses {} of the host's {} processors itself",
        units::digits(cpus),
        units::digits(all)
    );
    Ok(Some(
        seen.finding(BUSY, "", title)
            .severity(seen.severity(&[Topic::Time, Topic::Throughput, Topic::Resources]))
            .shows(
                "processors that the generator keeps busy, against half of the host's",
                seen.over_window(used),
                Some(BUSY_SHARE * all),
                cpus,
                "",
            )
            .against("A generator on another host than the one whose processors are counted.")
            .act("Give the generator a host of its own, or drive less from it."),
    ))
}

/// Iterations that never began: for want of users, which is the plan's fault if the service is quick, and its own if not.
pub(super) fn find_users(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let number = |expression: &str| seen.number(&expression.replace("PHASE", ""));
    let Some(Dropped { count, done, users, in_flight, is_idle }) = Dropped::of(number)? else {
        return Ok(Vec::new());
    };
    let share = units::quantity(count / (count + done), "ratio");
    let title = format!("{share} of the iterations were never started, because no user was free");
    let finding = seen
        .finding(USERS, "", title)
        .severity(if is_idle { Severity::Warning } else { Severity::Info })
        .confidence(super::Confidence::High)
        .shows(
            "dropped iterations, against one in a hundred",
            seen.over_window(&Dropped::COUNT.replace("PHASE", "")),
            Some(DROPPED * (count + done)),
            count,
            "",
        )
        .shows(
            "requests in flight, on average, against the users",
            String::new(),
            Some(users),
            in_flight,
            "",
        );
    let finding = if is_idle {
        finding
            .against("Users that wait for answers all the time.")
            .act("Raise max_vus: users are short while the service has time.")
    } else {
        finding
            .against("Users that are idle while iterations are dropped.")
            .act("The service is too slow for this rate with these users: see what makes it slow first.")
    };
    Ok(vec![finding])
}
