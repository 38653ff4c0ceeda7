//! A run's plan, read from its own series: what phases there were to be, when they ran and how they ended.
//!
//! loadgen publishes these series from before the first request until after the last, and they reach every record of
//! a run alike, whether it was recorded, scraped, exported or merged:
//!
//! | series | value |
//! |---|---|
//! | `load_run_info{load_scenario, load_mode, load_shard}` | 1 |
//! | `load_run_outcome{outcome}` | 1 for the one that holds |
//! | `load_phase_info{load_phase, executor, warmup}` | 1, for every planned phase |
//! | `load_phase_planned_seconds{load_phase}` | the planned length |
//! | `load_phase_start_time_seconds`, `load_phase_end_time_seconds{load_phase}` | Unix time; 0 until then |
//! | `load_phase_outcome{load_phase, outcome}` | 1 for the one that holds |
//!
//! Invariant: a plan is what the series say. Nothing is inferred from activity. Shards join as one load: the earliest
//! start, the latest end, the worst outcome.

use std::collections::BTreeMap;

use assay_model::{Column, Labels, METRIC_NAME, Matcher, QueryError, Queryable, is_stale};
use serde::{Deserialize, Serialize};

/// The label by which everything that one load emits is distinguished from other loads.
pub const RUN_LABEL: &str = "load_run";
/// The label of a phase.
pub const PHASE_LABEL: &str = "load_phase";
/// The metrics of the plan.
pub const PLAN_METRICS: [&str; 7] = [
    "load_run_info",
    "load_run_outcome",
    "load_phase_info",
    "load_phase_planned_seconds",
    "load_phase_start_time_seconds",
    "load_phase_end_time_seconds",
    "load_phase_outcome",
];

/// How a load ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadOutcome {
    /// All phases ran to their end.
    Finished,
    /// It had not ended when the record did: the generator was killed, or is still at work.
    Running,
    /// Someone stopped it.
    Interrupted,
    /// It stopped itself.
    Aborted,
}

/// How a phase ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseOutcome {
    /// It ran for as long as was planned.
    Finished,
    /// It had not ended when the record did.
    Running,
    /// It never began.
    Planned,
    /// It was stopped before its end.
    CutShort,
}

impl LoadOutcome {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("finished", Self::Finished),
        ("running", Self::Running),
        ("interrupted", Self::Interrupted),
        ("aborted", Self::Aborted),
    ];

    fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, outcome)| *outcome)
    }
}

impl PhaseOutcome {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("finished", Self::Finished),
        ("running", Self::Running),
        ("planned", Self::Planned),
        ("cut_short", Self::CutShort),
    ];

    fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, outcome)| *outcome)
    }
}

/// What was to be run, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The id of the load, if its series carry one.
    pub run: Option<String>,
    /// The scenario's name.
    pub scenario: Option<String>,
    /// The mode.
    pub mode: Option<String>,
    /// How the load ended.
    pub outcome: LoadOutcome,
    /// The time of the last sample of the plan: until when the load is known to have gone on.
    pub last_ms: i64,
    /// Every planned phase, those that began first and in the order of their start.
    pub phases: Vec<PlannedPhase>,
    /// The ids of other loads in the same data, which this plan is not about.
    pub others: Vec<String>,
}

/// A phase of a plan. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// The executor's name, as in the scenario.
    pub executor: Option<String>,
    /// Whether it only warms up.
    pub warmup: bool,
    /// How long it was to run, if that is known.
    pub planned_ms: Option<i64>,
    /// When it began; `None` if it did not.
    pub start_ms: Option<i64>,
    /// When it ended; `None` if it did not.
    pub end_ms: Option<i64>,
    /// How it ended.
    pub outcome: PhaseOutcome,
}

impl Plan {
    /// The plan of the load in a record, as it stood at the record's end; of several loads, that which began last.
    /// `None` if the series of a plan are not there.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn read(data: &dyn Queryable) -> Result<Option<Self>, QueryError> {
        let mut loads: BTreeMap<Option<String>, Draft> = BTreeMap::new();
        for metric in PLAN_METRICS {
            for series in data.select(&[Matcher::equal(METRIC_NAME, metric)], i64::MIN, i64::MAX)? {
                let mut column = Column::default();
                series.read(i64::MIN, i64::MAX, &mut column)?;
                let labels = series.labels();
                let Some((t_ms, value)) = last(&column) else { continue };
                let load = loads.entry(labels.get(RUN_LABEL).map(str::to_owned)).or_default();
                load.take(metric, labels, t_ms, value);
            }
        }
        loads.retain(|_, load| !load.phases.is_empty());
        let Some(newest) =
            loads.iter().max_by_key(|(_, load)| load.first_start_ms()).map(|(id, _)| id.clone())
        else {
            return Ok(None);
        };
        let draft = loads.remove(&newest).unwrap_or_default();
        let others = loads.into_keys().flatten().collect();
        Ok(Some(draft.finish(newest, others)))
    }

    /// The phase of this name.
    #[must_use]
    pub fn phase(&self, name: &str) -> Option<&PlannedPhase> {
        self.phases.iter().find(|p| p.name == name)
    }
}

