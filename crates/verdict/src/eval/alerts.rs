//! Alerting rules in the verdict. Invariant: a rule fails a run where an alert of a severity that counts was
//! firing within a judged window, and a rule whose series are all missing is never told as calm.

use std::collections::HashSet;

use assay_model::Labels;
use assay_rules::{
    file::{Rule, RuleFiles, RuleId},
    replay::{AlertInstance as Replayed, ReplayResult, RuleError},
};

use crate::{
    sla::Judge,
    source::{Source, SourceError},
    units,
    verdict::{AlertInstance, AlertRow, RunInfo, Status, Window},
};

/// What decides whether an alert fails the run.
pub(super) struct Terms<'a> {
    windows: &'a [Window],
    judges: &'a [Judge],
    end_ms: i64,
    /// The names of the series that rules wrote.
    recorded: HashSet<&'a str>,
}

impl<'a> Terms<'a> {
    pub(super) fn new(
        windows: &'a [Window],
        judges: &'a [Judge],
        info: &RunInfo,
        replayed: &'a ReplayResult,
    ) -> Self {
        let recorded = replayed.series.series().iter().map(|(labels, _)| labels.metric_name()).collect();
        Self { windows, judges, end_ms: info.end_ms, recorded }
    }

    /// Terms for alerts that a server recorded.
    pub(super) fn of_server(windows: &'a [Window], judges: &'a [Judge], info: &RunInfo) -> Self {
        Self { windows, judges, end_ms: info.end_ms, recorded: HashSet::new() }
    }

    /// The windows in which an alert was firing.
    pub(super) fn phases(&self, fired_at_ms: Option<i64>, ended_at_ms: Option<i64>) -> Vec<String> {
        let end_ms = ended_at_ms.unwrap_or(self.end_ms + 1);
        let Some(fired_ms) = fired_at_ms else { return Vec::new() };
        let within = |w: &&Window| fired_ms <= w.end_ms && end_ms > w.start_ms;
        self.windows.iter().filter(within).map(|w| w.title().to_owned()).collect()
    }

    /// The windows that a rule fails.
    pub(super) fn failing_windows<'w>(&'w self, row: &AlertRow) -> Vec<&'w str> {
        let mut failed: Vec<&str> = Vec::new();
        for i in &row.instances {
            for window in self.windows.iter().filter(|w| i.phases.iter().any(|p| p == w.title())) {
                if self.counts_in(severity_of(i), window) && !failed.contains(&window.title()) {
                    failed.push(window.title());
                }
            }
        }
        failed
    }

    /// Whether alerts of a severity fail the run in any of the judged windows.
    pub(super) fn counts(&self, severity: &str) -> bool {
        self.judges.iter().any(|j| j.fail_on_alerts.iter().any(|s| s == severity))
    }

    /// Whether they do in this one.
    fn counts_in(&self, severity: &str, window: &Window) -> bool {
        self.judges.iter().any(|j| {
            let judged = match &window.phase {
                Some(phase) => j.phases.contains(phase),
                None => true,
            };
            judged && j.fail_on_alerts.iter().any(|s| s == severity)
        })
    }
}

