//! What was judged, and what came out. Invariant: the verdict's status follows from its rows, alerts and
//! problems alone ([`Verdict::settle`]), so that every report says the same.

use assay_run::{PhaseOutcome, failures::Failure};
use serde::{Deserialize, Serialize};

use crate::{findings::Finding, scaling::Scaling, tables::Tables};

pub(crate) mod number;

/// The version of the JSON form, raised when a reader of an older one would go wrong.
pub const FORMAT_VERSION: u32 = 1;

/// Pass, fail or inconclusive. No data is never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Measured, and within the limit.
    Pass,
    /// Left out on purpose; of a row or rule, never of the whole.
    Skipped,
    /// There is not enough data to tell.
    Inconclusive,
    /// Measured, and beyond the limit; or an alert that counts was firing.
    Fail,
}

impl Status {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// The exit code of the command: 0 pass, 1 fail, 3 inconclusive.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::Skipped => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
        }
    }
}

/// The outcome of judging one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The outcome.
    pub status: Status,
    /// The outcome in one sentence.
    pub summary: String,
    /// What was judged.
    pub run: RunInfo,
    /// The SLA files, in the order given.
    pub slas: Vec<SlaInfo>,
    /// The stretches of time that were judged, in order.
    pub windows: Vec<Window>,
    /// One row for each objective, window and resulting series.
    pub objectives: Vec<ObjectiveRow>,
    /// One entry for each alerting rule, in the order of the files.
    pub alerts: Vec<AlertRow>,
    /// Why something was not judged; each makes the verdict inconclusive.
    pub problems: Vec<String>,
    /// What happened, and why: the most serious first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What was asked, and what it took, by phase.
    #[serde(default)]
    pub tables: Tables,
    /// How the service does under more and less load.
    #[serde(default)]
    pub scaling: Scaling,
    /// The first examples of each class of failure and step, by time.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// The baseline that was given, as messages show it.
    #[serde(default)]
    pub baseline: Option<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// Who judged.
    pub tool: Tool,
}

/// The run as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The path or address as given.
    pub source: String,
    /// The scenario's name, where there is a manifest.
    pub scenario: Option<String>,
    /// The first sample's time, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The last sample's time.
    pub end_ms: i64,
    /// The time of the last sample of a run that did not end as planned.
    pub cut_short_ms: Option<i64>,
    /// The phases that began, warm-up among them, in order.
    pub phases: Vec<PhaseInfo>,
    /// The phases that were planned and never began.
    #[serde(default)]
    pub not_begun: Vec<String>,
    /// Where the phases are known from.
    #[serde(default)]
    pub phases_from: PhaseSource,
    /// How the load ended, if that is known.
    #[serde(default)]
    pub outcome: Option<String>,
    /// The manifest as it is recorded, `null` without one.
    pub manifest: serde_json::Value,
}

impl RunInfo {
    /// Whether nothing says that the load did not run to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cut_short_ms.is_none() && self.outcome.as_deref().is_none_or(|o| o == "finished")
    }
}

/// Where the phases of a run are known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseSource {
    /// The run's own series, which name every phase that was planned.
    Plan,
    /// `run.json`, which names those that began.
    Manifest,
    /// The command line.
    Given,
    /// Nowhere: the run is one window.
    #[default]
    None,
}

/// One phase of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseInfo {
    /// The phase's name.
    pub name: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// When it ended, or the last sample's time where it was cut short.
    pub end_ms: i64,
    /// Whether it only warms up, and is not judged.
    pub warmup: bool,
    /// How it ended.
    #[serde(default = "finished")]
    pub outcome: PhaseOutcome,
    /// How long it was to run, if that is known.
    #[serde(default)]
    pub planned_ms: Option<i64>,
}

fn finished() -> PhaseOutcome {
    PhaseOutcome::Finished
}

/// An SLA file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlaInfo {
    /// The SLA's name.
    pub name: String,
    /// The file as given.
    pub file: String,
    /// The alerts that fail the run, in words: severities and names, by phase if they differ.
    pub fail_on_alerts: Vec<String>,
}

/// A stretch of time that was judged. The start is not in it and the end is, as in PromQL's ranges.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The phase's name, or `None` for the whole run.
    pub phase: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub end_ms: i64,
    /// Why what is measured in it decides nothing: its phase did not run to its end.
    #[serde(default)]
    pub incomplete: Option<String>,
}

