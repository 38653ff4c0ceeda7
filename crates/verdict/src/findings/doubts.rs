//! Figures that are to be read with care: percentiles of few samples, and counts that cannot all be true. Invariant: it changes no
//! outcome; a figure that is in doubt is named with the one that it does not fit.

use super::{
    Confidence, Finding, Kind, Severity,
    seen::{Histogram, REQUESTS, SERVED, Seen, mean},
};
use crate::{judge::percentile, source::SourceError, units, verdict::ObjectiveRow};

pub(super) const FEW: Kind = Kind { id: "D002", name: "few-samples" };
pub(super) const LITTLE: Kind = Kind { id: "D003", name: "figures-disagree" };

/// How much more there may be in flight than requests account for, as a part and in requests.
const MORE: f64 = 1.25;
const LEAST: f64 = 1.0;
/// How many times as long as a request the window must be: requests that cross its edges count on one side.
const LONG: f64 = 20.0;

/// Where the service counts how many requests there are, as OpenTelemetry's conventions name it.
const ACTIVE: &str = "http_server_active_requests";

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let mut found = Vec::new();
    found.extend(few(seen)?);
    found.extend(too_few_users(seen)?);
    found.extend(never_ended(seen)?);
    Ok(found)
}

/// The percentile that has the fewest samples for what it takes.
fn few(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let mut worst: Option<(&str, percentile::Few)> = None;
    let mut count = 0;
    let is_own = |r: &&ObjectiveRow| r.phase == seen.window.phase && r.value.is_some() && !r.is_relative();
    for row in seen.verdict.objectives.iter().filter(is_own) {
        let Some(few) = seen.few(row)? else { continue };
        count += 1;
        if worst.as_ref().is_none_or(|(_, w)| few.samples / few.needed < w.samples / w.needed) {
            worst = Some((&row.name, few));
        }
    }
    let Some((name, few)) = worst else { return Ok(None) };
    let more = if count > 1 { format!(", and {} more like it", count - 1) } else { String::new() };
    let title = format!(
        "{name} rests on {} samples, and takes {}{more}",
        units::digits(few.samples),
        units::digits(few.needed)
    );
    let length = few.needed / few.samples * seen.seconds();
    Ok(Some(
        seen.finding(FEW, "", title)
            .severity(Severity::Info)
            .confidence(Confidence::High)
            .shows(
                "samples, against what the percentile takes",
                String::new(),
                Some(few.needed),
                few.samples,
                "",
            )
            .shows(
                "the upper end of the percentile's interval of 95 %, against the lower",
                String::new(),
                Some(few.low),
                few.high,
                &few.unit,
            )
            .against("The same value in a phase that is long enough.")
            .act(format!(
                "Let the phase run for about {}, or ask for a lower percentile.",
                units::length((length * 1e3).ceil() as i64)
            )),
    ))
}

/// How many requests are under way at a time by Little's law, their rate times their mean time; `None` in a window that is too
/// short.
fn under_way(seen: &Seen<'_>, of: &Histogram<'_>) -> Result<Option<f64>, SourceError> {
    let (Some(time), Some(count)) = (seen.number(&of.sum())?, seen.number(&of.count())?) else {
        return Ok(None);
    };
    let is_long = count > 0.0 && seen.seconds() > LONG * time / count;
    Ok(is_long.then(|| time / seen.seconds()))
}

/// Whether there are more than requests account for.
fn is_more(there: f64, accounted: f64) -> bool {
    there >= MORE * accounted && there - accounted >= LEAST
}

/// Little's law: requests that take more users than there are were counted twice, or by somebody else.
fn too_few_users(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let users = mean(&seen.line("sum(load_users)")?);
    let in_flight = under_way(seen, &REQUESTS)?.filter(|n| users > 0.0 && is_more(*n, users));
    let Some(in_flight) = in_flight else { return Ok(None) };
    let title = format!(
        "The requests take {} users at a time, and there are {}: some are counted twice, or belong to another load",
        units::digits(in_flight),
        units::digits(users)
    );
    let expression = format!("{} / {}", seen.over_window(&REQUESTS.sum()), seen.seconds());
    Ok(Some(
        seen.finding(LITTLE, "", title)
            .severity(Severity::Warning)
            .confidence(Confidence::Medium)
            .shows(
                "requests in flight by Little's law (rate times mean time), against the users",
                expression,
                Some(users),
                in_flight,
                "",
            )
            .against("Users that send several requests at once.")
            .act("See whether two loads are in one record, or a shard's users are missing from it."),
    ))
}

/// Little's law on the service's side: what is in it and never comes out.
fn never_ended(seen: &Seen<'_>) -> Result<Option<Finding>, SourceError> {
    let active = format!("sum(avg_over_time({ACTIVE}[RANGE]))");
    let (Some(within), Some(ended)) = (seen.number(&active)?, under_way(seen, &SERVED)?) else {
        return Ok(None);
    };
    if !is_more(within, ended) {
        return Ok(None);
    }
    let title = format!(
        "The service has {} requests at a time, and those that end account for {}: the others never end",
        units::digits(within),
        units::digits(ended)
    );
    Ok(Some(
        seen.finding(LITTLE, "service", title)
            .severity(Severity::Warning)
            .confidence(Confidence::Medium)
            .shows("requests in the service on average, against rate times mean time of those that ended (Little's law)", seen.over_window(&active), Some(ended), within, "")
            .against("Requests that are as long as the phase, such as open streams.")
            .act("Look for handlers that wait without a timeout, and for clients that leave and are still served."),
    ))
}
