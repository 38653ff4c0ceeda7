//! Alerting rules in the verdict. Each judged window is replayed on its own: what lies before it is not seen by ranges
//! and recorded series, and the first evaluation is one scrape interval in.
//!
//! Invariant: a rule fails a run if an alert of it that counts fired within a judged window; a rule that could not be
//! looked at, or had no time to fire, is never reported as calm.

use std::collections::BTreeSet;

use assay_model::Matcher;
use assay_promql::Severity;
use assay_rules::{
    file::{Rule, RuleFiles, RuleId},
    replay::{AlertInstance as Replayed, ReplayOptions, ReplayResult, RuleError, SlotMode, replay},
};

use crate::{
    data::RunData,
    parallel,
    sla::Judge,
    source::SourceError,
    units,
    verdict::{AlertInstance, AlertRow, AlertWindow, RunInfo, Status, Window},
};

mod metrics;

use metrics::Metrics;

/// How rules are replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaying {
    /// How often groups without an interval of their own are evaluated.
    pub(crate) interval_ms: i64,
    /// Where the slots of rule groups are.
    pub(crate) slots: SlotMode,
}

impl Replaying {
    /// The options of a replay over a stretch of time.
    pub(crate) fn options(self, start_ms: i64, end_ms: i64) -> ReplayOptions {
        let mut options = ReplayOptions::new(start_ms, end_ms);
        options.interval_ms = self.interval_ms;
        options.slots = self.slots;
        options
    }
}

/// Whose alerts fail a run, and where.
pub(crate) struct Counting<'a> {
    pub(crate) windows: &'a [Window],
    pub(crate) judges: &'a [Judge],
}

impl Counting<'_> {
    /// Whether alerts of a name and severity fail the run in any judged window.
    pub(crate) fn counts(&self, name: &str, severity: &str) -> bool {
        self.judges.iter().any(|j| j.fail_on_alerts.fails_anywhere(name, severity))
    }

    /// Whether they do in this one.
    pub(crate) fn counts_in(&self, window: &Window, name: &str, severity: &str) -> bool {
        self.judges.iter().any(|j| match &window.phase {
            Some(phase) => {
                (j.phases.is_empty() || j.phases.contains(phase))
                    && j.fail_on_alerts.fails(phase, name, severity)
            }
            None => j.fail_on_alerts.fails_anywhere(name, severity),
        })
    }
}

/// What the alerting rules came to.
#[derive(Debug, Default)]
pub(crate) struct JudgedAlerts {
    /// One row for each alerting rule.
    pub(crate) rows: Vec<AlertRow>,
    /// What keeps the verdict from being sure: recording rules that failed, whose series alerts may read.
    pub(crate) problems: Vec<String>,
    /// What the queries remark on.
    pub(crate) notes: Vec<String>,
}

/// The replay of one window.
struct InWindow<'a> {
    window: &'a Window,
    replayed: ReplayResult,
}