impl Window {
    /// A whole run.
    #[must_use]
    pub fn whole(start_ms: i64, end_ms: i64) -> Self {
        Self { phase: None, start_ms, end_ms, incomplete: None }
    }

    /// The phase's name, or "whole run".
    #[must_use]
    pub fn title(&self) -> &str {
        self.phase.as_deref().unwrap_or("whole run")
    }

    /// How long it is.
    #[must_use]
    pub fn len_ms(&self) -> i64 {
        self.end_ms - self.start_ms
    }
}

/// One objective, over one window, for one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveRow {
    /// The SLA that asks for it.
    pub sla: String,
    /// The objective's name.
    pub name: String,
    /// The group it is shown in, or empty.
    pub category: String,
    /// The unit of `value` and `limit`, or empty.
    pub unit: String,
    /// The judged phase, or `None` for the whole run.
    pub phase: Option<String>,
    /// The labels of the series; empty for a single number.
    pub labels: Vec<(String, String)>,
    /// Those of them in which the objective's series differ; empty where there is one series.
    #[serde(default)]
    pub named_by: Vec<(String, String)>,
    /// The outcome.
    pub status: Status,
    /// The measured value, or `None` without data.
    #[serde(with = "number::optional")]
    pub value: Option<f64>,
    /// The baseline's value of the same.
    #[serde(with = "number::optional", default)]
    pub base: Option<f64>,
    /// What Prometheus answers for `measure` at `at_ms` over the run as it is: without the samples in `added`, and with
    /// what lies before the window.
    #[serde(with = "number::optional", default)]
    pub raw: Option<f64>,
    /// The samples that counters have in the judge's view and not in the run, as far as they count.
    #[serde(default)]
    pub added: Vec<AddedSample>,
    /// What the query remarks on, and what else should be known.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The comparison: `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub comparison: String,
    /// The limit, or `None` where it could not be computed.
    #[serde(with = "number::optional")]
    pub limit: Option<f64>,
    /// Why the row did not pass, or empty.
    pub reason: String,
    /// What to do about it, or empty.
    pub advice: Vec<String>,
    /// The error budget, for an objective that declares one.
    pub budget: Option<Budget>,
    /// The expression with the window's length filled in; Prometheus answers the same number for its left side.
    pub expression: String,
    /// The left side alone: the measured value.
    pub measure: String,
    /// The evaluation time, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What is measured, in the words of the SLA.
    pub description: String,
    /// Where the objective stands, as `file:line`.
    pub defined_at: String,
}

impl ObjectiveRow {
    /// Whether it holds a value against the baseline's; the value has a row of its own.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.name.ends_with(crate::judge::AGAINST)
    }

    /// The name with the labels in which the objective's rows differ, as reports show it.
    #[must_use]
    pub fn title(&self) -> String {
        titled(&self.name, &self.named_by)
    }

    /// The judged phase, or "whole run".
    #[must_use]
    pub fn window_title(&self) -> &str {
        self.phase.as_deref().unwrap_or("whole run")
    }
}

/// A name with the labels of a series, as reports show it.
#[must_use]
pub fn titled(name: &str, labels: &[(String, String)]) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let pairs: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("{name} ({})", pairs.join(", "))
}

/// A sample that a counter has in the judge's view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddedSample {
    /// The series.
    pub series: String,
    /// Milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// The value; of a histogram, its count.
    #[serde(with = "number::plain")]
    pub count: f64,
    /// How the value is known.
    pub why: AddedWhy,
}

/// How a value that a run does not hold is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddedWhy {
    /// A counter of the generator is zero before its phase.
    PhaseStart,
    /// A counter of the generator does not change after its phase.
    PhaseEnd,
    /// The target had answered without the series.
    Born,
    /// The same, before the window: the part that falls into it, in proportion to the time.
    BornAcross,
    /// The target's process started then.
    ProcessStart,
}

impl AddedWhy {
    /// In words, after a series and a time.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PhaseStart => "zero before its phase",
            Self::PhaseEnd => "its value at the phase's end, read after it",
            Self::Born => "zero when the target last answered without it",
            Self::BornAcross => "new across the window's start, counted in proportion",
            Self::ProcessStart => "zero when its process started",
        }
    }
}

