//! The state machine of an alerting rule.
//!
//! Source: Prometheus `rules/alerting.go` v3.13. Invariant: of one label set there is one alert at most that is
//! pending or firing, and the timeline has exactly one instance for each time that it became active.

use std::collections::BTreeMap;

use assay_model::{Labels, METRIC_NAME, Value};

use crate::file::RuleId;

/// How long a resolved alert is remembered.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// One stretch of time in which an alert was active, from its first evaluation to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertInstance {
    /// The rule's place in its files.
    pub id: RuleId,
    /// The alert's labels, `alertname` among them.
    pub labels: Labels,
    /// When the expression first held; milliseconds since the Unix epoch, as all times here.
    pub active_at_ms: i64,
    /// When the alert began to fire, if it did.
    pub fired_at_ms: Option<i64>,
    /// When it was seen to be over; `None` where it was active at the end.
    pub ended_at_ms: Option<i64>,
    /// When the expression last stopped holding while `keep_firing_for` kept the alert firing.
    pub kept_since_ms: Option<i64>,
    /// The last value.
    pub last_value: f64,
    /// The annotations as they read when the alert fired; where it did not, when it became active.
    pub annotations: Vec<(String, String)>,
    /// The evaluation at which it was worst, the first of several.
    pub worst: Worst,
}

/// The evaluation at which an alert was furthest beyond its threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The value: the largest, or the smallest of an expression that asks for less than a threshold.
    pub value: f64,
    /// The annotations as they read then.
    pub annotations: Vec<(String, String)>,
}

/// What an alert is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// The expression holds, but not yet for as long as `for` says.
    Pending,
    /// The alert fires.
    Firing,
}

impl AlertState {
    /// The value of the label `alertstate`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// `None` once it is resolved.
    pub(crate) state: Option<AlertState>,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) value: f64,
    active_at_ms: i64,
    resolved_at_ms: Option<i64>,
    keep_since_ms: Option<i64>,
    /// Its place in the timeline.
    instance: usize,
    /// The labels of its two series, made once for each state.
    series: Option<(AlertState, Labels, Labels)>,
}

/// An element of the expression's result with the labels that its alert gets.
pub(crate) struct Element {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    /// The element's index in the result, for its annotations.
    pub(crate) index: usize,
}

/// What the machine needs to know of the rule.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) id: RuleId,
    pub(crate) name: &'a str,
    pub(crate) labels: &'a [(String, String)],
    pub(crate) for_ms: i64,
    pub(crate) keep_firing_for_ms: i64,
    pub(crate) limit: i64,
    /// Whether annotations are expanded at every evaluation, and not only when an alert begins, fires or gets worse.
    pub(crate) annotate_always: bool,
    /// Whether a smaller value is a worse one.
    pub(crate) less_is_worse: bool,
}

impl Terms<'_> {
    fn is_worse(self, value: f64, than: f64) -> bool {
        if self.less_is_worse { value < than } else { value > than }
    }
}

/// The alerts of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    pub(crate) active: BTreeMap<Labels, Alert>,
    pub(crate) timeline: Vec<AlertInstance>,
}

/// A sample that a rule writes.
pub(crate) type Written = (Labels, i64, Value);