/// The last sample that is not a stale marker.
fn last(column: &Column) -> Option<(i64, f64)> {
    let at = column.values.iter().rposition(|v| !is_stale(*v))?;
    Some((column.times[at], column.values[at]))
}

/// What is known of a load so far.
#[derive(Default)]
struct Draft {
    scenario: Option<String>,
    mode: Option<String>,
    /// By the shard that reports it (job and instance).
    outcomes: BTreeMap<Shard, Latest<LoadOutcome>>,
    last_ms: i64,
    phases: BTreeMap<String, DraftPhase>,
}

type Shard = (String, String);

/// The state that was last seen to hold.
struct Latest<T> {
    t_ms: i64,
    state: T,
}

#[derive(Default)]
struct DraftPhase {
    executor: Option<String>,
    warmup: bool,
    planned_ms: Option<i64>,
    start_ms: Option<i64>,
    /// The latest end, and whether a shard has none yet.
    end_ms: Option<i64>,
    is_open: bool,
    outcomes: BTreeMap<Shard, Latest<PhaseOutcome>>,
}

fn hold<T>(states: &mut BTreeMap<Shard, Latest<T>>, shard: Shard, t_ms: i64, state: T) {
    if states.get(&shard).is_none_or(|known| known.t_ms < t_ms) {
        states.insert(shard, Latest { t_ms, state });
    }
}

