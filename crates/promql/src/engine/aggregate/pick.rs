//! Aggregations that keep some of the series as they are: `topk`, `bottomk`, `limitk`, `limit_ratio`.
//! Invariant: a kept series keeps its labels, its name and its values.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`aggregationK`, `HashRatioSampler`).

use assay_model::{Labels, number::format_g};
use xxhash_rust::xxh64::xxh64;

use super::Task;
use crate::engine::{
    EvalError,
    context::LABELS_COST,
    limits::Size,
    notes::{Notes, ignored_in_aggregation},
    points::{ABSENT, Points, Scalars, is_absent},
    vector::Vector,
};

/// Values of a step that are kept: the value and the member's place in its group.
type Kept = Vec<(f64, usize)>;

/// Which of a group's samples are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// `topk`
    Highest,
    /// `bottomk`
    Lowest,
    /// `limitk`
    First,
}

pub(super) fn by_rank<'e>(
    task: &Task<'_, 'e>,
    by: Rank,
    param: &Scalars,
    param_site: usize,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (steps, ctx) = (task.node.grid.steps, task.ev.ctx);
    if !check_k(task, param, param_site)? {
        return Ok(Vector::empty());
    }
    let k: Vec<usize> =
        param.iter(steps).map(|k| (k as i64).clamp(0, task.vector.series.len() as i64) as usize).collect();
    let picked = ctx.parallel(task.groups.len(), notes, |g, worker| {
        let held = ctx.hold(Size::columns(size_of::<Kept>() / 8, steps))?;
        let mut kept: Vec<Kept> = vec![Vec::new(); steps];
        let mut columns = Vec::new();
        for (place, &i) in task.groups[g].members.iter().enumerate() {
            ctx.check()?;
            let mut points = task.vector.column(i, worker)?.into_owned();
            match by {
                Rank::First => {
                    for step in (0..steps).filter(|s| points.has(*s)) {
                        if kept[step].len() < k[step] {
                            kept[step].push((0.0, place));
                        }
                    }
                }
                Rank::Highest | Rank::Lowest => {
                    if !points.histograms.is_empty() {
                        worker.notes.info(task.node.site, ignored_in_aggregation(task.op.as_str()));
                        points.histograms.clear();
                    }
                    for (step, v) in points.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                        insert(&mut kept[step], k[step], *v, place, by == Rank::Highest);
                    }
                }
            }
            held.grow(Size::columns(1, steps))?;
            columns.push(points);
            release_unused(&mut columns, &kept, place, steps);
        }
        if by != Rank::First {
            kept.iter_mut().for_each(|list| rank(list, by == Rank::Highest));
        }
        Ok(chosen(&columns, &kept, steps))
    })?;
    assemble(task, picked)
}

/// Whether any `k` is at least 1; an error where one is no count.
fn check_k(task: &Task<'_, '_>, param: &Scalars, site: usize) -> Result<bool, EvalError> {
    let fail = |message: String| Err(task.ev.ctx.fail(site, message));
    let steps = task.node.grid.steps;
    let most = param.iter(steps).filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max);
    let least = param.iter(steps).filter(|v| !v.is_nan()).fold(f64::INFINITY, f64::min);
    if param.iter(steps).any(f64::is_nan) {
        return fail("Parameter value is NaN".to_owned());
    }
    if most < 1.0 {
        return Ok(false);
    }
    if least <= i64::MIN as f64 {
        return fail(format!("Scalar value {} underflows int64", format_g(least)));
    }
    if most >= i64::MAX as f64 {
        return fail(format!("Scalar value {} overflows int64", format_g(most)));
    }
    Ok(true)
}

/// Keeps the `k` best values in a heap with the worst of them at its root, which `vectorByValueHeap` and Go's
/// `container/heap` order: which of several equal values stay is then as in the reference.
fn insert(kept: &mut Kept, k: usize, v: f64, place: usize, top: bool) {
    let worse = |kept: &Kept, i: usize, j: usize| {
        let (a, b) = (kept[i].0, kept[j].0);
        a.is_nan() || if top { a < b } else { a > b }
    };
    if kept.len() < k {
        kept.push((v, place));
        let mut child = kept.len() - 1;
        while child > 0 && worse(kept, child, (child - 1) / 2) {
            kept.swap(child, (child - 1) / 2);
            child = (child - 1) / 2;
        }
        return;
    }
    let Some((worst, _)) = kept.first().copied() else { return };
    let better = if top { v > worst } else { v < worst };
    if !better && (!worst.is_nan() || v.is_nan()) {
        return;
    }
    kept[0] = (v, place);
    let mut parent = 0;
    loop {
        let (left, right) = (2 * parent + 1, 2 * parent + 2);
        if left >= kept.len() {
            return;
        }
        let child = if right < kept.len() && worse(kept, right, left) { right } else { left };
        if !worse(kept, child, parent) {
            return;
        }
        kept.swap(parent, child);
        parent = child;
    }
}

