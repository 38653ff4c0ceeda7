//! What is measured of a run to be held against others: the left side of each objective, and the service's steps and stages.
//!
//! Invariant: a figure is of one phase of one run alone and knows nothing of what it will be compared with, so that a baseline
//! file can hold it and decide as the run itself would.

use std::collections::BTreeMap;

use assay_run::Run;
use serde::Serialize;

use crate::{
    data::RunData,
    histogram::{FAILURES, Histogram, REQUESTS, STAGES},
    sla::{self, Sla},
    source::{RecordedSource, Source, SourceError, numbers, series},
    verdict::{RunInfo, Window},
    windows,
};

pub(crate) mod readings;

/// How many batches a phase is cut into at first.
const BATCHES: i64 = 30;
/// The shortest batch.
const SHORTEST_MS: i64 = 3_000;
/// The fewest batches that a spread is taken from.
pub(crate) const FEWEST: usize = 6;

/// Names and values of labels.
pub type Pairs = Vec<(String, String)>;

/// What a measure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// An objective of an SLA.
    Objective,
    /// A step of the scenario.
    Step,
    /// A stage of the service.
    Stage,
}

impl Part {
    /// All of them, in the order shown.
    pub const ALL: [Self; 3] = [Self::Objective, Self::Step, Self::Stage];

    /// The word that files and reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Objective => "objective",
            Self::Step => "step",
            Self::Stage => "stage",
        }
    }
}

/// Something that is measured in each phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What it is about.
    pub part: Part,
    /// The SLA that asks for it; empty for steps and stages.
    pub sla: String,
    /// The objective's name, or that of the figure.
    pub name: String,
    /// The unit, or empty.
    pub unit: String,
    /// The expression, in which `$__range` is the length of the phase or batch.
    pub measure: String,
    /// How the value is compared with its limit: `<` where less is better, `>` where more is.
    pub comparison: String,
    /// The limit, if it is one number.
    pub limit: Option<f64>,
    /// The phases; none means every one that does not warm up, and for objectives the whole run.
    pub phases: Vec<String>,
}

/// A series of a measure in a phase of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The phase, or `None` for the whole run.
    pub phase: Option<String>,
    /// The series' labels without those that name a place.
    pub labels: Pairs,
    /// The value over the phase; `None` without data.
    pub value: Option<f64>,
    /// How long the phase was.
    pub length_ms: i64,
    /// Values over parts of the phase, in batches of several lengths, the shortest first.
    pub batches: Vec<Batches>,
}

/// A measure's values over parts of a phase, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batches {
    /// How long each part is.
    pub length_ms: i64,
    /// The finite values.
    pub values: Vec<f64>,
}

/// A measure with its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was measured.
    pub measure: Measure,
    /// By phase, then labels.
    pub figures: Vec<Figure>,
}

/// A run with what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredRun {
    /// The run.
    pub info: RunInfo,
    /// By measure.
    pub measured: Vec<Measured>,
}

impl Measure {
    /// Whether a greater value is a better one.
    #[must_use]
    pub fn more_is_better(&self) -> bool {
        self.comparison.starts_with('>')
    }

    /// Whether it is the same measure, whatever its limit.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.part, &self.sla, &self.name) == (other.part, &other.sla, &other.name)
    }
}

impl MeasuredRun {
    /// The figures of a measure; none if it was not measured.
    #[must_use]
    pub fn of(&self, measure: &Measure) -> Option<&Measured> {
        self.measured.iter().find(|m| m.measure.is_same(measure))
    }
}

/// The measures of the objectives of SLAs.
#[must_use]
pub fn of_objectives(slas: &[Sla]) -> Vec<Measure> {
    let of_sla = |sla: &Sla| {
        let measure = |o: &sla::Objective| Measure {
            part: Part::Objective,
            sla: sla.name.clone(),
            name: o.name.clone(),
            unit: o.unit.clone(),
            measure: o.require.measure_text().to_owned(),
            comparison: o.require.op.as_str().to_owned(),
            limit: o.require.limit(1).parse().ok(),
            phases: o.phases.clone().unwrap_or_else(|| sla.judge.phases.clone()),
        };
        sla.objectives.iter().map(measure).collect::<Vec<_>>()
    };
    slas.iter().flat_map(of_sla).collect()
}

