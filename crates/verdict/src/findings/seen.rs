//! What the finders look at: one judged window of a run. Invariant: every figure is of this window or of a named part of it.

use std::{collections::BTreeSet, sync::OnceLock};

use assay_model::{Labels, Matcher, duration};
use assay_run::traces;

pub(super) use crate::histogram::{Histogram, REQUESTS, SERVED};

use super::{Action, Confidence, Evidence, Finding, Kind, Severity, Topic, misses, topic};
use crate::{
    judge::percentile,
    leak::Trend,
    source::{RecordedSource, Source as _, SourceError, numbers, series},
    units,
    verdict::{ObjectiveRow, Status, Verdict, Window},
};

/// Samples of a line: milliseconds since the Unix epoch and value, ascending, finite.
pub(super) type Points = Vec<(i64, f64)>;

/// A stretch of time: start and end in milliseconds since the Unix epoch.
pub(super) type Span = (i64, i64);

/// The share of a phase's requests above which a step is one of its own.
const LEAST_SHARE: f64 = 0.02;

/// A window, and what answers for it.
pub(super) struct Seen<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) window: &'a Window,
    /// The run in the verdict's view of this window.
    within: &'a RecordedSource<'a>,
    /// The run as it is.
    whole: &'a RecordedSource<'a>,
    /// All spans of the run's traces.
    pub(super) spans: &'a [traces::Span],
    /// How far samples are apart.
    pub(super) interval_ms: i64,
    /// The other phases that did the same work, once they were asked for.
    alike: OnceLock<Result<Vec<(String, Span)>, SourceError>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        verdict: &'a Verdict,
        window: &'a Window,
        (within, whole): (&'a RecordedSource<'a>, &'a RecordedSource<'a>),
        spans: &'a [traces::Span],
        interval_ms: i64,
    ) -> Self {
        Self {
            verdict,
            window,
            within,
            whole,
            spans,
            interval_ms: interval_ms.max(1),
            alike: OnceLock::new(),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.window.len_ms() as f64 / 1e3
    }

    /// The expression with `RANGE` as the window's length.
    pub(super) fn over_window(&self, expression: &str) -> String {
        expression.replace("RANGE", &duration::format_ms(self.window.len_ms()))
    }

    /// The numbers of an expression at the window's end, with their labels; `RANGE` is the window's length.
    pub(super) fn found(&self, expression: &str) -> Result<Vec<(Labels, f64)>, SourceError> {
        Ok(numbers(self.within.instant(&self.over_window(expression), self.window.end_ms)?).collect())
    }

    /// The same by the value of one label, largest first.
    pub(super) fn ranked(&self, expression: &str, label: &str) -> Result<Vec<(String, f64)>, SourceError> {
        let found = self.found(expression)?.into_iter();
        Ok(by_size(found.map(|(labels, v)| (labels.get(label).unwrap_or_default().to_owned(), v))))
    }

    /// How few samples the percentile of a row rests on, if they are too few.
    pub(super) fn few(&self, row: &ObjectiveRow) -> Result<Option<percentile::Few>, SourceError> {
        percentile::few(row, self.window, self.within)
    }

    /// The one number of an expression at the window's end.
    pub(super) fn number(&self, expression: &str) -> Result<Option<f64>, SourceError> {
        Ok(self.ranked(expression, "")?.first().map(|(_, v)| *v))
    }

    /// The one number of an expression over a part of the run; `RANGE` is its length.
    pub(super) fn number_in(
        &self,
        expression: &str,
        (start_ms, end_ms): Span,
    ) -> Result<Option<f64>, SourceError> {
        // Of a phase that has only begun, a part may be shorter than anything can be measured in.
        if end_ms <= start_ms {
            return Ok(None);
        }
        let expression = expression.replace("RANGE", &duration::format_ms(end_ms - start_ms));
        Ok(numbers(self.whole.instant(&expression, end_ms)?).next().map(|(_, v)| v))
    }

    /// Lines over the window by a label, at the distance of the samples (600 points at most); `RANGE` is four samples.
    pub(super) fn lines(&self, expression: &str, label: &str) -> Result<Vec<(String, Points)>, SourceError> {
        let step_ms = self.step_ms();
        let expression = expression.replace("RANGE", &duration::format_ms(4 * step_ms));
        let (start_ms, end_ms) = (self.window.start_ms + step_ms, self.window.end_ms);
        let found = series(self.whole.range(&expression, start_ms, end_ms, step_ms)?);
        Ok(found
            .into_iter()
            .map(|one| {
                let points = one.samples.times.iter().copied().zip(one.samples.values.iter().copied());
                let points = points.filter(|(_, v)| v.is_finite()).collect();
                (one.labels.get(label).unwrap_or_default().to_owned(), points)
            })
            .collect())
    }

    /// The one line of an expression.
    pub(super) fn line(&self, expression: &str) -> Result<Points, SourceError> {
        Ok(self.lines(expression, "")?.into_iter().next().map(|(_, points)| points).unwrap_or_default())
    }

    /// How far the points of [`Seen::lines`] are apart.
    pub(super) fn step_ms(&self) -> i64 {
        self.interval_ms.max(self.window.len_ms() / 600).max(1)
    }

    /// A part of the window, from and to as shares of it.
    pub(super) fn part(&self, from: f64, to: f64) -> Span {
        let at = |share: f64| self.window.start_ms + (self.window.len_ms() as f64 * share) as i64;
        (at(from), at(to))
    }

    /// Whether an objective on one of these topics was missed here.
    pub(super) fn misses(&self, topics: &[Topic]) -> bool {
        misses(self.verdict, self.window, topics)
    }

    /// The quantile that the objective which was missed here asks for, the highest of several; none if none was.
    pub(super) fn missed_quantile(&self) -> Option<f64> {
        let missed = self.verdict.objectives.iter().filter(|row| {
            row.status == Status::Fail
                && row.phase == self.window.phase
                && topic(&row.category, &row.unit) == Topic::Time
        });
        missed.filter_map(|row| percentile::rank(&row.measure)).max_by(f64::total_cmp)
    }

    /// Critical where it explains what is missed here, else a warning.
    pub(super) fn severity(&self, topics: &[Topic]) -> Severity {
        if self.misses(topics) { Severity::Critical } else { Severity::Warning }
    }

    /// The other phases that ran and did the same work, as start and end: the steps of one are among those of the other. What
    /// calls one component says nothing of the phase that calls another.
    pub(super) fn other_phases(&self) -> Result<Vec<(String, Span)>, SourceError> {
        self.alike.get_or_init(|| self.find_alike()).clone()
    }

    fn find_alike(&self) -> Result<Vec<(String, Span)>, SourceError> {
        let own = self.steps((self.window.start_ms, self.window.end_ms))?;
        let others = self.verdict.run.phases.iter().filter(|p| Some(&p.name) != self.window.phase.as_ref());
        let mut alike = Vec::new();
        for phase in others.filter(|p| p.end_ms > p.start_ms) {
            let span = (phase.start_ms, phase.end_ms);
            let steps = self.steps(span)?;
            if steps.is_subset(&own) || own.is_subset(&steps) {
                alike.push((phase.name.clone(), span));
            }
        }
        Ok(alike)
    }

    /// The steps of the load that requests were of, as far as it names them; those of a few requests, which may belong to the
    /// phase before or after, left out.
    fn steps(&self, (start_ms, end_ms): Span) -> Result<BTreeSet<String>, SourceError> {
        if end_ms <= start_ms {
            return Ok(BTreeSet::new());
        }
        let count = Histogram { by: "load_step", ..REQUESTS }.count();
        let expression = count.replace("RANGE", &duration::format_ms(end_ms - start_ms));
        let counts: Vec<_> = numbers(self.whole.instant(&expression, end_ms)?).collect();
        let least = counts.iter().map(|(_, count)| count).sum::<f64>() * LEAST_SHARE;
        let steps = counts.iter().filter(|(_, count)| *count > least);
        Ok(steps.filter_map(|(labels, _)| labels.get("load_step").map(str::to_owned)).collect())
    }

    /// A finding in this window, with neither figures nor a remedy yet.
    pub(super) fn finding(&self, kind: Kind, subject: &str, title: String) -> Finding {
        Finding {
            id: kind.id.to_owned(),
            name: kind.name.to_owned(),
            subject: subject.to_owned(),
            title,
            severity: Severity::Warning,
            confidence: Confidence::Medium,
            window: self.window.clone(),
            span_ms: None,
            evidence: Vec::new(),
            against: String::new(),
            action: None,
        }
    }
}

