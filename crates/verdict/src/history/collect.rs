//! Gathers what a folder's runs measured. Invariant: a value is of a phase that ran to its end, and all values of a series were
//! measured by one expression.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use assay_run::{Manifest, ManifestError, PhaseOutcome, Run, manifest};

use super::{ENOUGH, Group, GroupRun, History, HistoryOptions, Point, Series};
use crate::{
    baseline::{BaselineFile, is_baseline_name},
    compare::alike,
    eval::{EvalError, read_files, run_info, standards_of},
    measure::{
        self, Batching, Measure, MeasuredRun, Pairs,
        readings::{self, Reading},
    },
    verdict::{RunInfo, Verdict},
};

/// A run with its values.
struct Known {
    run: GroupRun,
    info: RunInfo,
    values: Vec<Reading>,
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
        let is_run = |p: &&PathBuf| p.join(manifest::FILE_NAME).is_file();
        let mut manifests: Vec<_> = paths.iter().filter(is_run).map(|p| (Manifest::read(p), p)).collect();
        // What has no description comes first, so that it is named.
        manifests.sort_by_key(|(m, p)| Reverse((m.as_ref().map_or(i64::MAX, |m| m.start_ms), *p)));
        let (mut runs, mut found) = (Vec::new(), manifests.len());
        for (manifest, path) in manifests {
            runs.extend(self.run(path, manifest)?);
            if self.options.newest.is_some_and(|newest| runs.len() >= newest) {
                break;
            }
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
    fn run(
        &mut self,
        path: &Path,
        manifest: Result<Manifest, ManifestError>,
    ) -> Result<Option<Known>, EvalError> {
        let name = name_of(path);
        let manifest = match manifest {
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
    let values = readings::of_verdict(&verdict);
    Known { run: blank(&verdict.run, None), info: verdict.run, values }
}

fn of_measured(measured: MeasuredRun, file: Option<String>) -> Known {
    let values = readings::of_run(&measured).collect();
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
    let mut places: HashMap<(&str, &str, &Option<String>, &Pairs), usize> = HashMap::new();
    let newest = known.last().map(|k| k.info.clone()).unwrap_or_default();
    for (run, known) in known.iter().enumerate().rev() {
        for value in &known.values {
            let Reading { measure, phase, labels, value } = value;
            let text = measure.measure.split_whitespace().collect::<String>();
            let point = Point { run, value: *value };
            let key = (measure.sla.as_str(), measure.name.as_str(), phase, labels);
            let place = *places.entry(key).or_insert(series.len());
            match series.get_mut(place) {
                Some((known, series)) if *known == text && series.note.is_empty() => {
                    series.points.push(point);
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
    // They came from the newest run backwards.
    series.iter_mut().for_each(|s| s.points.reverse());
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
