//! A service that restarts, is away, or stands still. Invariant: a gap in what is measured counts only if it is longer than
//! chance makes it at the rate before.

use super::{
    Confidence, Finding, Kind, OBSERVERS, Severity, Topic,
    seen::{Histogram, REQUESTS, Seen, Span, longest, only},
};
use crate::{source::SourceError, units};

pub(super) const RESTART: Kind = Kind { id: "F001", name: "restart" };
pub(super) const OUTAGE: Kind = Kind { id: "F002", name: "outage" };
pub(super) const FREEZE: Kind = Kind { id: "F003", name: "freeze" };
pub(super) const PART: Kind = Kind { id: "F004", name: "part-away" };

/// How many answers must be missing in a gap: chance leaves one of this length with e^-12.
const MISSING: f64 = 12.0;
/// The shortest gap that is one.
const SHORTEST_MS: i64 = 2_000;
/// How long users have been there before a gap at least.
const SETTLING_MS: i64 = 5_000;
/// How far before and after a gap the rate of answers is taken.
const AROUND_MS: i64 = 15_000;

const REFUSED: Histogram<'static> = Histogram { matchers: "error_type=~\"refused|connect\"", ..REQUESTS };

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let away = away(seen)?;
    let mut found = restarts(seen, &away)?;
    let outages = outages(seen, &away, &found)?;
    found.extend(outages);
    if found.is_empty() {
        found.extend(freeze(seen)?);
    }
    found.extend(parts(seen)?);
    Ok(found)
}

/// A part that the service needs and says is not there.
fn parts(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    for (stage, points) in seen.lines("min by (stage) (rag_part_ready)", "stage")? {
        let away = longest(&points, |ready| ready < 0.5);
        let Some((from, to)) = away.filter(|(from, to)| to - from >= SHORTEST_MS) else { continue };
        let length_ms = to + seen.step_ms() - from;
        let title = format!(
            "What the stage {stage} needs was not there for {}, from {} on",
            units::length(length_ms),
            units::clock(from)
        );
        found.push(
            seen.finding(PART, &stage, title)
                .severity(Severity::Critical)
                .confidence(Confidence::High)
                .span((from, to))
                .shows("seconds in which the service says that it is not ready", format!("min(rag_part_ready{{{}}})", only("stage", &stage)), Some(0.0), length_ms as f64 / 1e3, "s")
                .against("Requests through this stage that succeed in the same time.")
                .act("See whether that part is up and can be reached from the service, with the address and key it is given."),
        );
    }
    Ok(found)
}

/// When a job's target did not answer scrapes.
fn away(seen: &Seen<'_>) -> Result<Vec<(String, Span)>, SourceError> {
    let mut found = Vec::new();
    for (job, points) in seen.lines("min by (job, instance) (up)", "job")? {
        found.extend(longest(&points, |up| up < 0.5).map(|span| (job, span)));
    }
    Ok(found)
}

fn restarts(seen: &Seen<'_>, away: &[(String, Span)]) -> Result<Vec<Finding>, SourceError> {
    let starts = "max by (job, instance) (process_start_time_seconds)";
    let mut found = Vec::new();
    for (job, points) in seen.lines(starts, "job")? {
        let changes: Vec<_> =
            points.windows(2).filter(|pair| pair[1].1 - pair[0].1 > 0.5).map(|pair| pair[1].1).collect();
        let Some(at_s) = changes.first() else { continue };
        let at_ms = (at_s * 1e3) as i64;
        let gone = away.iter().find(|(j, _)| *j == job).map(|(_, span)| *span);
        let length = gone.map_or_else(String::new, |(from, to)| {
            format!(", after {} away", units::length(to + seen.step_ms() - from))
        });
        let more =
            if changes.len() > 1 { format!("; {} restarts in all", changes.len()) } else { String::new() };
        let title = format!("{job} started again at {}{length}{more}", units::clock(at_ms));
        found.push(
            seen.finding(RESTART, &job, title)
                .severity(Severity::Critical)
                .confidence(Confidence::High)
                .span(gone.unwrap_or((at_ms, at_ms)))
                .shows("starts of the process within the window", seen.over_window(&format!("sum(changes(process_start_time_seconds{{{}}}[RANGE]))", only("job", &job))), Some(0.0), changes.len() as f64, "")
                .against("A rollout that replaces it on purpose.")
                .act("Read its log up to that instant: a crash, a kill for want of memory, or someone's restart."),
        );
    }
    Ok(found)
}