/// How much of an error budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The part of events that may be bad, from 0 to 1.
    pub allowed_ratio: f64,
    /// The part of events that were bad.
    pub bad_ratio: f64,
    /// `bad_ratio / allowed_ratio`: 1 spends the budget exactly; `null` in JSON where nothing is allowed.
    #[serde(with = "number::plain")]
    pub burn_rate: f64,
    /// The highest burn rate of any stretch of `peak_window_ms` within the window.
    #[serde(with = "number::optional")]
    pub peak_burn_rate: Option<f64>,
    /// The length of that stretch.
    pub peak_window_ms: i64,
}

impl Budget {
    /// What is left of the budget: 1 untouched, 0 spent, below 0 overspent.
    #[must_use]
    pub fn remaining_ratio(&self) -> f64 {
        1.0 - self.burn_rate
    }
}

/// One alerting rule over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRow {
    /// The alert's name.
    pub name: String,
    /// The rule group.
    pub group: String,
    /// Where the rule stands, as `file:line`.
    pub defined_at: String,
    /// The rule's own severity label, or empty.
    pub severity: String,
    /// Whether it can fail the run: its severity is one of `fail_on_alerts`.
    pub counts: bool,
    /// The outcome.
    pub status: Status,
    /// Why it did not pass, or empty.
    pub reason: String,
    /// What came out in each judged window in which it counts.
    #[serde(default)]
    pub windows: Vec<AlertWindow>,
    /// The rule's expression.
    pub expression: String,
    /// How long it must hold, in milliseconds.
    pub for_ms: i64,
    /// Every time it was pending or firing, by time.
    pub instances: Vec<AlertInstance>,
}

/// An alerting rule in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertWindow {
    /// The window's title: the phase's name, or "whole run".
    pub window: String,
    /// The outcome: skipped if none of the rule's metrics exists.
    pub status: Status,
    /// Why it did not pass, or what should be known of a pass; empty if nothing.
    pub reason: String,
}

/// One stretch in which an alert was pending or firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertInstance {
    /// The alert's labels.
    pub labels: Vec<(String, String)>,
    /// The annotations as they read when it was worst.
    pub annotations: Vec<(String, String)>,
    /// When the expression first held, in milliseconds since the Unix epoch.
    pub active_at_ms: i64,
    /// When it fired, or `None` where it was only pending.
    pub fired_at_ms: Option<i64>,
    /// When it ended, or `None` where it still held at the end of the run.
    pub ended_at_ms: Option<i64>,
    /// The value when it was worst: the largest, or the smallest where the rule asks for less than a threshold.
    #[serde(with = "number::plain")]
    pub value: f64,
    /// When that was; `None` where it is not known.
    #[serde(default)]
    pub worst_at_ms: Option<i64>,
    /// The judged windows in which it was firing.
    pub phases: Vec<String>,
}

impl AlertInstance {
    /// What an annotation says; empty if there is none.
    #[must_use]
    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }
}

/// Who judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `ruleseval`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The command that gives the same verdict again.
    pub command: String,
}

/// How many rows have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that passed.
    pub pass: usize,
    /// Rows that failed.
    pub fail: usize,
    /// Rows without a result.
    pub inconclusive: usize,
    /// Rows left out.
    pub skipped: usize,
}

impl Counts {
    /// Counts.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let mut counts = Self::default();
        for status in statuses {
            match status {
                Status::Pass => counts.pass += 1,
                Status::Fail => counts.fail += 1,
                Status::Inconclusive => counts.inconclusive += 1,
                Status::Skipped => counts.skipped += 1,
            }
        }
        counts
    }

    /// All rows.
    #[must_use]
    pub fn total(&self) -> usize {
        self.pass + self.fail + self.inconclusive + self.skipped
    }
}

impl Verdict {
    /// How the objectives came out.
    #[must_use]
    pub fn objective_counts(&self) -> Counts {
        Counts::of(self.objectives.iter().map(|r| r.status))
    }

    /// The alerting rules that fired within a judged window and count.
    pub fn failing_alerts(&self) -> impl Iterator<Item = &AlertRow> {
        self.alerts.iter().filter(|a| a.status == Status::Fail)
    }

