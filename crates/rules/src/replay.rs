//! Replays rules over recorded series, as Prometheus would have evaluated them while they were recorded.
//!
//! Source: Prometheus `rules/group.go` v3.13. Invariant: what a rule reads at a slot is what the source holds and what
//! rules had written before it; of groups that share a slot, those whose series others read are evaluated first, so that
//! the order of the files decides nothing.

mod columns;
mod depend;
mod rule;
pub(crate) mod slots;
mod steps;

use assay_model::{Labels, Queryable};
use assay_promql::{Annotation, Engine, EngineOptions, Reserved};

pub use crate::alert::{AlertInstance, AlertState, Worst};
pub use slots::{SlotMode, slot_offset_ms};

use crate::{
    file::{RuleFiles, RuleId, RuleKind},
    overlay::{Hidden, Overlay, View},
};

pub(crate) use depend::{group_order, may_match};
pub(crate) use rule::{Environment, RuleRun, instant};

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The first moment at which a group may be evaluated, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The last one, itself included.
    pub end_ms: i64,
    /// How often groups without an interval of their own are evaluated.
    pub interval_ms: i64,
    /// The query offset of groups without one of their own.
    pub query_offset_ms: i64,
    /// Where the slots of a group lie.
    pub slots: SlotMode,
    /// Labels that the server adds to all it sends; templates see them.
    pub external_labels: Labels,
    /// The URL under which people reach the server; templates see it. Empty where unknown.
    pub external_url: String,
    /// How expressions are evaluated.
    pub engine: EngineOptions,
    /// How rules are evaluated; the result is the same.
    pub evaluation: Evaluation,
}

impl ReplayOptions {
    /// The options that a Prometheus without configuration would have, over a range of time.
    #[must_use]
    pub fn new(start_ms: i64, end_ms: i64) -> Self {
        Self {
            start_ms,
            end_ms,
            interval_ms: 60_000,
            query_offset_ms: 0,
            slots: SlotMode::Start,
            external_labels: Labels::empty(),
            external_url: String::new(),
            engine: EngineOptions::default(),
            evaluation: Evaluation::Columns,
        }
    }
}

/// How rules are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// All slots of a rule at once where nothing it reads depends on them; else slot by slot.
    Columns,
    /// Slot by slot, as Prometheus does.
    Steps,
}

/// What a replay yields.
#[derive(Clone, Debug, Default)]
pub struct ReplayResult {
    /// Every stretch of time in which an alert was active: by group, rule, start and labels.
    pub alerts: Vec<AlertInstance>,
    /// The rules, in the order of the files, with what their evaluation came to.
    pub rules: Vec<RuleSummary>,
    /// Evaluations that failed, in the order of the rules.
    pub errors: Vec<RuleError>,
    /// What the engine had to say of the expressions, each remark once for each rule.
    pub annotations: Vec<RuleAnnotation>,
    /// What the rules wrote: recorded series, `ALERTS` and `ALERTS_FOR_STATE`, stale markers included.
    pub series: Overlay,
    hidden: Hidden,
    /// What the series hold of the queries' memory.
    _held: Option<Reserved>,
}

impl ReplayResult {
    /// The source with what the rules wrote over it; series of the source that a rule writes are left out.
    #[must_use]
    pub fn view<'a>(&'a self, source: &'a dyn Queryable) -> View<'a> {
        View { source, overlay: &self.series, hidden: &self.hidden }
    }
}

/// What the evaluations of one rule came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSummary {
    /// The rule's place in its files.
    pub id: RuleId,
    /// How often the rule was evaluated.
    pub evaluations: usize,
    /// How many evaluations failed.
    pub failures: usize,
    /// How many had a result that was not empty.
    pub with_result: usize,
    /// How many samples the rule wrote, stale markers left out.
    pub samples: usize,
}

/// Evaluations of a rule that failed in a row for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The rule's place in its files.
    pub id: RuleId,
    /// The first evaluation that failed, in milliseconds since the Unix epoch.
    pub first_ms: i64,
    /// The last one.
    pub last_ms: i64,
    /// How many there were.
    pub count: usize,
    /// Why.
    pub message: String,
}

/// A remark of the engine on a rule's expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAnnotation {
    /// The rule's place in its files.
    pub id: RuleId,
    /// The remark; its span is in the rule's expression.
    pub annotation: Annotation,
}