fn outages(
    seen: &Seen<'_>,
    away: &[(String, Span)],
    restarts: &[Finding],
) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    let refused = seen.number(&REFUSED.count())?.unwrap_or(0.0);
    for &(ref job, (from, to)) in away {
        let is_restart = restarts.iter().any(|f| f.subject == *job);
        let length_ms = to + seen.step_ms() - from;
        // One scrape that fails is noise.
        if is_restart || length_ms < SHORTEST_MS.max(2 * seen.step_ms()) {
            continue;
        }
        let is_observer = OBSERVERS.contains(&job.as_str());
        let comes_back = to + seen.step_ms() < seen.window.end_ms;
        // A process that is not there refuses connections; one that stands still lets them wait.
        let stood_still = refused < 1.0 && !is_observer;
        let (kind, title) = if stood_still {
            (
                FREEZE,
                format!("{job} stood still for {} from {} on", units::length(length_ms), units::clock(from)),
            )
        } else {
            let end =
                if comes_back { format!("until {}", units::clock(to)) } else { "to the end".to_owned() };
            (OUTAGE, format!("{job} could not be reached from {} {end}", units::clock(from)))
        };
        found.push(
            seen.finding(kind, job, title)
                .severity(if is_observer { Severity::Info } else { Severity::Critical })
                .confidence(Confidence::High)
                .span((from, to))
                .shows("seconds in which it did not answer a scrape", format!("min(up{{{}}})", only("job", job)), Some(0.0), length_ms as f64 / 1e3, "s")
                .against("A network between it and what scrapes it that was away, while requests were answered.")
                .act("Read its log around that instant, and look for stops of its process (a debugger, a full disk, a collection of garbage)."),
        );
    }
    Ok(found)
}

/// No answer at all, on no connection, while users wait.
fn freeze(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let ended = "sum(histogram_count(http_client_request_duration_seconds)) or sum(http_client_request_duration_seconds_count)";
    let Some(total) = seen.number(&REQUESTS.count())?.filter(|n| *n >= MISSING) else { return Ok(None) };
    let mut rate = total / seen.seconds();
    let points = seen.line(ended)?;
    let Some((from, to)) = longest_gap(&points) else { return Ok(None) };
    let users = seen.line("sum(load_users)")?;
    let in_span = |from, to| users.iter().filter(move |p| p.0 > from && p.0 <= to).map(|p| p.1);
    let waits = in_span(from, to).all(|n| n > 0.0);
    if to - from < SHORTEST_MS || !waits {
        return Ok(None);
    }
    // Answers that come slowly before the gap or after it, as without a cache, are no standstill: the lowest rate counts.
    let (first, last) = (seen.window.start_ms, seen.window.end_ms);
    for (begin, end) in [((from - AROUND_MS).max(first), from), (to, (to + AROUND_MS).min(last))] {
        let length_s = (end - begin) as f64 / 1e3;
        if length_s >= 5.0
            && let Some(count) = seen.number_in(&REQUESTS.count(), (begin, end))?
        {
            rate = rate.min(count / length_s);
        }
    }
    let missing = rate * (to - from) as f64 / 1e3;
    // Users that all wait for long answers leave such gaps by themselves.
    let usual_s = seen.number(&REQUESTS.quantile(0.5))?.unwrap_or(0.0);
    // So do users that have just come, and streams that go on.
    let before = in_span(from - SETTLING_MS.max((2e3 * usual_s) as i64), from).fold(f64::INFINITY, f64::min);
    let have_come = in_span(from, to).any(|n| n > 1.2 * before);
    // The gap's last sample has the answer that ended it.
    let within = (from, (to - seen.step_ms()).max(from + 1));
    let bytes = seen.number_in("sum(increase(load_received_bytes_total[RANGE]))", within)?;
    let flows = bytes.is_some_and(|n| n > 0.0);
    if to - from < SHORTEST_MS.max((2e3 * usual_s) as i64) || missing < MISSING || have_come || flows {
        return Ok(None);
    }
    let title = format!(
        "Nothing was answered for {} from {} on, on any connection",
        units::length(to - from),
        units::clock(from)
    );
    Ok(Some(
        seen.finding(FREEZE, "", title)
            .severity(seen.severity(&[Topic::Time, Topic::Errors, Topic::Throughput]))
            .confidence(Confidence::High)
            .span((from, to))
            .shows(
                "seconds without an answer, against the time of one at the usual rate",
                String::new(),
                Some(1.0 / rate),
                (to - from) as f64 / 1e3,
                "s",
            )
            .against("A generator that stood still: its own samples would be missing too.")
            .act(
                "Look at what stops a whole process: collection of garbage, a lock, a full disk, a debugger.",
            ),
    ))
}

/// The longest time in which a counter stood, once it had begun to go up: before the first answer there is none.
fn longest_gap(points: &[(i64, f64)]) -> Option<Span> {
    let begin = points.windows(2).position(|pair| pair[1].1 > pair[0].1)? + 1;
    let runs = points[begin..].chunk_by(|a, b| a.1 == b.1);
    let mut gaps = Vec::new();
    let mut at = begin;
    for run in runs {
        // A run ends where the counter goes up: that point ends the gap.
        let end = points.get(at + run.len()).unwrap_or(&run[run.len() - 1]);
        gaps.push((run[0].0, end.0));
        at += run.len();
    }
    gaps.into_iter().max_by_key(|(from, to)| to - from)
}