/// One row for each alerting rule.
pub(super) fn rows(
    files: &RuleFiles,
    replayed: &ReplayResult,
    source: &dyn Source,
    terms: &Terms<'_>,
) -> Result<Vec<AlertRow>, SourceError> {
    let mut rows = Vec::new();
    for (g, group) in files.groups.iter().enumerate() {
        for (r, rule) in group.rules.iter().enumerate() {
            let id = RuleId { group: g, rule: r };
            let Some(alerting) = rule.alerting() else { continue };
            let own = |i: &&Replayed| i.id == id;
            let instances: Vec<_> = replayed.alerts.iter().filter(own).map(|i| instance(i, terms)).collect();
            let severity = rule.labels.iter().find(|(n, _)| n == "severity").map_or("", |(_, v)| v);
            let mut row = AlertRow {
                name: rule.name.clone(),
                group: group.name.clone(),
                defined_at: format!("{}:{}", rule.file(), rule.position.line),
                severity: severity.to_owned(),
                counts: terms.counts(severity) || instances.iter().any(|i| terms.counts(severity_of(i))),
                status: Status::Pass,
                reason: String::new(),
                expression: rule.expr_text().trim().to_owned(),
                for_ms: alerting.for_ms,
                instances,
            };
            settle(&mut row, rule, id, replayed, source, terms)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// What keeps the verdict from being sure: failed evaluations of alerts that count, and of recording rules, whose
/// series may be missing from one that does.
pub(super) fn problems(rows: &[AlertRow], files: &RuleFiles, replayed: &ReplayResult) -> Vec<String> {
    let counts = |rule: &Rule| {
        let at = format!("{}:{}", rule.file(), rule.position.line);
        rule.alerting().is_none() || rows.iter().any(|r| r.counts && r.defined_at == at)
    };
    failures(files, replayed, &counts)
}

/// Every rule whose evaluation failed, one line each.
pub(super) fn failed_evaluations(files: &RuleFiles, replayed: &ReplayResult) -> Vec<String> {
    failures(files, replayed, &|_| true)
}

fn failures(files: &RuleFiles, replayed: &ReplayResult, wanted: &dyn Fn(&Rule) -> bool) -> Vec<String> {
    let rule_of = |e: &RuleError| files.rule(e.id);
    let found = replayed.errors.iter().filter_map(|e| Some((rule_of(e)?, e)));
    found
        .filter(|(rule, _)| wanted(rule))
        .map(|(rule, e)| {
            format!(
                "{}:{}: {}: {} of its evaluations failed from {}: {}",
                rule.file(),
                rule.position.line,
                rule.title(),
                e.count,
                units::clock(e.first_ms),
                e.message
            )
        })
        .collect()
}

fn settle(
    row: &mut AlertRow,
    rule: &Rule,
    id: RuleId,
    replayed: &ReplayResult,
    source: &dyn Source,
    terms: &Terms<'_>,
) -> Result<(), SourceError> {
    let failed = terms.failing_windows(row);
    if !failed.is_empty() {
        row.status = Status::Fail;
        row.reason = format!("fired in {}", failed.join(", "));
        return Ok(());
    }
    if let Some(error) = replayed.errors.iter().find(|e| e.id == id) {
        row.status = Status::Inconclusive;
        row.reason = format!("{} evaluations failed: {}", error.count, error.message);
        return Ok(());
    }
    let seen = replayed.rules.iter().any(|s| s.id == id && s.with_result > 0);
    if !seen && let Some(absent) = missing(rule, source, terms)? {
        row.status = Status::Inconclusive;
        row.reason = format!("the run has no series of {}", absent.join(", "));
    }
    Ok(())
}

/// The metrics of a rule, where the run has none of them.
fn missing(rule: &Rule, source: &dyn Source, terms: &Terms<'_>) -> Result<Option<Vec<String>>, SourceError> {
    let mut absent: Vec<String> = Vec::new();
    for selector in rule.expr.selectors() {
        let name = &selector.name;
        if name.is_empty() || terms.recorded.contains(name.as_str()) || source.has_metric(name)? {
            return Ok(None);
        }
        if !absent.contains(name) {
            absent.push(name.clone());
        }
    }
    Ok((!absent.is_empty()).then_some(absent))
}

fn instance(found: &Replayed, terms: &Terms<'_>) -> AlertInstance {
    AlertInstance {
        labels: pairs(&found.labels),
        annotations: found.annotations.clone(),
        active_at_ms: found.active_at_ms,
        fired_at_ms: found.fired_at_ms,
        ended_at_ms: found.ended_at_ms,
        value: found.last_value,
        phases: terms.phases(found.fired_at_ms, found.ended_at_ms),
    }
}

fn severity_of(instance: &AlertInstance) -> &str {
    instance.labels.iter().find(|(n, _)| n == "severity").map_or("", |(_, v)| v)
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}