impl Alerts {
    /// Takes in one evaluation: `t_ms` is the slot, `written_ms` the time of the samples. `annotate` expands
    /// the annotations of an element of the result.
    ///
    /// # Errors
    /// Where two elements get the same labels, or there are more alerts than the limit allows.
    pub(crate) fn evaluate(
        &mut self,
        terms: Terms<'_>,
        t_ms: i64,
        written_ms: i64,
        elements: Vec<Element>,
        annotate: &mut dyn FnMut(usize) -> Vec<(String, String)>,
    ) -> Result<Vec<Written>, String> {
        let mut present: BTreeMap<Labels, (f64, usize)> = BTreeMap::new();
        for element in elements {
            if present.insert(element.labels, (element.value, element.index)).is_some() {
                return Err(
                    "vector contains metrics with the same labelset after applying alert labels".to_owned()
                );
            }
        }
        let known = self.timeline.len();
        for (labels, (value, index)) in &present {
            self.seen(terms, t_ms, labels, *value, *index, annotate);
        }
        let mut out = Vec::new();
        let mut count = 0i64;
        let mut gone = Vec::new();
        let timeline = &mut self.timeline;
        for (labels, alert) in &mut self.active {
            let here = present.get(labels);
            if here.is_some() {
                alert.keep_since_ms = None;
            } else {
                let keep = alert.kept(terms, t_ms);
                let forgotten = alert.resolved_at_ms.is_some_and(|at| t_ms - at > RESOLVED_RETENTION_MS);
                if alert.state == Some(AlertState::Pending) || forgotten {
                    gone.push(labels.clone());
                }
                if alert.state.is_some() && !keep {
                    alert.state = None;
                    alert.resolved_at_ms = Some(t_ms);
                    timeline[alert.instance].ended_at_ms = Some(t_ms);
                }
                if !keep {
                    continue;
                }
                timeline[alert.instance].kept_since_ms = alert.keep_since_ms;
            }
            count += 1;
            if alert.state == Some(AlertState::Pending) && t_ms - alert.active_at_ms >= terms.for_ms {
                alert.state = Some(AlertState::Firing);
                let instance = &mut timeline[alert.instance];
                instance.fired_at_ms = Some(t_ms);
                // Annotations may have changed since the alert became active.
                if let Some((_, index)) = here
                    && instance.active_at_ms != t_ms
                    && !terms.annotate_always
                {
                    alert.annotations = annotate(*index);
                }
                instance.annotations.clone_from(&alert.annotations);
            }
            out.extend(alert.samples(terms, labels, written_ms));
        }
        for labels in gone {
            self.active.remove(&labels);
        }
        if terms.limit > 0 && count > terms.limit {
            self.wipe(t_ms, known);
            return Err(format!("exceeded limit of {} with {count} alerts", terms.limit));
        }
        Ok(out)
    }

    /// Forgets all alerts: those that this evaluation began were never sent to anyone.
    fn wipe(&mut self, t_ms: i64, known: usize) {
        for alert in self.active.values().filter(|a| a.state.is_some() && a.instance < known) {
            let instance = &mut self.timeline[alert.instance];
            instance.ended_at_ms = Some(t_ms);
            if instance.fired_at_ms == Some(t_ms) {
                instance.fired_at_ms = None;
            }
        }
        self.timeline.truncate(known);
        self.active.clear();
    }

    /// An element of the result: a new alert, or a new value of one that is active.
    fn seen(
        &mut self,
        terms: Terms<'_>,
        t_ms: i64,
        labels: &Labels,
        value: f64,
        index: usize,
        annotate: &mut dyn FnMut(usize) -> Vec<(String, String)>,
    ) {
        if let Some(alert) = self.active.get_mut(labels).filter(|a| a.state.is_some()) {
            alert.value = value;
            if terms.annotate_always {
                alert.annotations = annotate(index);
            }
            let instance = &mut self.timeline[alert.instance];
            instance.last_value = value;
            if terms.is_worse(value, instance.worst.value) {
                instance.worst = Worst { at_ms: t_ms, value, annotations: annotate(index) };
            }
            return;
        }
        let annotations = annotate(index);
        let alert = Alert {
            state: Some(AlertState::Pending),
            annotations: annotations.clone(),
            value,
            active_at_ms: t_ms,
            resolved_at_ms: None,
            keep_since_ms: None,
            instance: self.timeline.len(),
            series: None,
        };
        self.timeline.push(AlertInstance {
            id: terms.id,
            labels: labels.clone(),
            active_at_ms: t_ms,
            fired_at_ms: None,
            ended_at_ms: None,
            kept_since_ms: None,
            last_value: value,
            worst: Worst { at_ms: t_ms, value, annotations: annotations.clone() },
            annotations,
        });
        self.active.insert(labels.clone(), alert);
    }

