//! The rows of a comparison. Invariant: a row is of one measure, phase and set of labels, and both sides mean the same by it.

use super::{
    Change, CompareOptions, CompareRow, alike, effect,
    statistics::{self, Decision, Difference, MOST_ALIKE, Sample},
};
use crate::{
    measure::{FEWEST, Figure, Measure, MeasuredRun, Pairs, Part},
    units,
};

/// Both sides, measured.
pub(super) struct Sides<'a> {
    pub(super) base: &'a [MeasuredRun],
    pub(super) new: &'a [MeasuredRun],
    pub(super) options: &'a CompareOptions,
}

/// A row before the correction for the number of rows.
pub(super) struct Draft {
    pub(super) row: CompareRow,
    difference: Option<Difference>,
    /// Whether more is better.
    more_is_better: bool,
    length_ms: i64,
}

impl Sides<'_> {
    /// In what the runs differ, and what they do not have to be compared with.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut add = |text: String| {
            if !out.contains(&text) {
                out.push(text);
            }
        };
        if let Some(first) = self.base.first() {
            let others = self.base[1..].iter().chain(self.new);
            others.flat_map(|other| alike::warnings(&first.info, &other.info)).for_each(&mut add);
        }
        for run in self.base.iter().chain(self.new).filter(|r| !r.info.is_whole()) {
            add(format!("{} did not run to its end: it is compared as far as it went", run.info.source));
        }
        for (side, name, other) in [(self.base, "new run", self.new), (self.new, "baseline", self.base)] {
            for phase in side.iter().flat_map(|r| &r.info.phases).filter(|p| !p.warmup) {
                if !other.iter().any(|r| r.info.phases.iter().any(|p| p.name == phase.name)) {
                    add(format!("the {name} has no phase {}", phase.name));
                }
            }
        }
        out
    }

    /// The rows of a measure: phases that both sides have, in the new runs' order.
    pub(super) fn rows(&self, measure: &Measure) -> Vec<Draft> {
        let (base, new) = (figures(self.base, measure), figures(self.new, measure));
        // A phase that new runs did not come to is not one that they do not have.
        let is_whole = self.new.iter().all(|r| r.info.is_whole());
        let missed = base.iter().filter(|_| !is_whole);
        let mut phases: Vec<&Option<String>> = Vec::new();
        for figure in new.iter().chain(missed) {
            if !phases.contains(&&figure.phase) {
                phases.push(&figure.phase);
            }
        }
        let is_measured = self.base.iter().any(|r| r.of(measure).is_some());
        let mut rows = Vec::new();
        for phase in phases {
            let in_phase = |f: &&Figure| f.phase == *phase;
            if is_measured && !base.iter().any(in_phase) {
                continue;
            }
            let both = base.iter().chain(&new).copied().filter(in_phase);
            let mut labels: Vec<&Pairs> = both.filter(|f| f.value.is_some()).map(|f| &f.labels).collect();
            labels.sort();
            labels.dedup();
            let empty = Pairs::new();
            if labels.is_empty() {
                labels.push(&empty);
            }
            rows.extend(labels.into_iter().map(|one| self.draft(measure, phase, one)));
        }
        // What a run does not have at all, few want to read about.
        rows.retain(|d| measure.part == Part::Objective || d.row.change != Change::Skipped);
        rows
    }

    fn draft(&self, measure: &Measure, phase: &Option<String>, labels: &Pairs) -> Draft {
        let of = |side| {
            let mut found = figures(side, measure);
            found.retain(|f| f.phase == *phase && f.labels == *labels && f.value.is_some());
            found
        };
        let (base, new) = (of(self.base), of(self.new));
        let [b, n] = samples(&base, &new);
        let mean = |list: &[Sample]| {
            (!list.is_empty()).then(|| list.iter().map(|s| s.value).sum::<f64>() / list.len() as f64)
        };
        let count = |list: &[Sample]| list.iter().map(|s| s.batches.len()).sum();
        let batches = (count(&b), count(&n));
        let is_same = self.is_same_expression(measure);
        let difference = Difference::of_runs(&b, &n).filter(|_| is_same);
        let (change, reason) = match (mean(&b), mean(&n)) {
            (None, None) => (Change::Skipped, "neither side has data".to_owned()),
            (None, Some(_)) => (Change::Inconclusive, self.no_base(measure)),
            (Some(_), None) => (Change::Inconclusive, "the new run has no data".to_owned()),
            _ if !is_same => (
                Change::Inconclusive,
                "the baseline file measured it by another expression: make it again".to_owned(),
            ),
            _ if difference.is_some() => (Change::Same, String::new()),
            _ => (
                Change::Inconclusive,
                format!(
                    "{} and {} batches have a value; it takes {FEWEST} on either side, or several runs",
                    batches.0, batches.1
                ),
            ),
        };
        Draft {
            row: CompareRow {
                part: measure.part,
                name: measure.name.clone(),
                unit: measure.unit.clone(),
                phase: phase.clone(),
                labels: labels.clone(),
                change,
                base: mean(&b),
                new: mean(&n),
                matters: mean(&b).map(|base| effect::least(measure, base, &self.options.effects)),
                runs: (b.len(), n.len()),
                batches,
                interval: difference.map(|d| d.interval(self.options.confidence)),
                p: None,
                reason,
            },
            difference,
            more_is_better: measure.more_is_better(),
            length_ms: new.first().map_or(0, |f| f.length_ms),
        }
    }

    /// Whether both sides mean the same by a measure.
    fn is_same_expression(&self, measure: &Measure) -> bool {
        let text = |m: &Measure| m.measure.split_whitespace().collect::<String>();
        let found = self.base.iter().chain(self.new).filter_map(|r| r.of(measure));
        found.into_iter().all(|m| text(&m.measure) == text(measure))
    }

    fn no_base(&self, measure: &Measure) -> String {
        match self.base.iter().any(|r| r.of(measure).is_some()) {
            true => "the baseline has no data".to_owned(),
            false => "the baseline file does not have this objective: make it again".to_owned(),
        }
    }
}

