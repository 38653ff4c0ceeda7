//! The levels of load of a run, and whether each kept the objectives. Invariant: a phase that was judged has the outcome of its
//! rows; what else is judged here is held against the limits of an objective that names no phase.

use assay_model::duration;
use assay_run::PhaseOutcome;

use super::{Axis, Level};
use crate::{
    data::RunData,
    findings::{Topic, topic},
    histogram::{Histogram, REQUESTS},
    judge::{self, JudgeError, Subject, Terms},
    sla::{Judge, Sla},
    source::{RecordedSource, Source as _, SourceError, numbers, one_number, series},
    verdict::{ObjectiveRow, PhaseInfo, PhaseSource, RunInfo, Status, Verdict, Window},
};

/// Into how many parts a phase is cut whose load changes, and how long a part is at least.
const PARTS: i64 = 12;
const LEAST_MS: i64 = 10_000;
/// How much the load of a phase's parts differs if it changes.
const CHANGE: f64 = 1.25;
/// The fewest requests of a level.
const FEWEST: f64 = 20.0;

const FAILED: Histogram<'static> = Histogram { matchers: "error_type!~\"|interrupted\"", ..REQUESTS };
const USERS: &str = "sum(avg_over_time(load_users[RANGE]))";
const OFFERED: &str = "sum(avg_over_time(load_rate_target_per_second[RANGE]) > 0)";
const GOOD: &str = "sum(increase(load_requests_good_total[RANGE]))";

/// The levels in the order of time, of phases that do not only warm up, and what load means for them.
pub(super) fn find(data: &RunData<'_>, run: &RunInfo) -> Result<(Axis, Vec<Level>), SourceError> {
    let whole = RecordedSource::new(data.source());
    let is_over = |p: &&PhaseInfo| p.outcome == PhaseOutcome::Finished && !p.warmup && p.end_ms > p.start_ms;
    let phases: Vec<&PhaseInfo> = run.phases.iter().filter(is_over).collect();
    let offered = |p: &&&PhaseInfo| {
        let range = duration::format_ms(p.end_ms - p.start_ms);
        one_number(&whole, &OFFERED.replace("RANGE", &range), p.end_ms).map(|n| n.is_some())
    };
    // Rates and users cannot be compared: what most phases have is what is looked at.
    let mut open = Vec::new();
    for phase in &phases {
        open.push(offered(&phase)?);
    }
    let is_open = 2 * open.iter().filter(|o| **o).count() > open.len();
    let axis = if is_open { Axis::Rate } else { Axis::Users };
    let load = if is_open { OFFERED } else { USERS };
    let mut levels = Vec::new();
    for (phase, _) in phases.iter().zip(&open).filter(|(_, open)| **open == is_open) {
        for (start_ms, end_ms) in parts(&whole, phase, load)? {
            let window = Window { phase: Some(phase.name.clone()), start_ms, end_ms, incomplete: None };
            let is_part = (start_ms, end_ms) != (phase.start_ms, phase.end_ms);
            levels.extend(level(data, &window, is_part, load)?);
        }
    }
    Ok((axis, levels))
}

/// The phase as a whole, or its parts if its load changes after the first of them.
fn parts(whole: &RecordedSource<'_>, phase: &PhaseInfo, load: &str) -> Result<Vec<(i64, i64)>, SourceError> {
    let length_ms = phase.end_ms - phase.start_ms;
    let count = (length_ms / LEAST_MS).clamp(1, PARTS);
    let part_ms = length_ms / count;
    let load = load.replace("RANGE", &duration::format_ms(part_ms));
    let found = whole.range(&load, phase.start_ms + part_ms, phase.end_ms, part_ms)?;
    let line = series(found).into_iter().next().map(|one| one.samples.values).unwrap_or_default();
    let after: Vec<f64> = line.into_iter().skip(1).filter(|v| *v > 0.0).collect();
    let (low, high) = after.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
    if count < 3 || high <= CHANGE * low {
        return Ok(vec![(phase.start_ms, phase.end_ms)]);
    }
    Ok((0..count).map(|i| (phase.start_ms + i * part_ms, phase.start_ms + (i + 1) * part_ms)).collect())
}

/// What a stretch of time took; `None` if too little was asked in it.
fn level(
    data: &RunData<'_>,
    window: &Window,
    is_part: bool,
    load: &str,
) -> Result<Option<Level>, SourceError> {
    let view = data.window(window);
    let source = RecordedSource::new(&view);
    let range = duration::format_ms(window.len_ms());
    let number = |expression: &str| -> Result<Option<f64>, SourceError> {
        let found = source.instant(&expression.replace("RANGE", &range), window.end_ms)?;
        Ok(numbers(found).next().map(|(_, v)| v))
    };
    let (load, requests) = (number(load)?, number(&REQUESTS.count())?);
    let (Some(load), Some(requests)) = (load, requests.filter(|n| *n >= FEWEST)) else { return Ok(None) };
    let (sum, p50, p99) =
        (number(&REQUESTS.sum())?, number(&REQUESTS.quantile(0.5))?, number(&REQUESTS.quantile(0.99))?);
    let (Some(sum), Some(p50_s), Some(p99_s)) = (sum, p50, p99) else { return Ok(None) };
    let seconds = window.len_ms() as f64 / 1e3;
    Ok(Some(Level {
        phase: window.phase.clone().unwrap_or_default(),
        is_part,
        start_ms: window.start_ms,
        end_ms: window.end_ms,
        load,
        requests_per_s: requests / seconds,
        good_per_s: number(GOOD)?.map(|n| n / seconds),
        failed_ratio: number(&FAILED.count())?.unwrap_or(0.0) / requests,
        mean_s: sum / requests,
        p50_s,
        p99_s,
        held: None,
        strain: None,
        strained_by: String::new(),
    }))
}

