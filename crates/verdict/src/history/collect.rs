//! Gathers what a folder's runs measured. Invariant: a value is of a phase that ran to its end, and all values of a series were
//! measured by one expression.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assay_model::duration;
use assay_run::{Manifest, PhaseOutcome, Run, manifest};

use super::{ENOUGH, Group, GroupRun, History, HistoryOptions, Point, Series};
use crate::{
    baseline::{BaselineFile, is_baseline_name},
    compare::alike,
    eval::{EvalError, read_files, run_info, standards_of},
    judge::AGAINST,
    measure::{self, Batching, Measure, MeasuredRun, Pairs, Part},
    verdict::{ObjectiveRow, RunInfo, Verdict},
};

/// A run with its values.
struct Known {
    run: GroupRun,
    info: RunInfo,
    values: Vec<Value>,
}

/// A value of an objective.
struct Value {
    measure: Measure,
    phase: Option<String>,
    labels: Pairs,
    value: f64,
}

/// All series of a folder; changes are not looked for yet.
pub(super) fn collect(options: &HistoryOptions) -> Result<History, EvalError> {
    let mut folder = Folder { options, measures: None, notes: Vec::new() };
    if !options.slas.is_empty() {
        folder.measures = Some(measure::of_objectives(&read_files(&[], &options.slas)?.1));
    }
    let mut known = folder.known()?;
    known.sort_by(|a, b| (a.run.start_ms, &a.run.name).cmp(&(b.run.start_ms, &b.run.name)));
    if let Some(newest) = options.newest {
        known.drain(..known.len().saturating_sub(newest));
    }
    let mut groups: Vec<Vec<Known>> = Vec::new();
    for mut run in known {
        let is_of = |g: &&mut Vec<Known>| g.last().is_none_or(|l| alike::check(&l.info, &run.info).is_ok());
        match groups.iter_mut().find(is_of) {
            Some(group) => {
                if let Some(last) = group.last() {
                    run.run.differs = alike::warnings(&last.info, &run.info);
                }
                group.push(run);
            }
            None => groups.push(vec![run]),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.last().map(|k| k.run.start_ms)));
    Ok(History {
        source: options.folder.display().to_string(),
        groups: groups.into_iter().map(group).collect(),
        notes: folder.notes,
    })
}

struct Folder<'a> {
    options: &'a HistoryOptions,
    /// What is measured, if SLA files were given.
    measures: Option<Vec<Measure>>,
    notes: Vec<String>,
}