/// Replays rules over a source.
///
/// What fails in the evaluation of a rule is a row of the result, as it is a log line of Prometheus.
#[must_use]
pub fn replay(source: &dyn Queryable, files: &RuleFiles, options: &ReplayOptions) -> ReplayResult {
    let mut state = State::new(source, files, options);
    if options.evaluation == Evaluation::Columns && columns::run(&mut state) {
        return state.finish();
    }
    if options.evaluation == Evaluation::Columns {
        state = State::new(source, files, options);
    }
    steps::run(&mut state, &|_| true);
    state.finish()
}

/// A replay under way.
pub(crate) struct State<'a> {
    pub(crate) source: &'a dyn Queryable,
    pub(crate) options: &'a ReplayOptions,
    pub(crate) engine: Engine,
    /// By group, then by rule.
    pub(crate) runs: Vec<Vec<RuleRun<'a>>>,
    pub(crate) groups: Vec<slots::Slots>,
    /// The groups in the order of their evaluation at a slot that they share.
    pub(crate) order: Vec<usize>,
    pub(crate) overlay: Overlay,
    pub(crate) hidden: Hidden,
    held: Reserved,
}

impl<'a> State<'a> {
    fn new(source: &'a dyn Queryable, files: &'a RuleFiles, options: &'a ReplayOptions) -> Self {
        let mut runs = runs(files, options);
        let mut groups = Vec::with_capacity(files.groups.len());
        for (group, rules) in files.groups.iter().zip(&mut runs) {
            let (slots, problem) = slots::Slots::of(group, options).checked();
            for run in rules {
                problem.iter().for_each(|message| run.fail(options.start_ms, message.clone()));
            }
            groups.push(slots);
        }
        Self {
            source,
            options,
            engine: Engine::new(options.engine.clone()),
            order: depend::group_order(&runs),
            runs,
            groups,
            overlay: Overlay::default(),
            hidden: hidden(files),
            held: Reserved::nothing(&options.engine.limits.memory),
        }
    }

    /// Holds, of the memory that queries may have, what the rules wrote and this many bytes more; else says that it is
    /// too much.
    fn hold(&mut self, more: usize) -> Result<(), String> {
        self.held.set(self.overlay.bytes() + more).map_err(|e| e.to_string())
    }

    fn run(&self, id: RuleId) -> &RuleRun<'a> {
        &self.runs[id.group][id.rule]
    }

    fn run_mut(&mut self, id: RuleId) -> &mut RuleRun<'a> {
        &mut self.runs[id.group][id.rule]
    }

    fn finish(self) -> ReplayResult {
        let (series, hidden, held) = (self.overlay, self.hidden, Some(self.held));
        let mut out = ReplayResult { series, hidden, _held: held, ..ReplayResult::default() };
        for run in self.runs.into_iter().flatten() {
            let mut timeline = run.alerts.timeline;
            timeline.sort_by(|a, b| (a.active_at_ms, &a.labels).cmp(&(b.active_at_ms, &b.labels)));
            out.alerts.extend(timeline);
            out.rules.push(run.summary);
            out.errors.extend(run.errors);
            out.annotations.extend(run.annotations);
        }
        out
    }
}

/// The rules before their first evaluation: by group, then by rule.
pub(crate) fn runs<'a>(files: &'a RuleFiles, options: &ReplayOptions) -> Vec<Vec<RuleRun<'a>>> {
    let mut number = 0;
    let groups = files.groups.iter().enumerate().map(|(g, group)| {
        let offset_ms = group.query_offset_ms.unwrap_or(options.query_offset_ms);
        let rules = group.rules.iter().enumerate().map(|(r, rule)| {
            let mut run = RuleRun::new(RuleId { group: g, rule: r }, group, rule, offset_ms);
            (run.number, number) = (number, number + 1);
            run
        });
        rules.collect()
    });
    groups.collect()
}

/// The series of the source that the rules write again.
pub(crate) fn hidden(files: &RuleFiles) -> Hidden {
    let mut hidden = Hidden::default();
    for (_, rule) in files.rules() {
        match rule.kind {
            RuleKind::Recording => hidden.names.insert(rule.name.clone()),
            RuleKind::Alerting(_) => hidden.alerts.insert(rule.name.clone()),
        };
    }
    hidden
}