fn worst<T: Copy + Ord>(states: &BTreeMap<Shard, Latest<T>>) -> Option<T> {
    states.values().map(|known| known.state).max()
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

impl Draft {
    fn take(&mut self, metric: &str, labels: &Labels, t_ms: i64, value: f64) {
        self.last_ms = self.last_ms.max(t_ms);
        let label = |name: &str| labels.get(name).map(str::to_owned);
        let shard = (label("job").unwrap_or_default(), label("instance").unwrap_or_default());
        let outcome = labels.get("outcome").unwrap_or_default();
        match metric {
            "load_run_info" => {
                self.scenario = label("load_scenario");
                self.mode = label("load_mode").filter(|m| !m.is_empty());
            }
            "load_run_outcome" => {
                if let (true, Some(state)) = (value == 1.0, LoadOutcome::named(outcome)) {
                    hold(&mut self.outcomes, shard, t_ms, state);
                }
            }
            _ => {
                let phase = self.phases.entry(label(PHASE_LABEL).unwrap_or_default()).or_default();
                match metric {
                    "load_phase_info" => {
                        phase.executor = label("executor");
                        phase.warmup = labels.get("warmup") == Some("true");
                    }
                    "load_phase_planned_seconds" => {
                        phase.planned_ms = phase.planned_ms.max(Some(milliseconds(value)));
                    }
                    "load_phase_start_time_seconds" if value > 0.0 => {
                        let start_ms = milliseconds(value);
                        phase.start_ms = Some(phase.start_ms.map_or(start_ms, |s| s.min(start_ms)));
                    }
                    "load_phase_end_time_seconds" if value > 0.0 => {
                        phase.end_ms = phase.end_ms.max(Some(milliseconds(value)));
                    }
                    "load_phase_end_time_seconds" => phase.is_open = true,
                    "load_phase_outcome" if value == 1.0 => {
                        if let Some(state) = PhaseOutcome::named(outcome) {
                            hold(&mut phase.outcomes, shard, t_ms, state);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn first_start_ms(&self) -> i64 {
        self.phases.values().filter_map(|p| p.start_ms).min().unwrap_or(i64::MIN)
    }

    fn finish(self, run: Option<String>, others: Vec<String>) -> Plan {
        let mut phases: Vec<PlannedPhase> =
            self.phases.into_iter().map(|(name, phase)| phase.finish(name)).collect();
        phases.sort_by_key(|p| p.start_ms.unwrap_or(i64::MAX));
        let outcome = worst(&self.outcomes).unwrap_or(LoadOutcome::Running);
        Plan { run, scenario: self.scenario, mode: self.mode, outcome, last_ms: self.last_ms, phases, others }
    }
}

impl DraftPhase {
    fn finish(self, name: String) -> PlannedPhase {
        let end_ms = self.end_ms.filter(|_| !self.is_open);
        let outcome = worst(&self.outcomes).unwrap_or(match (self.start_ms, end_ms) {
            (None, _) => PhaseOutcome::Planned,
            (Some(_), None) => PhaseOutcome::Running,
            (Some(_), Some(_)) => PhaseOutcome::Finished,
        });
        PlannedPhase {
            name,
            executor: self.executor,
            warmup: self.warmup,
            planned_ms: self.planned_ms,
            start_ms: self.start_ms,
            end_ms,
            outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_tsdb::{Database, Head, HeadOptions, OpenOptions};

    use super::*;

    /// A gauge: its labels, then times in seconds and values.
    type Gauge<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

    /// A record of gauges.
    fn record(series: &[Gauge<'_>]) -> Database {
        let dir = tempfile::tempdir().expect("a directory");
        let mut head = Head::create(dir.path(), HeadOptions::default()).expect("begins");
        for (labels, samples) in series {
            let labels = Labels::from_pairs(labels.iter().copied());
            for (s, v) in *samples {
                head.append(&labels, s * 1000, *v).expect("appends");
            }
        }
        head.finish().expect("finishes");
        Database::open(dir.path(), OpenOptions::default()).expect("opens")
    }

    fn phase<'a>(metric: &'a str, run: &'a str, instance: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![("__name__", metric), ("load_run", run), ("instance", instance), ("load_phase", "steady")]
    }

    #[test]
    fn shards_join_as_one_load() {
        let outcome =
            |instance, state| [phase("load_phase_outcome", "r", instance), vec![("outcome", state)]].concat();
        let info =
            [phase("load_phase_info", "r", "a"), vec![("executor", "constant-vus"), ("warmup", "false")]]
                .concat();
        let data = record(&[
            (&info, &[(0, 1.0), (100, 1.0)]),
            (&phase("load_phase_start_time_seconds", "r", "a"), &[(0, 0.0), (100, 10.5)]),
            (&phase("load_phase_start_time_seconds", "r", "b"), &[(0, 0.0), (100, 10.25)]),
            (&phase("load_phase_end_time_seconds", "r", "a"), &[(0, 0.0), (100, 40.0)]),
            (&phase("load_phase_end_time_seconds", "r", "b"), &[(0, 0.0), (100, 41.0)]),
            (&outcome("a", "running"), &[(0, 0.0), (20, 1.0), (100, 0.0)]),
            (&outcome("a", "finished"), &[(0, 0.0), (100, 1.0)]),
            (&outcome("b", "cut_short"), &[(0, 0.0), (100, 1.0)]),
        ]);
        let plan = Plan::read(&data).expect("reads").expect("is there");
        let steady = plan.phase("steady").expect("is planned");
        assert_eq!((steady.start_ms, steady.end_ms), (Some(10_250), Some(41_000)));
        assert_eq!((steady.outcome, steady.warmup), (PhaseOutcome::CutShort, false));
        assert_eq!((plan.run.as_deref(), plan.outcome), (Some("r"), LoadOutcome::Running));
    }

    #[test]
    fn a_shard_that_has_not_ended_leaves_the_phase_open() {
        let data = record(&[
            (&phase("load_phase_start_time_seconds", "r", "a"), &[(0, 10.0)]),
            (&phase("load_phase_end_time_seconds", "r", "a"), &[(0, 40.0)]),
            (&phase("load_phase_end_time_seconds", "r", "b"), &[(0, 0.0)]),
        ]);
        let plan = Plan::read(&data).expect("reads").expect("is there");
        assert_eq!((plan.phases[0].end_ms, plan.phases[0].outcome), (None, PhaseOutcome::Running));
    }

    #[test]
    fn of_several_loads_the_last_is_read() {
        let data = record(&[
            (&phase("load_phase_start_time_seconds", "old", "a"), &[(0, 10.0)]),
            (&phase("load_phase_start_time_seconds", "new", "a"), &[(100, 90.0)]),
        ]);
        let plan = Plan::read(&data).expect("reads").expect("is there");
        assert_eq!((plan.run.as_deref(), plan.others.as_slice()), (Some("new"), &["old".to_owned()][..]));
        assert!(Plan::read(&record(&[(&[("__name__", "up")], &[(0, 1.0)])])).expect("reads").is_none());
    }
}