impl Finding {
    pub(super) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    pub(super) fn span(mut self, span_ms: Span) -> Self {
        self.span_ms = Some(span_ms);
        self
    }

    /// A figure, what it is compared with, and the expression it comes from.
    pub(super) fn shows(
        mut self,
        what: impl Into<String>,
        expression: String,
        before: Option<f64>,
        after: f64,
        unit: &str,
    ) -> Self {
        self.evidence.push(Evidence { what: what.into(), expression, before, after, unit: unit.to_owned() });
        self
    }

    /// How fast it grows, and how fast at least.
    pub(super) fn grows(self, trend: &Trend, unit: &str) -> Self {
        let what = "growth each second (Theil and Sen), against the lower end of its 99.9 % interval";
        self.shows(what, String::new(), Some(trend.low_per_s), trend.per_s, unit)
    }

    pub(super) fn against(mut self, text: &str) -> Self {
        text.clone_into(&mut self.against);
        self
    }

    pub(super) fn act(mut self, text: impl Into<String>) -> Self {
        self.action =
            Some(Action { text: text.into(), saves: None, gain: String::new(), how: String::new() });
        self
    }

    /// What to do, and the part of a time that it would save: of which, and how that was estimated.
    pub(super) fn gain(mut self, text: impl Into<String>, saves: f64, of: &str, how: String) -> Self {
        let gain = format!("about {} of {of}", units::quantity(saves, "ratio"));
        self.action = Some(Action { text: text.into(), saves: Some(saves), gain, how });
        self
    }
}