/// The figures of a measure in all runs of a side.
fn figures<'a>(side: &'a [MeasuredRun], measure: &Measure) -> Vec<&'a Figure> {
    side.iter().filter_map(|r| r.of(measure)).flat_map(|m| &m.figures).collect()
}

/// The runs' values, with batches as long as neighbours need: the first length at which no run's are too much alike.
fn samples(base: &[&Figure], new: &[&Figure]) -> [Vec<Sample>; 2] {
    let sample = |figure: &Figure, level: usize| {
        let batches = figure.batches.get(level).or(figure.batches.last());
        let batches = batches.map(|b| b.values.clone()).unwrap_or_default();
        Sample { value: figure.value.unwrap_or(f64::NAN), batches }
    };
    let levels = base.iter().chain(new).map(|f| f.batches.len()).max().unwrap_or(0).max(1);
    let at = |level: usize| [base, new].map(|side| side.iter().map(|f| sample(f, level)).collect::<Vec<_>>());
    let is_enough = |sides: &[Vec<Sample>; 2]| {
        sides.iter().flatten().all(|s| statistics::likeness(&s.batches) <= MOST_ALIKE)
    };
    (0..levels).map(at).find(is_enough).unwrap_or_else(|| at(levels - 1))
}

/// Corrects the p values of a part for their number and decides.
pub(super) fn settle(rows: &mut [Draft], part: Part, options: &CompareOptions) {
    let compared: Vec<usize> =
        (0..rows.len()).filter(|i| rows[*i].row.part == part && rows[*i].difference.is_some()).collect();
    let worse = |draft: &Draft| draft.difference.map(|d| if draft.more_is_better { d.turned() } else { d });
    let values: Vec<f64> = compared.iter().filter_map(|i| worse(&rows[*i]).map(|d| d.p_above())).collect();
    for (i, p) in compared.into_iter().zip(statistics::holm(&values)) {
        let draft = &mut rows[i];
        let (Some(difference), Some(matters)) = (worse(draft), draft.row.matters) else { continue };
        let alarm = 1.0 - options.confidence;
        draft.row.p = Some(p);
        let better = difference.turned();
        draft.row.change = match difference.decide(matters, p, alarm) {
            Decision::Changed => Change::Regression,
            Decision::Same if better.shift > matters && better.p_above() < alarm => Change::Improvement,
            Decision::Same => Change::Same,
            Decision::Open { times } => {
                draft.row.reason = too_little(times, draft);
                Change::Inconclusive
            }
        };
    }
}

/// What to do about a comparison that decides nothing.
fn too_little(times: f64, draft: &Draft) -> String {
    /// A phase that nobody would run.
    const TOO_LONG: f64 = 1_000.0;
    let (base, new) = draft.row.runs;
    let what = if (base, new) == (1, 1) { "length" } else { "number" };
    if !times.is_finite() || times > TOO_LONG {
        return format!(
            "its spread is far wider than the change that would matter: no {what} of runs decides it"
        );
    }
    if (base, new) != (1, 1) {
        let harmonic = 2.0 / (1.0 / base as f64 + 1.0 / new as f64);
        let runs = (times * harmonic).ceil().max(3.0);
        return format!(
            "its runs differ by more than the change that would matter: about {runs} runs a side would decide"
        );
    }
    let length_ms = (times * draft.length_ms as f64 / 60_000.0).ceil() * 60_000.0;
    format!(
        "its spread is wider than the change that would matter: a phase of about {} would decide",
        units::length(length_ms as i64)
    )
}