/// Puts what is kept in the order of results: the best first, NaN last.
fn rank(kept: &mut Kept, top: bool) {
    kept.sort_by(|(a, _), (b, _)| {
        let by_value = a.partial_cmp(b).map(|o| if top { o.reverse() } else { o });
        by_value.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
}

/// Every now and then forgets the columns that no step has kept a value of.
fn release_unused(columns: &mut [Points], kept: &[Kept], place: usize, steps: usize) {
    if place % 256 != 255 {
        return;
    }
    let mut used = vec![false; columns.len()];
    kept.iter().flatten().for_each(|(_, p)| used[*p] = true);
    for (points, _) in columns.iter_mut().zip(used).filter(|(_, used)| !used) {
        if points.values.len() == steps {
            *points = Points::default();
        }
    }
}

/// The kept series of a group, by place, in the order of the first step's ranks.
fn chosen(columns: &[Points], kept: &[Kept], steps: usize) -> Vec<(usize, Points)> {
    let mut out: Vec<(usize, Points)> = Vec::new();
    let mut slot: Vec<Option<usize>> = vec![None; columns.len()];
    for (step, list) in kept.iter().enumerate() {
        for (_, place) in list {
            let at = *slot[*place].get_or_insert_with(|| {
                out.push((*place, Points::absent(steps)));
                out.len() - 1
            });
            match columns[*place].histogram(step) {
                Some(h) => out[at].1.push_histogram(step, h.clone()),
                None => out[at].1.values[step] = columns[*place].values[step],
            }
        }
    }
    out
}

fn assemble<'e>(task: &Task<'_, 'e>, picked: Vec<Vec<(usize, Points)>>) -> Result<Vector<'e>, EvalError> {
    let (mut series, mut columns) = (Vec::new(), Vec::new());
    for (group, list) in task.groups.iter().zip(picked) {
        for (place, points) in list {
            series.push(task.vector.series[group.members[place]].clone());
            columns.push(points);
        }
    }
    Vector::ready(task.ev.ctx, series, columns)
}

pub(super) fn by_ratio<'e>(
    task: &Task<'_, 'e>,
    param: &Scalars,
    param_site: usize,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = task.node.grid.steps;
    if param.iter(steps).any(f64::is_nan) {
        return Err(task.ev.ctx.fail(param_site, "Ratio value is NaN"));
    }
    let mut pace = task.ev.ctx.pace();
    for (beyond, cap) in param.iter(steps).map(|r| (r, r.clamp(-1.0, 1.0))).filter(|(r, cap)| r != cap) {
        pace.spend(LABELS_COST)?;
        let text = format!(
            "ratio value should be between -1 and 1, got {}, capping to {}",
            format_g(beyond),
            format_g(cap)
        );
        notes.warn(param_site, text);
    }
    let columns = task.ev.ctx.parallel(task.vector.series.len(), notes, |i, worker| {
        let mut points = task.vector.column(i, worker)?.into_owned();
        let offset = hash_offset(&task.vector.series[i].labels);
        let takes = |step: usize| {
            let ratio = param.at(step).clamp(-1.0, 1.0);
            if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
        };
        for (step, v) in points.values.iter_mut().enumerate() {
            if !takes(step) {
                *v = ABSENT;
            }
        }
        points.histograms.retain(|(step, _)| takes(*step as usize));
        Ok(points)
    })?;
    Vector::ready(task.ev.ctx, task.vector.series.clone(), columns)
}

/// Where in `[0, 1]` a label set falls: its hash, as Prometheus computes it.
fn hash_offset(labels: &Labels) -> f64 {
    // Prometheus keeps labels as lengths and bytes too, and hashes those; a length of 255 or more takes
    // four bytes there, so only long values are encoded anew.
    let long = labels.iter().any(|(n, v)| n.len() > 127 || v.len() > 127);
    let hash = if long { xxh64(&reference_encoding(labels), 0) } else { xxh64(labels.as_bytes(), 0) };
    hash as f64 / u64::MAX as f64
}

/// `labels_stringlabels.go`: a byte of length below 255, or 255 and three bytes, low ones first.
fn reference_encoding(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    for text in labels.iter().flat_map(|(n, v)| [n, v]) {
        match u8::try_from(text.len()) {
            Ok(n) if n < 255 => out.push(n),
            _ => {
                out.push(255);
                out.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        out.extend_from_slice(text.as_bytes());
    }
    out
}