    /// Forgets the stretches of time that are over.
    pub(crate) fn forget_ended(&mut self) {
        let mut kept = Vec::new();
        for alert in self.active.values_mut().filter(|a| a.state.is_some()) {
            kept.push(self.timeline[alert.instance].clone());
            alert.instance = kept.len() - 1;
        }
        self.timeline = kept;
    }

    /// The alerts that fire, with their annotations, sorted by labels.
    pub(crate) fn firing(&self) -> impl Iterator<Item = (&Labels, &Alert)> {
        self.active.iter().filter(|(_, a)| a.state == Some(AlertState::Firing))
    }
}

impl Alert {
    /// Whether `keep_firing_for` keeps an alert firing whose expression no longer holds.
    fn kept(&mut self, terms: Terms<'_>, t_ms: i64) -> bool {
        if self.state != Some(AlertState::Firing) || terms.keep_firing_for_ms <= 0 {
            return false;
        }
        let since = *self.keep_since_ms.get_or_insert(t_ms);
        t_ms - since < terms.keep_firing_for_ms
    }

    /// `ALERTS` and `ALERTS_FOR_STATE`.
    fn samples(&mut self, terms: Terms<'_>, labels: &Labels, written_ms: i64) -> Vec<Written> {
        let Some(state) = self.state else { return Vec::new() };
        let made = self.series.take().filter(|(of, _, _)| *of == state);
        let (_, alerts, for_state) = self.series.insert(made.unwrap_or_else(|| series(terms, labels, state)));
        let active_at_s = self.active_at_ms.div_euclid(1000) as f64;
        vec![
            (alerts.clone(), written_ms, Value::Float(1.0)),
            (for_state.clone(), written_ms, Value::Float(active_at_s)),
        ]
    }
}