/// The measures of every step and stage.
#[must_use]
pub fn of_steps_and_stages() -> Vec<Measure> {
    let steps = Histogram { by: "load_step", ..REQUESTS };
    let failures = Histogram { by: steps.by, ..FAILURES };
    let measure = |part, name: &str, unit: &str, text: String, comparison: &str, limit| Measure {
        part,
        sla: String::new(),
        name: name.to_owned(),
        unit: unit.to_owned(),
        measure: text.replace("RANGE", "$__range"),
        comparison: comparison.to_owned(),
        limit,
        phases: Vec::new(),
    };
    let failed = format!("100 * ({} or 0 * {}) / {}", failures.count(), steps.count(), steps.count());
    let mut all = vec![
        measure(Part::Step, "requests", "/s", format!("{} / $__range_s", steps.count()), ">", None),
        measure(Part::Step, "failed", "percent", failed, "<", Some(1.0)),
    ];
    for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        all.push(measure(Part::Step, name, "s", steps.quantile(q), "<", None));
    }
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        all.push(measure(Part::Stage, name, "s", STAGES.quantile(q), "<", None));
    }
    all
}

/// How a phase is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batching {
    /// Its value alone.
    Whole,
    /// Batches of the lengths that the data may need.
    Several,
    /// Batches of one length, in milliseconds.
    Of(i64),
}

impl Batching {
    /// The lengths of batches of a phase: twice as long each time, as long as there are enough.
    fn lengths_ms(self, phase_ms: i64) -> Vec<i64> {
        match self {
            Self::Whole => Vec::new(),
            Self::Of(length_ms) => vec![length_ms],
            Self::Several => {
                let first_ms = (phase_ms / BATCHES / 1000 * 1000).max(SHORTEST_MS);
                let longest_ms = first_ms.max(phase_ms / FEWEST as i64);
                std::iter::successors(Some(first_ms), |length_ms| Some(length_ms * 2))
                    .take_while(|length_ms| *length_ms <= longest_ms)
                    .collect()
            }
        }
    }
}

/// Measures a run.
///
/// # Errors
/// Where its series cannot be read, or an expression cannot be evaluated.
pub fn measure(
    run: &Run,
    info: RunInfo,
    measures: &[Measure],
    batching: Batching,
) -> Result<MeasuredRun, SourceError> {
    let data = RunData::new(&run.database, &info);
    let subject = Subject { info: &info, data: &data, batching };
    let measured = measures
        .iter()
        .map(|measure| Ok(Measured { measure: measure.clone(), figures: subject.figures(measure)? }))
        .collect::<Result<_, SourceError>>()?;
    Ok(MeasuredRun { info, measured })
}

struct Subject<'a> {
    info: &'a RunInfo,
    data: &'a RunData<'a>,
    batching: Batching,
}

impl Subject<'_> {
    fn windows(&self, measure: &Measure) -> Vec<Window> {
        let own = self.info.phases.iter().filter(|p| !p.warmup).map(|p| p.name.clone());
        let phases = match measure.part {
            Part::Objective => measure.phases.clone(),
            Part::Step | Part::Stage => own.collect(),
        };
        // A name that the run does not know is judged to be wrong elsewhere; here it has no figures.
        windows::select(self.info, &phases, true).unwrap_or_default().list
    }

    fn figures(&self, measure: &Measure) -> Result<Vec<Figure>, SourceError> {
        let mut figures = Vec::new();
        for window in self.windows(measure) {
            let blank = Figure {
                phase: window.phase.clone(),
                labels: Vec::new(),
                value: None,
                length_ms: window.len_ms(),
                batches: Vec::new(),
            };
            let values = self.values(measure, &window)?;
            if values.is_empty() {
                figures.push(blank);
                continue;
            }
            let mut batches: BTreeMap<Pairs, Vec<Batches>> = BTreeMap::new();
            for length_ms in
                self.batching.lengths_ms(window.len_ms()).into_iter().filter(|l| *l <= window.len_ms())
            {
                for (labels, values) in self.batches(measure, &window, length_ms)? {
                    batches.entry(labels).or_default().push(Batches { length_ms, values });
                }
            }
            figures.extend(values.into_iter().map(|(labels, value)| Figure {
                value: Some(value),
                batches: batches.remove(&labels).unwrap_or_default(),
                labels,
                ..blank.clone()
            }));
        }
        Ok(figures)
    }

    /// The value of each series over the phase, as a verdict has it.
    fn values(&self, measure: &Measure, window: &Window) -> Result<BTreeMap<Pairs, f64>, SourceError> {
        let view = self.data.window(window);
        let text = sla::fill(&measure.measure, window.len_ms());
        let found = numbers(RecordedSource::new(&view).instant(&text, window.end_ms)?);
        Ok(matched(found.map(|(labels, v)| (labels.to_pairs(), v))))
    }

    /// The values of each series over batches.
    fn batches(
        &self,
        measure: &Measure,
        window: &Window,
        length_ms: i64,
    ) -> Result<BTreeMap<Pairs, Vec<f64>>, SourceError> {
        let source = RecordedSource::new(self.data.source());
        let text = sla::fill(&measure.measure, length_ms);
        let found = series(source.range(&text, window.start_ms + length_ms, window.end_ms, length_ms)?);
        Ok(matched(found.into_iter().map(|s| {
            let finite = s.samples.values.into_iter().filter(|v| v.is_finite()).collect();
            (s.labels.to_pairs(), finite)
        })))
    }
}