    /// Sets status and summary from the rows, alerts and problems.
    ///
    /// A failure is certain whatever else is unknown; without one, anything unknown makes the verdict
    /// inconclusive; and it takes at least one row or counting alert that passed to pass.
    pub fn settle(&mut self) {
        let rows = self.objective_counts();
        let alerts = Counts::of(self.alerts.iter().filter(|a| a.counts).map(|a| a.status));
        self.status = if rows.fail + alerts.fail > 0 {
            Status::Fail
        } else if rows.inconclusive + alerts.inconclusive > 0
            || !self.problems.is_empty()
            || rows.pass + alerts.pass == 0
        {
            Status::Inconclusive
        } else {
            Status::Pass
        };
        self.summary = self.summarise(rows, alerts);
    }

    fn summarise(&self, rows: Counts, alerts: Counts) -> String {
        let mut parts = Vec::new();
        if rows.total() > 0 {
            parts.push(format!("{} of {} objectives met", rows.pass, rows.total() - rows.skipped));
        }
        for (count, what) in
            [(rows.fail, "missed"), (rows.inconclusive, "undecided"), (rows.skipped, "skipped")]
        {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        match alerts.fail {
            0 if self.alerts.is_empty() => {}
            0 => parts.push("no alert that counts fired".to_owned()),
            1 => parts.push("1 alert fired".to_owned()),
            n => parts.push(format!("{n} alerts fired")),
        }
        match alerts.inconclusive {
            0 => {}
            1 => parts.push("1 alert undecided".to_owned()),
            n => parts.push(format!("{n} alerts undecided")),
        }
        if parts.is_empty() {
            parts.push("nothing was judged".to_owned());
        }
        let why = self.why();
        if why.is_empty() { parts.join(", ") } else { format!("{}: {why}", parts.join(", ")) }
    }

    /// What made the verdict what it is: the first of what failed, or of what could not be decided.
    fn why(&self) -> String {
        let rows = self.objectives.iter().filter(|r| r.status == self.status);
        let alerts = self.alerts.iter().filter(|a| a.counts && a.status == self.status);
        let mut causes: Vec<String> = Vec::new();
        match self.status {
            Status::Pass | Status::Skipped => return String::new(),
            Status::Fail => {
                causes.extend(rows.map(|r| format!("{} in {}", r.title(), r.window_title())));
                causes.extend(alerts.map(|a| format!("{} {}", a.name, a.reason)));
            }
            Status::Inconclusive => {
                causes.extend(self.problems.iter().cloned());
                causes.extend(rows.map(|r| format!("{} in {}: {}", r.title(), r.window_title(), r.reason)));
                causes.extend(alerts.map(|a| format!("{}: {}", a.name, a.reason)));
            }
        }
        let more = causes.len().saturating_sub(2);
        causes.truncate(2);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        format!("{}{more}", causes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn status_follows_from_the_parts() {
        let check = |edit: fn(&mut Verdict), want: Status| {
            let mut verdict = testing::verdict(Status::Pass);
            edit(&mut verdict);
            verdict.settle();
            assert_eq!(verdict.status, want, "{}", verdict.summary);
        };
        check(|_| (), Status::Pass);
        check(|v| v.objectives[0].status = Status::Fail, Status::Fail);
        check(|v| v.objectives[0].status = Status::Inconclusive, Status::Inconclusive);
        check(|v| v.problems.push("no series".to_owned()), Status::Inconclusive);
        check(|v| v.alerts[0].status = Status::Fail, Status::Fail);
        check(|v| v.alerts[0].status = Status::Inconclusive, Status::Inconclusive);
        check(
            |v| {
                v.alerts[0].status = Status::Fail;
                v.objectives[0].status = Status::Inconclusive;
            },
            Status::Fail,
        );
        check(|v| v.objectives.iter_mut().for_each(|r| r.status = Status::Skipped), Status::Pass);
        check(
            |v| {
                v.objectives.clear();
                v.alerts.clear();
            },
            Status::Inconclusive,
        );
    }

    #[test]
    fn json_reads_back() {
        let mut verdict = testing::verdict(Status::Fail);
        verdict.objectives[0].value = Some(f64::INFINITY);
        let text = serde_json::to_string(&verdict).expect("prints");
        assert!(text.contains(r#""value":"+Inf""#), "{text}");
        let back: Verdict = serde_json::from_str(&text).expect("reads");
        assert_eq!(back, verdict);
    }
}
