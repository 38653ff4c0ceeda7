//! The history of a folder of runs: each objective as a series over runs, and where its level changed. Invariant: runs of one series
//! are runs of the same, in the order of time; a change is both unlikely to be chance and large enough to matter.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    compare::{EffectOf, effect},
    eval::EvalError,
    measure::{Measure, Pairs, Part},
    verdict::Status,
};

mod collect;
mod divisive;

/// From how many runs on a change shows at all.
pub const ENOUGH: usize = 10;

/// Which history.
#[derive(Clone, Debug, Default)]
pub struct HistoryOptions {
    /// The folder with runs and baseline files.
    pub folder: PathBuf,
    /// The SLA files whose objectives are measured; if empty, what each run's verdict has, or its own SLA.
    pub slas: Vec<PathBuf>,
    /// The least changes that matter.
    pub effects: Vec<EffectOf>,
    /// Whether only runs with a verdict count, so that nothing is measured.
    pub judged_only: bool,
    /// How many of the newest runs count; `None` for all.
    pub newest: Option<usize>,
}

/// What a folder's runs were like.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// The folder.
    pub source: String,
    /// Runs of the same, the group with the newest run first.
    pub groups: Vec<Group>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Runs of the same scenario, mode and plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The scenario's name.
    pub scenario: String,
    /// The mode, or empty.
    pub mode: String,
    /// The oldest first.
    pub runs: Vec<GroupRun>,
    /// By SLA, objective, phase and labels, in the newest run's order.
    pub series: Vec<Series>,
}

/// A run of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupRun {
    /// Its directory's name, or its name in a baseline file.
    pub name: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// Its verdict, if it was judged.
    pub status: Option<Status>,
    /// The commit of the sources it was run from.
    pub revision: Option<String>,
    /// The baseline file that it is known from.
    pub file: Option<String>,
    /// In what it differs from the run before it that may explain a change.
    pub differs: Vec<String>,
}

/// An objective over runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// The SLA.
    pub sla: String,
    /// The objective's name.
    pub name: String,
    /// Its unit, or empty.
    pub unit: String,
    /// The phase, or `None` for the whole run.
    pub phase: Option<String>,
    /// The series' labels without those that name a place.
    pub labels: Pairs,
    /// How the value is compared with its limit.
    pub comparison: String,
    /// The newest run's limit.
    pub limit: Option<f64>,
    /// The oldest first.
    pub points: Vec<Point>,
    /// Where the level changed, the oldest first.
    pub changes: Vec<ChangePoint>,
    /// What a reader should know, or empty.
    pub note: String,
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The index of the run in its group.
    pub run: usize,
    /// The value in the series' unit.
    pub value: f64,
}

/// Which way a level changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// For the worse.
    Worse,
    /// For the better.
    Better,
    /// The objective says neither.
    Changed,
}

/// Where a level changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangePoint {
    /// The first run of the new level: its index in the group.
    pub run: usize,
    /// The mean of the level before.
    pub before: f64,
    /// The mean of the level from here on, to the next change.
    pub after: f64,
    /// How likely chance does as much.
    pub p: f64,
    /// Which way.
    pub direction: Direction,
}

impl Direction {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Changed => "changed",
        }
    }
}

impl Series {
    /// The mean of the level that the newest run is on.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        let from = self.changes.last().map_or(0, |c| c.run);
        let values: Vec<f64> = self.points.iter().filter(|p| p.run >= from).map(|p| p.value).collect();
        (!values.is_empty()).then(|| mean(&values))
    }

    /// The latest change, if it is for the worse.
    #[must_use]
    pub fn worsening(&self) -> Option<&ChangePoint> {
        self.changes.last().filter(|c| c.direction == Direction::Worse)
    }

    fn measure(&self) -> Measure {
        Measure {
            part: Part::Objective,
            sla: self.sla.clone(),
            name: self.name.clone(),
            unit: self.unit.clone(),
            measure: String::new(),
            comparison: self.comparison.clone(),
            limit: self.limit,
            phases: Vec::new(),
        }
    }

    /// Finds where the level changed.
    fn find_changes(&mut self, effects: &[EffectOf]) {
        let values: Vec<f64> = self.points.iter().map(|p| p.value).collect();
        let mut splits = divisive::change_points(&values);
        let measure = self.measure();
        let found = loop {
            let changes = self.changes_at(&values, &splits, &measure);
            // How many times what matters; the least one goes first, and its neighbours' levels become one.
            let size = |c: &ChangePoint| {
                let matters = effect::least(&measure, c.before, effects);
                if matters > 0.0 { (c.after - c.before).abs() / matters } else { f64::INFINITY }
            };
            let sizes = changes.iter().map(size).enumerate();
            match sizes.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, size)| *size < 1.0) {
                Some((least, _)) => _ = splits.remove(least),
                None => break changes,
            }
        };
        self.changes = found;
    }

    fn changes_at(&self, values: &[f64], splits: &[divisive::Split], measure: &Measure) -> Vec<ChangePoint> {
        let ends: Vec<usize> =
            std::iter::once(0).chain(splits.iter().map(|s| s.at)).chain([values.len()]).collect();
        let levels: Vec<f64> = ends.windows(2).map(|w| mean(&values[w[0]..w[1]])).collect();
        let change = |(i, split): (usize, &divisive::Split)| {
            let (before, after) = (levels[i], levels[i + 1]);
            let direction = match self.comparison.as_str() {
                "==" | "!=" => Direction::Changed,
                _ if (after > before) == measure.more_is_better() => Direction::Better,
                _ => Direction::Worse,
            };
            ChangePoint { run: self.points[split.at].run, before, after, p: split.p, direction }
        };
        splits.iter().enumerate().map(change).collect()
    }
}

impl History {
    /// The series whose latest change is for the worse, and at most `within` runs old; `None` for however old.
    pub fn worsenings(&self, within: Option<usize>) -> impl Iterator<Item = (&Group, &Series, &ChangePoint)> {
        let all = self.groups.iter().flat_map(|g| g.series.iter().map(move |s| (g, s)));
        all.filter_map(|(g, s)| Some((g, s, s.worsening()?)))
            .filter(move |(g, _, c)| within.is_none_or(|runs| g.runs.len() - c.run <= runs))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Reads a folder's history.
///
/// # Errors
/// If the folder cannot be read or has neither runs nor baseline files, a file is wrong, or a run cannot be measured.
pub fn history(options: &HistoryOptions) -> Result<History, EvalError> {
    let mut history = collect::collect(options)?;
    let mut all: Vec<&mut Series> = history.groups.iter_mut().flat_map(|g| &mut g.series).collect();
    all.par_iter_mut().for_each(|s| s.find_changes(&options.effects));
    Ok(history)
}

#[cfg(test)]
mod tests;