/// The labels that say where something ran and not what it is: other ports, hosts and boards are the same thing in another run.
const PLACES: [&str; 5] = ["instance", "UUID", "Hostname", "pci_bus_id", "load_run"];

/// Series by what they are. Several that only differ in their place keep it, in order.
pub(crate) fn matched<T>(found: impl Iterator<Item = (Pairs, T)>) -> BTreeMap<Pairs, T> {
    let mut all: Vec<_> = found.collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let (mut out, mut counts) = (BTreeMap::new(), BTreeMap::<Pairs, usize>::new());
    for (labels, value) in all {
        let bare: Pairs = labels.into_iter().filter(|(n, _)| !PLACES.contains(&n.as_str())).collect();
        let (count, mut key) = (counts.entry(bare.clone()).or_default(), bare.clone());
        // A series may have such a label of its own.
        loop {
            *count += 1;
            if *count > 1 {
                key.clone_from(&bare);
                key.push(("number".to_owned(), count.to_string()));
            }
            if !out.contains_key(&key) {
                break;
            }
        }
        out.insert(key, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_series_takes_the_place_of_another() {
        let labels = |pairs: &[(&str, &str)]| -> Pairs {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let found = [
            (labels(&[("job", "x"), ("zone", "a")]), 1),
            (labels(&[("job", "x")]), 2),
            (labels(&[("job", "x"), ("number", "2")]), 3),
            (labels(&[("instance", "a"), ("job", "x")]), 4),
            (labels(&[("instance", "b"), ("job", "x")]), 5),
        ];
        let all = matched(found.into_iter());
        let values: std::collections::BTreeSet<i32> = all.values().copied().collect();
        assert_eq!(values, (1..=5).collect(), "{all:?}");
        assert!(all.contains_key(&labels(&[("job", "x"), ("zone", "a")])), "{all:?}");
    }

    #[test]
    fn series_that_differ_in_their_place_alone_are_numbered() {
        let labels = |pairs: &[(&str, &str)]| -> Pairs {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let found = [
            (labels(&[("instance", "b"), ("job", "x")]), 2),
            (labels(&[("instance", "a"), ("job", "x")]), 1),
            (labels(&[("instance", "a"), ("job", "y")]), 3),
        ];
        let all: Vec<_> = matched(found.into_iter()).into_iter().collect();
        assert_eq!(
            all,
            [
                (labels(&[("job", "x")]), 1),
                (labels(&[("job", "x"), ("number", "2")]), 2),
                (labels(&[("job", "y")]), 3)
            ]
        );
    }

    #[test]
    fn batches_double_as_long_as_there_are_enough() {
        assert_eq!(Batching::Several.lengths_ms(600_000), [20_000, 40_000, 80_000]);
        assert_eq!(Batching::Several.lengths_ms(60_000), [3_000, 6_000]);
        assert_eq!(Batching::Several.lengths_ms(2_000), [3_000]);
        assert_eq!(Batching::Of(7_000).lengths_ms(60_000), [7_000]);
        assert!(Batching::Whole.lengths_ms(60_000).is_empty());
    }
}
