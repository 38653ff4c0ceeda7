//! Requests that failed: how, where, and whether all at once. Invariant: a few failures prove no rate.

use super::{
    Confidence, Finding, Kind, Severity, Topic,
    seen::{Histogram, REQUESTS, Seen, Span, only, stretches},
};
use crate::{histogram::FAILURES, source::SourceError, units};

pub(super) const FAILED: Kind = Kind { id: "E001", name: "errors" };
pub(super) const STREAMS: Kind = Kind { id: "E002", name: "broken-streams" };

/// The share of requests that may fail.
const ALLOWED: f64 = 0.01;
/// A burst has this part of the errors in at most that part of the time.
const BURST: (f64, f64) = (0.9, 0.5);

pub(super) fn find(seen: &Seen<'_>) -> Result<Vec<Finding>, SourceError> {
    let Some(all) = seen.number(&REQUESTS.count())?.filter(|n| *n >= 1.0) else { return Ok(Vec::new()) };
    let classes: Vec<_> = seen
        .ranked(&Histogram { by: "error_type", ..FAILURES }.count(), "error_type")?
        .into_iter()
        .filter(|c| c.1 >= 0.5)
        .collect();
    let total: f64 = classes.iter().map(|(_, n)| n).sum();
    let Some((class, count)) = classes.first() else { return Ok(Vec::new()) };
    let is_missed = seen.misses(&[Topic::Errors]);
    if least_share(total, all) < ALLOWED && !is_missed {
        return Ok(Vec::new());
    }
    let steps = seen.ranked(&Histogram { by: "load_step", ..FAILURES }.count(), "load_step")?;
    let step = steps.first().map(|(step, _)| step.as_str()).unwrap_or_default();
    let burst = burst(seen)?;
    let when = burst.map_or_else(String::new, |(from, to)| {
        format!(", nearly all between {} and {}", units::clock(from), units::clock(to))
    });
    let share = units::quantity(total / all, "ratio");
    let rest = if classes.len() > 1 && *count < 0.9 * total { ", mostly" } else { "" };
    let title = format!("{share} of the requests fail{rest} {}{}{when}", in_words(class), place(step));
    let is_stream = ["cut_stream", "reported_error"].contains(&class.as_str());
    let is_away = ["refused", "reset", "connect", "unfinished", "timeout"].contains(&class.as_str());
    let kind = if is_stream { STREAMS } else { FAILED };
    let mut finding = seen
        .finding(kind, "", title)
        .severity(if is_missed { Severity::Critical } else { Severity::Warning })
        // What cannot be reached fails too: then the outage is the finding.
        .confidence(if is_away { Confidence::Low } else { Confidence::High })
        .shows(
            "share of requests that failed, against one in a hundred",
            String::new(),
            Some(ALLOWED),
            total / all,
            "ratio",
        );
    for (class, n) in classes.iter().take(3) {
        finding = finding.shows(
            format!("requests that failed {}", in_words(class)),
            seen.over_window(&Histogram { matchers: &only("error_type", class), ..FAILURES }.count()),
            None,
            *n,
            "",
        );
    }
    if let Some(check) = seen
        .ranked("sum by (check) (increase(load_checks_total{result=\"fail\"}[RANGE])) > 0", "check")?
        .first()
    {
        finding = finding.shows(
            format!("answers that failed the check {:?}", check.0),
            String::new(),
            Some(0.0),
            check.1,
            "",
        );
    }
    if let Some(span) = burst {
        finding = finding.span(span);
    }
    Ok(vec![
        finding
            .against(
                "Failures of the same requests when they are sent one at a time: then it is not the load.",
            )
            .act(remedy(class)),
    ])
}

/// The lower end of a share's interval (Wilson, three standard deviations).
fn least_share(bad: f64, all: f64) -> f64 {
    if bad < 4.5 {
        return 0.0;
    }
    (bad + 4.5 - 3.0 * (bad * (1.0 - bad / all).max(0.0) + 2.25).sqrt()) / (all + 9.0)
}

/// The stretch that has nearly all failures, if it is short.
fn burst(seen: &Seen<'_>) -> Result<Option<Span>, SourceError> {
    let points = seen.line(&FAILURES.count())?;
    let total: f64 = points.iter().map(|p| p.1).sum();
    let spared = (1.0 - BURST.0) / 2.0 * total;
    let (first, last) = (reached(points.iter(), spared), reached(points.iter().rev(), spared));
    let Some(span) = first.zip(last) else { return Ok(None) };
    let is_short = (span.1 - span.0) as f64 <= BURST.1 * seen.window.len_ms() as f64;
    let quiet = stretches(&points, |v| v == 0.0).iter().map(|(from, to)| to - from).sum::<i64>();
    Ok((total > 0.0 && is_short && quiet > 0).then_some(span))
}

/// When the sum of points first exceeds a limit.
fn reached<'p>(mut points: impl Iterator<Item = &'p (i64, f64)>, limit: f64) -> Option<i64> {
    let mut sum = 0.0;
    let point = points.find(|p| {
        sum += p.1;
        sum > limit
    });
    point.map(|p| p.0)
}

fn place(step: &str) -> String {
    if step.is_empty() { String::new() } else { format!(" in the step {step}") }
}

fn in_words(class: &str) -> String {
    match class {
        "timeout" => "by running into their timeout".to_owned(),
        "refused" => "because the connection is refused".to_owned(),
        "reset" => "because the connection is reset".to_owned(),
        "connect" => "because no connection comes about".to_owned(),
        "cut_stream" => "because the stream is cut".to_owned(),
        "reported_error" => "with an error inside of the answer".to_owned(),
        "unfinished" => "by not ending within the phase".to_owned(),
        "check" => "a check of the answer".to_owned(),
        status if status.parse::<u16>().is_ok() => format!("with status {status}"),
        other => format!("with {other}"),
    }
}

fn remedy(class: &str) -> &'static str {
    match class {
        "429" | "503" => "The service turns requests away: raise its limits if it has room, or send less.",
        "timeout" | "unfinished" => {
            "Find what such requests wait for; a timeout shows where the service has no limit of its own."
        }
        "refused" | "reset" | "connect" => {
            "See whether the service was there, and whether its accept queue or number of connections is limited."
        }
        "cut_stream" | "reported_error" => {
            "Read the model server's log at the time of the first one: the answer had begun."
        }
        "check" => "Compare one answer with what the check asks for.",
        _ => "Read the service's log at the time of the first one.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lower ends of `scipy.stats.binomtest(bad, all).proportion_ci(2 * norm.cdf(3) - 1, "wilson")` of scipy 1.17.1.
    #[test]
    fn the_least_share_agrees_with_scipy() {
        for (bad, all, want) in SCIPY {
            assert!(
                (least_share(bad, all) - want).abs() < 1e-12,
                "{bad} of {all}: {}",
                least_share(bad, all)
            );
        }
        // Too few to say anything.
        assert_eq!(least_share(4.0, 10.0), 0.0);
    }

    const SCIPY: [(f64, f64, f64); 3] = [
        (5.0, 100.0, 0.014_337_119_878_956_223),
        (30.0, 1000.0, 0.017_544_775_802_771_66),
        (900.0, 1000.0, 0.867_875_065_343_461),
    ];
}