impl Folder<'_> {
    fn known(&mut self) -> Result<Vec<Known>, EvalError> {
        let folder = &self.options.folder;
        let cannot =
            |e: std::io::Error| EvalError::Compare(format!("{}: cannot be read: {e}", folder.display()));
        let entries = fs::read_dir(folder).map_err(cannot)?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        let (mut runs, mut found) = (Vec::new(), 0);
        for path in paths.iter().filter(|p| p.join(manifest::FILE_NAME).is_file()) {
            found += 1;
            runs.extend(self.run(path)?);
        }
        for path in paths.iter().filter(|p| is_baseline_name(p)) {
            let text = fs::read_to_string(path).unwrap_or_default();
            if !text.lines().any(|line| line.starts_with("measures:")) {
                continue;
            }
            found += 1;
            let file = BaselineFile::parse(path.display().to_string(), text)?;
            let more = file.runs.into_iter().map(|run| of_measured(run, Some(name_of(path))));
            for run in more {
                // A baseline is often kept with the runs that it was made from.
                let is_same = |k: &Known| (k.run.start_ms, &k.run.name) == (run.run.start_ms, &run.run.name);
                if !runs.iter().any(is_same) {
                    runs.push(run);
                }
            }
        }
        if found == 0 && !self.options.judged_only {
            let what = "has neither runs nor baseline files; give the folder that runs are recorded into";
            return Err(EvalError::Compare(format!("{}: {what}", folder.display())));
        }
        Ok(runs)
    }

    /// What a run's directory has; `None`, with a note, if nothing can be known of it.
    fn run(&mut self, path: &Path) -> Result<Option<Known>, EvalError> {
        let name = name_of(path);
        let manifest = match Manifest::read(path) {
            Ok(manifest) => manifest,
            Err(e) => return Ok(self.leave_out(&name, &e.to_string())),
        };
        if manifest.outcome.is_none() {
            return Ok(self.leave_out(&name, "it has not ended, or was killed"));
        }
        let judged = fs::read(path.join("verdict.json")).ok();
        let judged = judged.and_then(|json| serde_json::from_slice::<Verdict>(&json).ok());
        let status = judged.as_ref().map(|v| v.status);
        let mut known = match (judged, &self.measures) {
            (Some(verdict), None) => of_verdict(verdict),
            (None, _) if self.options.judged_only => return Ok(None),
            (_, given) => {
                let measures = match given {
                    Some(measures) => measures.clone(),
                    None => measure::of_objectives(&standards_of(path)?.1),
                };
                if measures.is_empty() {
                    return Ok(self.leave_out(&name, "it was not judged and has no SLA: give one with --sla"));
                }
                let run = Run::open(path)?;
                let info = run_info(&run, &[], None)?;
                of_measured(measure::measure(&run, info, &measures, Batching::Whole)?, None)
            }
        };
        known.run = GroupRun { name: name.clone(), start_ms: manifest.start_ms, status, ..known.run };
        let unfinished = known.info.phases.iter().filter(|p| p.outcome != PhaseOutcome::Finished);
        let unfinished: Vec<&str> = unfinished.map(|p| p.name.as_str()).collect();
        if !unfinished.is_empty() {
            known.values.retain(|v| !v.phase.as_ref().is_some_and(|p| unfinished.contains(&p.as_str())));
            let phases = unfinished.join(", ");
            self.notes.push(format!("{name} did not run to its end: {phases} of it is left out"));
        }
        Ok(Some(known))
    }

    fn leave_out(&mut self, name: &str, why: &str) -> Option<Known> {
        self.notes.push(format!("{name} is left out: {why}"));
        None
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn of_verdict(verdict: Verdict) -> Known {
    let mut values: Vec<Value> = Vec::new();
    let rows: Vec<&ObjectiveRow> = verdict.objectives.iter().filter(|r| !r.name.ends_with(AGAINST)).collect();
    let mut seen: Vec<(&str, &str, &Option<String>)> = Vec::new();
    for row in &rows {
        let key = (row.sla.as_str(), row.name.as_str(), &row.phase);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let same = rows.iter().filter(|r| (r.sla.as_str(), r.name.as_str(), &r.phase) == key);
        let found = same.filter_map(|r| Some((r.labels.clone(), r.value.filter(|v| v.is_finite())?)));
        let length_ms =
            verdict.windows.iter().find(|w| w.phase == row.phase).map_or(0, crate::verdict::Window::len_ms);
        let measure = Measure {
            part: Part::Objective,
            sla: row.sla.clone(),
            name: row.name.clone(),
            unit: row.unit.clone(),
            measure: without_length(&row.measure, length_ms),
            comparison: row.comparison.clone(),
            limit: row.limit,
            phases: Vec::new(),
        };
        values.extend(measure::matched(found).into_iter().map(|(labels, value)| Value {
            measure: measure.clone(),
            phase: row.phase.clone(),
            labels,
            value,
        }));
    }
    Known { run: blank(&verdict.run, None), info: verdict.run, values }
}

/// An expression without the length of its phase: phases of two runs differ by milliseconds, which changes nothing.
fn without_length(text: &str, length_ms: i64) -> String {
    if length_ms <= 0 {
        return text.to_owned();
    }
    let seconds = assay_model::number::format_f(length_ms as f64 / 1e3);
    text.replace(&duration::format_ms(length_ms), "$__range")
        .replace(&length_ms.to_string(), "$__range_ms")
        .replace(&seconds, "$__range_s")
}

fn of_measured(measured: MeasuredRun, file: Option<String>) -> Known {
    let mut values = Vec::new();
    for one in measured.measured.into_iter().filter(|m| m.measure.part == Part::Objective) {
        values.extend(one.figures.into_iter().filter_map(|figure| {
            let value = figure.value.filter(|v| v.is_finite())?;
            Some(Value { measure: one.measure.clone(), phase: figure.phase, labels: figure.labels, value })
        }));
    }
    Known { run: blank(&measured.info, file), info: measured.info, values }
}

fn blank(info: &RunInfo, file: Option<String>) -> GroupRun {
    let revision = info.manifest.pointer("/git/revision").and_then(|v| v.as_str());
    GroupRun {
        name: info.source.clone(),
        start_ms: info.start_ms,
        status: None,
        revision: revision.map(|r| r.chars().take(12).collect()),
        file,
        differs: Vec::new(),
    }
}

/// Series of runs of the same: those that the newest run with values has first.
fn group(known: Vec<Known>) -> Group {
    let mut series: Vec<(String, Series)> = Vec::new();
    let newest = known.last().map(|k| k.info.clone()).unwrap_or_default();
    for (run, known) in known.iter().enumerate().rev() {
        for value in &known.values {
            let Value { measure, phase, labels, value } = value;
            let text = measure.measure.split_whitespace().collect::<String>();
            let point = Point { run, value: *value };
            let same = |s: &&mut (String, Series)| {
                let s = &s.1;
                (&s.sla, &s.name, &s.phase, &s.labels) == (&measure.sla, &measure.name, phase, labels)
            };
            match series.iter_mut().find(same) {
                Some((known, series)) if *known == text && series.note.is_empty() => {
                    series.points.insert(0, point);
                }
                Some((_, series)) => {
                    "earlier runs measured it by another expression, and are left out"
                        .clone_into(&mut series.note);
                }
                None => series.push((text, blank_series(measure, phase, labels, point))),
            }
        }
    }
    let mut series: Vec<Series> = series.into_iter().map(|(_, s)| s).collect();
    for one in series.iter_mut().filter(|s| s.points.len() < ENOUGH && s.note.is_empty()) {
        let count = one.points.len();
        let runs = if count == 1 { "run" } else { "runs" };
        one.note = format!("{count} {runs}: a change shows from about {ENOUGH} on");
    }
    Group {
        scenario: newest.scenario.clone().unwrap_or_else(|| "no scenario".to_owned()),
        mode: newest.manifest.pointer("/mode").and_then(|m| m.as_str()).unwrap_or_default().to_owned(),
        runs: known.into_iter().map(|k| k.run).collect(),
        series,
    }
}

fn blank_series(measure: &Measure, phase: &Option<String>, labels: &Pairs, point: Point) -> Series {
    Series {
        sla: measure.sla.clone(),
        name: measure.name.clone(),
        unit: measure.unit.clone(),
        phase: phase.clone(),
        labels: labels.clone(),
        comparison: measure.comparison.clone(),
        limit: measure.limit,
        points: vec![point],
        changes: Vec::new(),
        note: String::new(),
    }
}