/// Replays the rules over each judged window, and over the whole run for what was outside of them.
pub(crate) fn judge(
    data: &RunData<'_>,
    run: &RunInfo,
    files: &RuleFiles,
    replaying: Replaying,
    counting: &Counting<'_>,
) -> Result<JudgedAlerts, SourceError> {
    let selectors = selectors(files);
    let (windows, whole) = parallel::both(
        || {
            parallel::each(counting.windows, |window| {
                let interval_ms = data.interval_ms(window, &selectors).map_err(SourceError::new)?;
                let first_ms = window.start_ms + interval_ms.clamp(1, window.len_ms().max(1));
                let options = replaying.options(first_ms, window.end_ms);
                Ok::<_, SourceError>(InWindow {
                    window,
                    replayed: replay(&data.window(window), files, &options),
                })
            })
        },
        || replay(data.source(), files, &replaying.options(run.start_ms, run.end_ms)),
    );
    let windows = windows?;
    let metrics = Metrics::new(data, files);
    let mut out = JudgedAlerts::default();
    for (id, rule) in files.rules() {
        let Some(alerting) = rule.alerting() else { continue };
        let mut row = blank(files, id, rule, alerting.for_ms);
        row.instances = instances(id, rule, &windows, &whole, counting);
        row.counts = counting.counts(&rule.name, &row.severity)
            || row.instances.iter().any(|i| counting.counts(&rule.name, severity_of(&i.labels)));
        for one in &windows {
            row.windows.extend(in_window(id, rule, one, &row, counting, &metrics)?);
        }
        settle(&mut row, id, rule, &whole, &metrics)?;
        mention_firing_elsewhere(&mut row);
        out.rows.push(row);
    }
    let replays: Vec<&ReplayResult> = windows.iter().map(|w| &w.replayed).collect();
    for replayed in &replays {
        let recording = |rule: &Rule| rule.alerting().is_none();
        for problem in failures(files, replayed, &recording) {
            push_new(&mut out.problems, problem);
        }
    }
    for replayed in replays.into_iter().chain([&whole]) {
        for note in remarks(files, replayed) {
            push_new(&mut out.notes, note);
        }
    }
    Ok(out)
}