/// The labels of an alert's series. A rule's label that expands to nothing keeps its template's text here, as it
/// does in Prometheus.
fn series(terms: Terms<'_>, labels: &Labels, state: AlertState) -> (AlertState, Labels, Labels) {
    let mut builder = labels.to_builder();
    for (name, text) in terms.labels {
        if labels.get(name).is_none() {
            builder.set(name, text);
        }
    }
    builder.set("alertname", terms.name);
    let for_state = builder.clone().set(METRIC_NAME, "ALERTS_FOR_STATE").build();
    let alerts = builder.set(METRIC_NAME, "ALERTS").set("alertstate", state.as_str()).build();
    (state, alerts, for_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a rule over slots 10 s apart: each slot lists the label values present. Prints each slot's state as
    /// `a=pending`, or the error.
    fn check(for_s: i64, keep_s: i64, limit: i64, slots: &[&[&str]], want: &[&str]) -> Vec<AlertInstance> {
        let mut alerts = Alerts::default();
        let terms = Terms {
            id: RuleId::default(),
            name: "A",
            labels: &[],
            for_ms: for_s * 1000,
            keep_firing_for_ms: keep_s * 1000,
            limit,
            annotate_always: false,
            less_is_worse: false,
        };
        let mut got = Vec::new();
        for (i, slot) in slots.iter().enumerate() {
            let element = |(index, l): (usize, &&str)| Element {
                labels: Labels::from_pairs([("alertname", "A"), ("l", *l)]),
                value: i as f64,
                index,
            };
            let elements = slot.iter().enumerate().map(element).collect();
            let t_ms = i as i64 * 10_000;
            got.push(match alerts.evaluate(terms, t_ms, t_ms, elements, &mut |_| Vec::new()) {
                Err(cause) => cause,
                Ok(samples) => {
                    let states: Vec<_> = samples
                        .iter()
                        .filter(|s| s.0.metric_name() == "ALERTS")
                        .map(|s| {
                            format!("{}={}", s.0.get("l").unwrap_or(""), s.0.get("alertstate").unwrap_or(""))
                        })
                        .collect();
                    states.join(" ")
                }
            });
        }
        assert_eq!(got, want);
        alerts.timeline
    }

    #[test]
    fn for_zero_never_shows_pending() {
        let timeline = check(0, 0, 0, &[&[], &["a"], &[]], &["", "a=firing", ""]);
        let i = &timeline[0];
        assert_eq!((i.active_at_ms, i.fired_at_ms, i.ended_at_ms), (10_000, Some(10_000), Some(20_000)));
    }

    #[test]
    fn pending_fires_once_it_has_held_for_long_enough() {
        check(
            20,
            0,
            0,
            &[&["a"], &["a"], &["a"], &["a"]],
            &["a=pending", "a=pending", "a=firing", "a=firing"],
        );
        // A gap starts the wait anew.
        let timeline = check(
            20,
            0,
            0,
            &[&["a"], &[], &["a"], &["a"], &["a"]],
            &["a=pending", "", "a=pending", "a=pending", "a=firing"],
        );
        assert_eq!(timeline.len(), 2);
        assert_eq!(timeline[0].fired_at_ms, None);
        assert!(timeline[1].fired_at_ms.is_some() && timeline[1].last_value == 4.0);
    }

    #[test]
    fn the_worst_evaluation_is_remembered_with_its_text() {
        let worst = |less_is_worse: bool, values: &[f64]| {
            let mut alerts = Alerts::default();
            let terms = Terms {
                id: RuleId::default(),
                name: "A",
                labels: &[],
                for_ms: 0,
                keep_firing_for_ms: 0,
                limit: 0,
                annotate_always: false,
                less_is_worse,
            };
            for (i, value) in values.iter().enumerate() {
                let element = Element { labels: Labels::empty(), value: *value, index: 0 };
                let text = vec![("summary".to_owned(), value.to_string())];
                let t_ms = i as i64;
                alerts.evaluate(terms, t_ms, t_ms, vec![element], &mut |_| text.clone()).expect("evaluates");
            }
            let worst = alerts.timeline[0].worst.clone();
            (worst.at_ms, worst.annotations[0].1.clone())
        };
        assert_eq!(worst(false, &[3.0, 9.0, 9.0, 1.0]), (1, "9".to_owned()));
        assert_eq!(worst(true, &[3.0, 9.0, 1.0, 2.0]), (2, "1".to_owned()));
    }

    #[test]
    fn keep_firing_for_counts_from_the_first_absence() {
        let timeline = check(
            0,
            20,
            0,
            &[&["a"], &[], &[], &[], &["a"]],
            &["a=firing", "a=firing", "a=firing", "", "a=firing"],
        );
        assert_eq!(timeline.len(), 2);
        assert_eq!((timeline[0].kept_since_ms, timeline[0].ended_at_ms), (Some(10_000), Some(30_000)));
        // A return clears the count; a pending alert is not kept.
        check(0, 20, 0, &[&["a"], &[], &["a"], &[], &[]], &["a=firing"; 5]);
        check(20, 50, 0, &[&["a"], &[]], &["a=pending", ""]);
    }

    #[test]
    fn beyond_the_limit_all_state_is_lost() {
        let timeline = check(
            10,
            0,
            1,
            &[&["a"], &["a", "b"], &["a"], &["a"]],
            &["a=pending", "exceeded limit of 1 with 2 alerts", "a=pending", "a=firing"],
        );
        assert_eq!(timeline.len(), 2, "the alerts of the refused evaluation were never sent");
        assert_eq!((timeline[0].fired_at_ms, timeline[0].ended_at_ms), (None, Some(10_000)));
        check(
            0,
            0,
            0,
            &[&["a", "a"]],
            &["vector contains metrics with the same labelset after applying alert labels"],
        );
    }
}