/// A matcher for a label's value, whatever characters that has.
pub(super) fn only(label: &str, value: &str) -> String {
    Matcher::equal(label, value).to_string()
}

/// The longest stretch in a row of points for which something holds.
pub(super) fn longest(points: &[(i64, f64)], holds: impl Fn(f64) -> bool) -> Option<Span> {
    stretches(points, holds).into_iter().max_by_key(|(from, to)| to - from)
}

/// Stretches in a row of points for which something holds, each from its first point to its last.
pub(super) fn stretches(points: &[(i64, f64)], holds: impl Fn(f64) -> bool) -> Vec<Span> {
    points
        .chunk_by(|a, b| holds(a.1) == holds(b.1))
        .filter(|chunk| holds(chunk[0].1))
        .map(|chunk| (chunk[0].0, chunk[chunk.len() - 1].0))
        .collect()
}

/// The mean of points; zero for none.
pub(super) fn mean(points: &[(i64, f64)]) -> f64 {
    if points.is_empty() { 0.0 } else { points.iter().map(|p| p.1).sum::<f64>() / points.len() as f64 }
}

/// The part of the points for which something holds; zero for none.
pub(super) fn share_of(points: &[(i64, f64)], holds: impl Fn(f64) -> bool) -> f64 {
    points.iter().filter(|p| holds(p.1)).count() as f64 / points.len().max(1) as f64
}

/// How many times as much, in words.
pub(super) fn times(factor: f64) -> String {
    // Little more than once is not once.
    let places = if factor >= 10.0 {
        1.0
    } else if factor >= 1.1 {
        10.0
    } else {
        100.0
    };
    format!("{} times", units::digits((factor * places).round() / places))
}

fn by_size(list: impl Iterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut list: Vec<_> = list.collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list
}