fn push_new(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// The alerting rules of a replay over a whole run, if nothing is to be judged.
pub(crate) fn over_the_run(run: &RunInfo, files: &RuleFiles, replayed: &ReplayResult) -> Vec<AlertRow> {
    let none = Counting { windows: &[], judges: &[] };
    let mut rows = Vec::new();
    for (id, rule) in files.rules() {
        let Some(alerting) = rule.alerting() else { continue };
        let mut row = blank(files, id, rule, alerting.for_ms);
        row.instances = instances(id, rule, &[], replayed, &none);
        if let Some(error) = replayed.errors.iter().find(|e| e.id == id) {
            row.status = Status::Inconclusive;
            row.reason = failed(error);
        }
        rows.push(row);
    }
    debug_assert!(run.end_ms >= run.start_ms);
    rows
}

/// Every rule whose evaluation failed, one line each.
pub(crate) fn failed_evaluations(files: &RuleFiles, replayed: &ReplayResult) -> Vec<String> {
    failures(files, replayed, &|_| true)
}

fn failures(files: &RuleFiles, replayed: &ReplayResult, wanted: &dyn Fn(&Rule) -> bool) -> Vec<String> {
    let found = replayed.errors.iter().filter_map(|e| Some((files.rule(e.id)?, e)));
    let line = |(rule, e): (&Rule, &RuleError)| {
        let (file, line, from) = (rule.file(), rule.position.line, units::timestamp(e.first_ms));
        format!("{file}:{line}: {}: {} from {from}", rule.title(), failed(e))
    };
    found.filter(|(rule, _)| wanted(rule)).map(line).collect()
}

fn failed(error: &RuleError) -> String {
    format!("{} of its evaluations failed: {}", error.count, error.message)
}

/// What the engine remarks on the rules' expressions, with the position of each; warnings come first.
fn remarks(files: &RuleFiles, replayed: &ReplayResult) -> Vec<String> {
    let of =
        |severity: Severity| replayed.annotations.iter().filter(move |a| a.annotation.severity == severity);
    of(Severity::Warning)
        .chain(of(Severity::Info))
        .filter_map(|a| {
            let rule = files.rule(a.id)?;
            let text = a.annotation.text(rule.expr_text());
            Some(format!("{}:{}: {}: {text}", rule.file(), rule.position.line, rule.title()))
        })
        .collect()
}

fn selectors(files: &RuleFiles) -> Vec<Vec<Matcher>> {
    let all = files.rules().flat_map(|(_, rule)| rule.expr.selectors());
    let mut out: Vec<Vec<Matcher>> = Vec::new();
    for selector in all {
        if !out.contains(&selector.matchers) {
            out.push(selector.matchers.clone());
        }
    }
    out
}

fn blank(files: &RuleFiles, id: RuleId, rule: &Rule, for_ms: i64) -> AlertRow {
    let severity = rule.labels.iter().find(|(n, _)| n == "severity").map_or("", |(_, v)| v);
    AlertRow {
        name: rule.name.clone(),
        group: files.groups.get(id.group).map_or_else(String::new, |g| g.name.clone()),
        defined_at: format!("{}:{}", rule.file(), rule.position.line),
        severity: severity.to_owned(),
        counts: false,
        status: Status::Pass,
        reason: String::new(),
        windows: Vec::new(),
        expression: rule.expr_text().trim().to_owned(),
        for_ms,
        instances: Vec::new(),
    }
}

/// The stretches in which a rule's alerts were active: those of the judged windows, and those of the whole run that lie
/// in none of them.
fn instances(
    id: RuleId,
    rule: &Rule,
    windows: &[InWindow<'_>],
    whole: &ReplayResult,
    counting: &Counting<'_>,
) -> Vec<AlertInstance> {
    let mut out = Vec::new();
    for one in windows {
        for found in one.replayed.alerts.iter().filter(|a| a.id == id) {
            let fired = found.fired_at_ms.is_some();
            let phases = if fired { vec![one.window.title().to_owned()] } else { Vec::new() };
            out.push(instance(found, phases));
        }
    }
    let overlaps = |a: &Replayed| {
        let end_ms = a.ended_at_ms.unwrap_or(i64::MAX);
        counting.windows.iter().any(|w| a.active_at_ms <= w.end_ms && end_ms > w.start_ms)
    };
    let outside = whole.alerts.iter().filter(|a| a.id == id && !overlaps(a));
    out.extend(outside.map(|found| instance(found, Vec::new())));
    out.sort_by_key(|i| i.active_at_ms);
    debug_assert!(rule.alerting().is_some());
    out
}

fn instance(found: &Replayed, phases: Vec<String>) -> AlertInstance {
    AlertInstance {
        labels: found.labels.to_pairs(),
        annotations: found.worst.annotations.clone(),
        active_at_ms: found.active_at_ms,
        fired_at_ms: found.fired_at_ms,
        ended_at_ms: found.ended_at_ms,
        value: found.worst.value,
        worst_at_ms: Some(found.worst.at_ms),
        phases,
    }
}

/// What a rule came to in one window; `None` if it does not count there.
fn in_window(
    id: RuleId,
    rule: &Rule,
    one: &InWindow<'_>,
    row: &AlertRow,
    counting: &Counting<'_>,
    metrics: &Metrics<'_>,
) -> Result<Option<AlertWindow>, SourceError> {
    let counts = |severity: &str| counting.counts_in(one.window, &rule.name, severity);
    let own = || one.replayed.alerts.iter().filter(|a| a.id == id);
    let counted = || own().filter(|a| counts(a.labels.get("severity").unwrap_or_default()));
    if !counts(&row.severity) && counted().next().is_none() {
        return Ok(None);
    }
    let outcome =
        |status, reason: String| AlertWindow { window: one.window.title().to_owned(), status, reason };
    if counted().any(|a| a.fired_at_ms.is_some()) {
        return Ok(Some(outcome(Status::Fail, "fired".to_owned())));
    }
    if let Some(error) = one.replayed.errors.iter().find(|e| e.id == id) {
        return Ok(Some(outcome(Status::Inconclusive, failed(error))));
    }
    if let Some(pending) = counted().find(|a| a.ended_at_ms.is_none()) {
        let since = units::clock(pending.active_at_ms);
        let reason = format!("pending from {since} to the window's end, with no time left to fire");
        return Ok(Some(outcome(Status::Inconclusive, reason)));
    }
    let absent = metrics.absent(rule).map_err(SourceError::new)?;
    if own().next().is_none()
        && let Some(absent) = absent
    {
        return Ok(Some(not_applicable(rule, &absent, counting, metrics, &outcome)?));
    }
    let needed_ms = metrics.needed_ms(id, rule);
    let short = one.window.len_ms() < needed_ms;
    let reason = match short {
        true => format!("too short to fire: it takes {}", units::length(needed_ms)),
        false => String::new(),
    };
    Ok(Some(outcome(Status::Pass, reason)))
}

/// A rule of whose metrics none exists.
fn not_applicable(
    rule: &Rule,
    absent: &BTreeSet<String>,
    counting: &Counting<'_>,
    metrics: &Metrics<'_>,
    outcome: &dyn Fn(Status, String) -> AlertWindow,
) -> Result<AlertWindow, SourceError> {
    let names: Vec<_> = absent.iter().map(String::as_str).collect();
    let none = format!("the run has no series of {}", names.join(", "));
    if counting.judges.iter().any(|j| j.require_alerts.contains(&rule.name)) {
        return Ok(outcome(
            Status::Inconclusive,
            format!("{none}, and judge.require_alerts names this alert"),
        ));
    }
    for name in absent {
        if let Some(near) = metrics.near(name).map_err(SourceError::new)? {
            return Ok(outcome(Status::Inconclusive, format!("{none}; did you mean {near}?")));
        }
    }
    Ok(outcome(Status::Skipped, format!("not applicable: {none}")))
}

/// The outcome of all windows together.
fn settle(
    row: &mut AlertRow,
    id: RuleId,
    rule: &Rule,
    whole: &ReplayResult,
    metrics: &Metrics<'_>,
) -> Result<(), SourceError> {
    let Some(worst) = row.windows.iter().map(|w| w.status).max() else {
        // It counts nowhere: how it did over the run is for information.
        if let Some(error) = whole.errors.iter().find(|e| e.id == id) {
            (row.status, row.reason) = (Status::Inconclusive, failed(error));
        } else if row.instances.is_empty()
            && let Some(absent) = metrics.absent(rule).map_err(SourceError::new)?
        {
            let names: Vec<_> = absent.iter().map(String::as_str).collect();
            row.status = Status::Skipped;
            row.reason = format!("not applicable: the run has no series of {}", names.join(", "));
        } else if row.counts {
            row.status = Status::Skipped;
            "no window in which it counts was judged".clone_into(&mut row.reason);
        }
        return Ok(());
    };
    row.status = worst;
    let of_worst: Vec<&AlertWindow> =
        row.windows.iter().filter(|w| w.status == worst && !w.reason.is_empty()).collect();
    row.reason = match (worst, of_worst.first()) {
        (_, None) => String::new(),
        (Status::Fail, _) => {
            let titles: Vec<_> = of_worst.iter().map(|w| w.window.as_str()).collect();
            format!("fired in {}", titles.join(", "))
        }
        (_, Some(first)) => {
            let titles: Vec<_> = of_worst.iter().map(|w| w.window.as_str()).collect();
            format!("{} (in {})", first.reason, titles.join(", "))
        }
    };
    Ok(())
}

/// Says of an alert that counts in some phases that it fired in others.
fn mention_firing_elsewhere(row: &mut AlertRow) {
    if !row.counts {
        return;
    }
    let counted = |phase: &str| row.windows.iter().any(|w| w.window == phase);
    let mut phases: Vec<&str> = row.instances.iter().flat_map(|i| &i.phases).map(String::as_str).collect();
    phases.retain(|phase| !counted(phase));
    phases.dedup();
    if phases.is_empty() {
        return;
    }
    let elsewhere = format!("fired in {}, where it does not count", phases.join(", "));
    row.reason = if row.reason.is_empty() { elsewhere } else { format!("{elsewhere}; {}", row.reason) };
}

pub(crate) fn severity_of(labels: &[(String, String)]) -> &str {
    labels.iter().find(|(n, _)| n == "severity").map_or("", |(_, v)| v)
}
