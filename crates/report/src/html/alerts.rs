//! When alerts were pending and firing. Invariant: what failed the run comes first, and what is not listed is counted.

use std::collections::{HashMap, HashSet};

use assay_verdict::verdict::{AlertInstance, AlertRow, Status, Verdict};
use minijinja::{Value, context};
use serde::Serialize;

use super::{plot::Frame, strip};

/// How many stretches are listed.
const MOST: usize = 60;

#[derive(Serialize)]
pub(super) struct TimelineRow {
    name: String,
    severity: String,
    status: &'static str,
    when: String,
    worst: Option<String>,
    summary: String,
    description: String,
    labels: String,
    bar: Value,
}

/// Each alert with its labels, and when it was pending or firing: what failed the run first, then by severity, then
/// what fired before what was only pending, then by time; and a sentence on those that are not listed.
pub(super) fn timeline(verdict: &Verdict, frame: &Frame<'_>) -> (Vec<TimelineRow>, Option<String>) {
    let mut all: Vec<(&AlertRow, &AlertInstance)> =
        verdict.alerts.iter().flat_map(|a| a.instances.iter().map(move |i| (a, i))).collect();
    // An alert that each judged phase had is one row.
    let mut stretches: HashMap<Key<'_>, Vec<&AlertInstance>> = HashMap::new();
    for (alert, instance) in &all {
        stretches.entry(key(alert, instance)).or_default().push(instance);
    }
    let rank = |severity: &str| ["critical", "warning"].iter().position(|s| *s == severity).unwrap_or(2);
    all.sort_by_key(|(a, i)| {
        let harmless = a.status != Status::Fail || i.phases.is_empty();
        (harmless, rank(&a.severity), i.fired_at_ms.is_none(), i.active_at_ms)
    });
    let mut seen = HashSet::new();
    all.retain(|(alert, instance)| seen.insert(key(alert, instance)));
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let rows = all.into_iter().map(|(alert, instance)| {
        let same = stretches.get(&key(alert, instance)).map(Vec::as_slice).unwrap_or_default();
        timeline_row(alert, instance, same, frame)
    });
    let rows = rows.collect();
    (
        rows,
        (more > 0)
            .then(|| format!("{more} more times an alert was pending or firing; the JSON has them all.")),
    )
}

/// What makes two stretches those of one alert: its place in the files, and the labels.
type Key<'a> = (&'a str, &'a str, &'a [(String, String)]);

fn key<'a>(alert: &'a AlertRow, instance: &'a AlertInstance) -> Key<'a> {
    (&alert.defined_at, &alert.name, &instance.labels)
}

/// A row of the stretch that matters most, with all of them in its bar.
fn timeline_row(
    alert: &AlertRow,
    instance: &AlertInstance,
    same: &[&AlertInstance],
    frame: &Frame<'_>,
) -> TimelineRow {
    let labels: Vec<_> = instance
        .labels
        .iter()
        .filter(|(n, _)| n != "alertname" && n != "severity")
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    let end = instance.ended_at_ms.map_or_else(|| "the end".to_owned(), |t| frame.clock(t));
    let times = match same.len() {
        0 | 1 => String::new(),
        n => format!("{n} times; "),
    };
    let when = match instance.fired_at_ms {
        Some(t) => format!("fired {} to {end}", frame.clock(t)),
        None => format!("pending {} to {end}", frame.clock(instance.active_at_ms)),
    };
    let failed = alert.status == Status::Fail && !instance.phases.is_empty();
    TimelineRow {
        name: alert.name.clone(),
        severity: alert.severity.clone(),
        status: if failed { "fail" } else { "skipped" },
        when: times + &when,
        worst: instance.worst_at_ms.filter(|t| *t != instance.active_at_ms).map(|t| frame.clock(t)),
        summary: instance.annotation("summary").to_owned(),
        description: instance.annotation("description").to_owned(),
        labels: labels.join(" "),
        bar: Value::from_safe_string(strip::alert(&same[..same.len().min(MOST)], &alert.severity, frame)),
    }
}

/// Rules that stayed silent: how many were calm, and the names of those without data.
pub(super) fn quiet(verdict: &Verdict) -> Value {
    let is_blind = |a: &&AlertRow| matches!(a.status, Status::Inconclusive | Status::Skipped);
    let calm = verdict.alerts.iter().filter(|a| a.instances.is_empty() && !is_blind(a));
    let blind = verdict.alerts.iter().filter(is_blind);
    let name = |a: &AlertRow| context! { name => &*a.name, severity => &*a.severity, reason => &*a.reason };
    context! {
        total => verdict.alerts.len(),
        calm => calm.map(name).collect::<Vec<_>>(),
        blind => blind.map(name).collect::<Vec<_>>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_verdict::testing;

    #[test]
    fn a_flood_of_alerts_is_counted() {
        let mut verdict = testing::verdict(Status::Fail);
        let one = verdict.alerts[0].instances[0].clone();
        let numbered =
            |i: usize| AlertInstance { labels: vec![("queue".to_owned(), i.to_string())], ..one.clone() };
        verdict.alerts[0].instances = (0..5_000).map(numbered).collect();
        // The same again is not another row.
        verdict.alerts[0].instances.push(numbered(17));
        let frame = Frame { start_ms: verdict.run.start_ms, end_ms: verdict.run.end_ms, phases: &[] };
        let (rows, more) = timeline(&verdict, &frame);
        assert_eq!((rows.len(), more.is_some_and(|m| m.starts_with("4940 more"))), (MOST, true));
        assert_eq!(rows[0].worst.as_deref(), Some("22:14:00"));
        assert_eq!(rows.iter().filter(|r| r.when.starts_with("2 times; ")).count(), 1);
    }
}
