//! Rules over a run in progress: each call evaluates the slots that have come since the last one.
//!
//! What an evaluation does is what it does in a [replay](crate::replay()), slot by slot. Invariant: memory does not
//! grow with the length of the run: what rules wrote is kept for as long as any rule can look back, and of alerts
//! those that are active.

use std::collections::BTreeMap;

use assay_model::{Labels, Queryable};
use assay_promql::{Engine, ast::DurationContext};

use crate::{
    file::{RuleFiles, RuleKind},
    overlay::{Hidden, Overlay, View},
    replay::{Environment, ReplayOptions, RuleRun, group_order, hidden, runs, slots::Slots},
};

/// Templates may query what they like; this far back they find what rules wrote.
const LEAST_HORIZON_MS: i64 = 3_600_000;
/// How often what is too old is forgotten.
const FORGET_EVERY_MS: i64 = 60_000;
/// The most failures of a rule that are kept.
const MAX_ERRORS: usize = 100;

/// Rules under evaluation.
pub struct Live<'a> {
    options: ReplayOptions,
    engine: Engine,
    groups: Vec<LiveGroup<'a>>,
    /// The groups in the order of their evaluation.
    order: Vec<usize>,
    overlay: Overlay,
    hidden: Hidden,
    horizon_ms: i64,
    forgotten_ms: i64,
}

struct LiveGroup<'a> {
    rules: Vec<RuleRun<'a>>,
    slots: Slots,
    next_ms: i64,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq)]
pub struct FiringAlert {
    /// Its name.
    pub name: String,
    /// Its labels, `alertname` among them.
    pub labels: Labels,
    /// The value at the last evaluation at which its expression held.
    pub value: f64,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl<'a> Live<'a> {
    /// Rules that are evaluated from `options.start_ms` on; `options.end_ms` is not looked at.
    #[must_use]
    pub fn new(files: &'a RuleFiles, options: ReplayOptions) -> Self {
        let options = ReplayOptions { end_ms: i64::MAX, ..options };
        let runs = runs(files, &options);
        let order = group_order(&runs);
        let groups = files.groups.iter().zip(runs).map(|(group, rules)| {
            let slots = Slots::of(group, &options);
            LiveGroup { rules, slots, next_ms: slots.first_ms }
        });
        Self {
            engine: Engine::new(options.engine.clone()),
            groups: groups.collect(),
            order,
            overlay: Overlay::default(),
            hidden: hidden(files),
            horizon_ms: horizon_ms(files, options.engine.lookback_ms),
            forgotten_ms: options.start_ms,
            options,
        }
    }

    /// When the next group is due, in milliseconds since the Unix epoch; `None` where there is no group.
    #[must_use]
    pub fn next_ms(&self) -> Option<i64> {
        self.groups.iter().map(|g| g.next_ms).min()
    }

    /// Evaluates the groups that are due at `now_ms`, each once, at its latest slot: as a server does, it leaves
    /// out slots that it came too late for.
    pub fn advance(&mut self, source: &dyn Queryable, now_ms: i64) {
        let mut due: Vec<(i64, usize)> = Vec::new();
        for (place, g) in self.order.iter().enumerate() {
            let group = &mut self.groups[*g];
            if group.next_ms > now_ms {
                continue;
            }
            let late = (now_ms - group.next_ms) / group.slots.interval_ms;
            let t_ms = group.next_ms + late * group.slots.interval_ms;
            group.next_ms = t_ms + group.slots.interval_ms;
            due.push((t_ms, place));
        }
        due.sort_unstable();
        for (t_ms, place) in due {
            for run in &mut self.groups[self.order[place]].rules {
                let view = View { source, overlay: &self.overlay, hidden: &self.hidden };
                let written = run.step(t_ms, &Environment::of(&self.engine, &view, &self.options));
                run.commit(t_ms, written, &mut self.overlay);
            }
        }
        if now_ms - self.forgotten_ms >= FORGET_EVERY_MS {
            self.forget(now_ms);
        }
    }

    fn forget(&mut self, now_ms: i64) {
        self.forgotten_ms = now_ms;
        self.overlay.forget_before(now_ms - self.horizon_ms);
        for run in self.groups.iter_mut().flat_map(|g| &mut g.rules) {
            run.alerts.forget_ended();
            let excess = run.errors.len().saturating_sub(MAX_ERRORS);
            run.errors.drain(..excess);
        }
    }

    /// The alerts that fired at the last evaluation of their rule, in the order of the rules.
    #[must_use]
    pub fn firing(&self) -> Vec<FiringAlert> {
        let mut out = Vec::new();
        for run in self.groups.iter().flat_map(|g| &g.rules) {
            out.extend(run.alerts.firing().map(|(labels, alert)| FiringAlert {
                name: run.rule.name.clone(),
                labels: labels.clone(),
                value: alert.value,
                annotations: alert.annotations.iter().cloned().collect(),
            }));
        }
        out
    }

    /// Why rules failed at their last evaluation, each as messages name the rule.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let all = self.groups.iter().flat_map(|g| &g.rules);
        all.filter_map(|run| Some(format!("{}: {}", run.rule.title(), run.last_error.as_ref()?))).collect()
    }