/// Fills in whether each level kept the objectives.
pub(super) fn judge(
    levels: &mut [Level],
    data: &RunData<'_>,
    verdict: &Verdict,
    slas: &[Sla],
) -> Result<(), JudgeError> {
    let is_judged =
        |l: &Level| !l.is_part && verdict.windows.iter().any(|w| w.phase.as_ref() == Some(&l.phase));
    let others: Vec<usize> = (0..levels.len()).filter(|i| !is_judged(&levels[*i])).collect();
    let rows = more_rows(&others.iter().map(|i| &levels[*i]).collect::<Vec<_>>(), data, slas)?;
    for (i, level) in levels.iter_mut().enumerate() {
        let own: Vec<&ObjectiveRow> = match others.iter().position(|other| *other == i) {
            Some(at) => rows.iter().filter(|r| r.phase.as_deref() == Some(&name(at))).collect(),
            None => verdict.objectives.iter().filter(|r| r.phase.as_ref() == Some(&level.phase)).collect(),
        };
        settle(level, &own);
    }
    Ok(())
}

/// What a level that is judged here is called while it is.
fn name(at: usize) -> String {
    format!("level {at}")
}

/// The objectives that hold for every phase, over levels that nobody judged.
fn more_rows(levels: &[&Level], data: &RunData<'_>, slas: &[Sla]) -> Result<Vec<ObjectiveRow>, JudgeError> {
    if levels.is_empty() {
        return Ok(Vec::new());
    }
    let phase = |(at, level): (usize, &&Level)| PhaseInfo {
        name: name(at),
        start_ms: level.start_ms,
        end_ms: level.end_ms,
        warmup: false,
        outcome: PhaseOutcome::Finished,
        planned_ms: None,
    };
    let run = RunInfo {
        start_ms: levels.iter().map(|l| l.start_ms).min().unwrap_or_default(),
        end_ms: levels.iter().map(|l| l.end_ms).max().unwrap_or_default(),
        phases: levels.iter().enumerate().map(phase).collect(),
        phases_from: PhaseSource::Given,
        ..RunInfo::default()
    };
    let terms = Terms { run: &run, subject: Subject::Run(data), baseline: None, allow_incomplete: true };
    let mut rows = Vec::new();
    for sla in slas {
        let mut sla = sla.clone();
        sla.judge = Judge { phases: (0..levels.len()).map(name).collect(), ..Judge::default() };
        sla.objectives.retain(|o| o.phases.is_none() && topic(&o.category, &o.unit) != Topic::Throughput);
        for objective in &mut sla.objectives {
            objective.relative = None;
            objective.error_budget = false;
        }
        rows.extend(judge::judge(&sla, &terms)?.rows);
    }
    Ok(rows)
}

/// Whether the rows of a level were all kept, and which came nearest to its limit.
fn settle(level: &mut Level, rows: &[&ObjectiveRow]) {
    // How far a value is from a baseline's says nothing about what is carried.
    let about_load =
        |r: &&&ObjectiveRow| topic(&r.category, &r.unit) != Topic::Throughput && !r.is_relative();
    let rows: Vec<_> = rows.iter().filter(about_load).collect();
    let strained = rows.iter().filter_map(|r| Some((strain(r)?, r.title())));
    if let Some((strain, by)) = strained.max_by(|a, b| a.0.total_cmp(&b.0)) {
        (level.strain, level.strained_by) = (Some(strain), by);
    }
    level.held = match () {
        () if rows.iter().any(|r| r.status == Status::Fail) => Some(false),
        () if rows.iter().any(|r| r.status == Status::Inconclusive) => None,
        () => rows.iter().any(|r| r.status == Status::Pass).then_some(true),
    };
}

/// How much of what its limit allows an objective takes: above 1 it is missed.
fn strain(row: &ObjectiveRow) -> Option<f64> {
    let (value, limit) = (row.value?, row.limit?);
    let strain = match row.comparison.as_str() {
        "<" | "<=" => value / limit,
        // Of what should be near 100 %, what is missing counts.
        ">" | ">=" if row.unit == "percent" => (100.0 - value) / (100.0 - limit),
        ">" | ">=" => limit / value,
        _ => return None,
    };
    (strain.is_finite() && strain >= 0.0).then_some(strain)
}