    /// How many samples of rules are kept.
    #[must_use]
    pub fn kept_samples(&self) -> usize {
        self.overlay.series().iter().map(|(_, column)| column.len()).sum()
    }
}

/// How far back any rule can look: all durations of an expression together, which is never less than how far
/// its selectors reach.
fn horizon_ms(files: &RuleFiles, lookback_ms: i64) -> i64 {
    let mut horizon_ms = LEAST_HORIZON_MS;
    for (_, rule) in files.rules() {
        let mut reach_ms = lookback_ms;
        rule.expr.walk(&mut |e| {
            for duration in e.durations() {
                let ms = duration.resolve_ms(DurationContext::default(), true).unwrap_or(0);
                reach_ms = reach_ms.saturating_add(ms.saturating_abs());
            }
        });
        if let RuleKind::Alerting(alerting) = &rule.kind {
            reach_ms = reach_ms.saturating_add(alerting.keep_firing_for_ms);
        }
        horizon_ms = horizon_ms.max(reach_ms);
    }
    horizon_ms
}

#[cfg(test)]
mod tests {
    use assay_model::{METRIC_NAME, Value};

    use super::*;
    use crate::replay::replay;

    const RULES: &str = "
groups:
- name: g
  interval: 10s
  rules:
  - {record: job:x, expr: sum by (job) (x)}
  - {alert: High, expr: 'job:x > 5', for: 20s, labels: {severity: critical}, annotations: {summary: 'at {{ $value }}'}}
  - {alert: Flaps, expr: 'x{job=\"b\"} % 2 == 1'}
";

    fn rules(dir: &tempfile::TempDir) -> RuleFiles {
        let path = dir.path().join("r.yml");
        std::fs::write(&path, RULES).expect("written");
        RuleFiles::load(&[path.display().to_string()]).unwrap_or_else(|e| panic!("{e}"))
    }

    fn source(until_s: i64) -> Overlay {
        let mut source = Overlay::default();
        for job in ["a", "b"] {
            let labels = Labels::from_pairs([(METRIC_NAME, "x"), ("job", job)]);
            for s in (0..=until_s).step_by(10) {
                let v = if job == "a" { s / 10 } else { s / 10 % 4 };
                source.append(&labels, s * 1000, &Value::Float(v as f64)).expect("appended");
            }
        }
        source
    }

    #[test]
    fn what_fires_live_is_what_fires_in_a_replay() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = rules(&dir);
        let mut live = Live::new(&files, ReplayOptions::new(0, 0));
        let mut fired: Vec<(i64, String)> = Vec::new();
        for s in (0..=120).step_by(5) {
            // A source that has no more than the present has.
            live.advance(&source(s), s * 1000);
            for alert in live.firing().into_iter().filter(|a| a.name == "High") {
                if fired.iter().all(|(_, l)| *l != alert.labels.to_string()) {
                    fired.push((s * 1000, alert.labels.to_string()));
                    assert_eq!(alert.annotations["summary"], "at 8");
                    assert_eq!(alert.value, 8.0);
                }
            }
        }
        let all = replay(&source(120), &files, &ReplayOptions::new(0, 120_000));
        let want: Vec<_> = all
            .alerts
            .iter()
            .filter(|a| a.labels.get("alertname") == Some("High"))
            .filter_map(|a| Some((a.fired_at_ms?, a.labels.to_string())))
            .collect();
        assert_eq!(fired.len(), 1);
        assert_eq!(fired, want);
        assert!(live.failures().is_empty());
        assert_eq!(live.next_ms(), Some(130_000));
    }

    #[test]
    fn memory_does_not_grow_with_the_run() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = rules(&dir);
        let mut live = Live::new(&files, ReplayOptions::new(0, 0));
        let data = source(6 * 3600);
        let mut kept = Vec::new();
        for s in (0..=6 * 3600).step_by(10) {
            live.advance(&data, s * 1000);
            if s % 3600 == 0 {
                let instances: usize =
                    live.groups.iter().flat_map(|g| &g.rules).map(|r| r.alerts.timeline.len()).sum();
                kept.push((live.kept_samples(), instances));
            }
        }
        let [.., early, _, late] = kept[..] else { panic!("seven of them") };
        assert!(late.0 <= early.0 + 20 && late.1 <= 10, "{kept:?}");
        assert!(live.firing().iter().any(|a| a.name == "High"), "it still knows what fires");
    }
}
