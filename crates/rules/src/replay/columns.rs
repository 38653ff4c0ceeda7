//! All slots of a rule at once.
//!
//! Invariant: the result is that of `steps`; where it might not be (two rules that write the same series), the replay is
//! done again slot by slot.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use assay_model::{Column, Labels, Value, stale_nan};
use assay_promql::{EvalError, Expr, InstantSample, QueryValue, RangeQuery, RangeSeries};

use super::{
    Environment, RuleRun, State,
    depend::{self, Part},
    rule::DUPLICATE_SERIES,
    slots::Slots,
    steps,
};
use crate::{
    file::{RuleId, RuleKind},
    overlay::{Overlay, View},
};

/// Replays all rules; false where the outcome depends on an order of writing that only `steps` keeps.
pub(super) fn run(state: &mut State<'_>) -> bool {
    let (places, layers) = {
        let of = |g: &usize| state.runs[*g].iter().zip(std::iter::repeat(state.groups[*g]));
        let in_order: Vec<_> = state.order.iter().flat_map(of).collect();
        let places: Vec<RuleId> = in_order.iter().map(|(run, _)| run.summary.id).collect();
        (places, depend::layers(&in_order))
    };
    for layer in layers {
        let mut grids: BTreeMap<(Slots, i64), Vec<RuleId>> = BTreeMap::new();
        let mut stepwise: Vec<Vec<RuleId>> = Vec::new();
        for Part { rules, stepwise: by_step } in layer {
            let rules: Vec<RuleId> = rules.into_iter().map(|i| places[i]).collect();
            if by_step {
                stepwise.push(rules);
                continue;
            }
            for id in rules {
                let slots = state.groups[id.group];
                if slots.len() > 0 {
                    let offset_ms = state.run(id).offset_ms;
                    grids.entry((slots, offset_ms)).or_default().push(id);
                }
            }
        }
        for ((slots, offset_ms), rules) in grids {
            stepwise.extend(batch(state, slots, offset_ms, &rules).into_iter().map(|rule| vec![rule]));
        }
        for rules in stepwise {
            steps::run(state, &|id| rules.contains(&id));
        }
        if state.overlay.is_shared() {
            return false;
        }
    }
    true
}

/// Evaluates rules with the same slots together. Those whose expression fails somewhere come back: where it fails is
/// found slot by slot.
fn batch(state: &mut State<'_>, slots: Slots, offset_ms: i64, rules: &[RuleId]) -> Vec<RuleId> {
    let query = RangeQuery {
        start_ms: slots.first_ms - offset_ms,
        end_ms: slots.last_ms - offset_ms,
        step_ms: slots.interval_ms,
    };
    let results = {
        let view = View { source: state.source, overlay: &state.overlay, hidden: &state.hidden };
        let exprs: Vec<&Expr> = rules.iter().map(|id| &state.run(*id).rule.expr).collect();
        match state.engine.batch(&view, &exprs, query) {
            Ok(results) => results,
            Err(_) => return rules.to_vec(),
        }
    };
    let (mut failed, mut alone) = (Vec::new(), Vec::new());
    for (id, result) in rules.iter().zip(results) {
        let result = match result {
            // It may fit where the others' results are not there.
            Err(EvalError::OutOfMemory { .. }) if rules.len() > 1 => {
                alone.push(*id);
                continue;
            }
            Err(e @ EvalError::OutOfMemory { .. }) => {
                fail_all(state.run_mut(*id), slots, e.to_string());
                continue;
            }
            Err(_) => {
                failed.push(*id);
                continue;
            }
            Ok(result) => result,
        };
        let QueryValue::Matrix(matrix) = result.value else {
            failed.push(*id);
            continue;
        };
        state.run_mut(*id).note(result.annotations);
        // What is written is a copy; a number for each slot comes on top.
        let more = matrix.iter().map(RangeSeries::bytes).sum::<usize>() + slots.len() * size_of::<usize>();
        match (state.hold(more), &state.run(*id).rule.kind) {
            (Err(message), _) => fail_all(state.run_mut(*id), slots, message),
            (Ok(()), RuleKind::Recording) => {
                let run = &mut state.runs[id.group][id.rule];
                record(run, slots, &matrix, &mut state.overlay);
            }
            (Ok(()), RuleKind::Alerting(_)) => alert(state, *id, slots, matrix),
        }
        // What was read is gone, what was written stays; whether it is too much shows at the next rule.
        let _ = state.hold(0);
    }
    failed.extend(alone.iter().flat_map(|id| batch(state, slots, offset_ms, &[*id])));
    failed
}

fn fail_all(run: &mut RuleRun<'_>, slots: Slots, message: String) {
    run.fail_at(slots.first_ms, slots.last_ms, slots.len(), message);
}

/// Writes a recording rule's series, each over all slots.
fn record(run: &mut RuleRun<'_>, slots: Slots, matrix: &[RangeSeries], overlay: &mut Overlay) {
    let count = slots.len();
    let offset_ms = run.offset_ms;
    let mut per_slot = vec![0usize; count];
    let mut by_labels: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (i, series) in matrix.iter().enumerate() {
        for t_ms in times(&series.samples) {
            per_slot[slots.index(t_ms + offset_ms)] += 1;
        }
        by_labels.entry(run.recorded_labels(&series.labels)).or_default().push(i);
    }
    let limit = |(slot, n): (usize, &usize)| Some((slot, run.check_limit(*n).err()?));
    let mut errors: HashMap<usize, String> = per_slot.iter().enumerate().filter_map(limit).collect();
    // Series that get the same labels clash at the slots where several of them are.
    for group in by_labels.values().filter(|g| g.len() > 1) {
        let mut seen = vec![false; count];
        for t_ms in group.iter().flat_map(|i| times(&matrix[*i].samples)) {
            let slot = slots.index(t_ms + offset_ms);
            if std::mem::replace(&mut seen[slot], true) {
                errors.insert(slot, DUPLICATE_SERIES.to_owned());
            }
        }
    }
    for (slot, t_ms) in slots.iter().enumerate() {
        run.summary.evaluations += 1;
        run.summary.with_result += usize::from(per_slot[slot] > 0);
        if let Some(cause) = errors.remove(&slot) {
            run.last_error = None;
            run.fail(t_ms, cause);
            per_slot[slot] = usize::MAX;
        }
    }
    let mut outputs: Vec<(Labels, Vec<usize>)> = by_labels.into_iter().collect();
    outputs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (labels, group) in outputs {
        if let [only] = group.as_slice()
            && matrix[*only].samples.histograms.is_empty()
        {
            floats(run, slots, &labels, &matrix[*only].samples, &per_slot, overlay);
            continue;
        }
        let mut present: Vec<Option<Value>> = vec![None; count];
        for i in group {
            for (t_ms, value) in samples(&matrix[i].samples) {
                present[slots.index(t_ms + offset_ms)] = Some(value);
            }
        }
        let mut before = false;
        for (slot, value) in present.into_iter().enumerate() {
            // A failed slot writes nothing and leaves what was there before as it was.
            if per_slot[slot] == usize::MAX {
                continue;
            }
            let at_ms = slots.first_ms + slot as i64 * slots.interval_ms - offset_ms;
            let now = value.is_some();
            let written = value.or_else(|| before.then(|| Value::Float(stale_nan())));
            if let Some(value) = written
                && overlay.append_by(run.number, &labels, at_ms, &value).is_ok()
            {
                run.summary.samples += usize::from(now);
            }
            before = now;
        }
    }
}

/// Writes one series of floats over all slots: what most series are, in one piece.
fn floats(
    run: &mut RuleRun<'_>,
    slots: Slots,
    labels: &Labels,
    column: &Column,
    per_slot: &[usize],
    overlay: &mut Overlay,
) {
    let offset_ms = run.offset_ms;
    let (mut times, mut values) =
        (Vec::with_capacity(column.times.len()), Vec::with_capacity(column.times.len()));
    let (mut next, mut before) = (0, false);
    for (slot, t_ms) in slots.iter().enumerate() {
        let at_ms = t_ms - offset_ms;
        let now = column.times.get(next) == Some(&at_ms);
        next += usize::from(now);
        // A failed slot writes nothing and leaves what was there before as it was.
        if per_slot[slot] == usize::MAX {
            continue;
        }
        if now || before {
            times.push(at_ms);
            values.push(if now { column.values[next - 1] } else { stale_nan() });
        }
        run.summary.samples += usize::from(now);
        before = now;
    }
    overlay.extend_by(run.number, labels, &times, &values);
}

/// Takes an alerting rule through all slots.
fn alert(state: &mut State<'_>, id: RuleId, slots: Slots, matrix: Vec<RangeSeries>) {
    let offset_ms = state.run(id).offset_ms;
    let mut by_slot: HashMap<usize, Vec<InstantSample>> = HashMap::new();
    for series in matrix {
        for (t_ms, value) in samples(&series.samples) {
            let sample = InstantSample { labels: series.labels.clone(), t_ms, value };
            by_slot.entry(slots.index(t_ms + offset_ms)).or_default().push(sample);
        }
    }
    for (slot, t_ms) in slots.iter().enumerate() {
        let vector = by_slot.remove(&slot).unwrap_or_default();
        let run = &mut state.runs[id.group][id.rule];
        if vector.is_empty() && run.is_idle() {
            run.summary.evaluations += 1;
            run.last_error = None;
            continue;
        }
        let view = View { source: state.source, overlay: &state.overlay, hidden: &state.hidden };
        let written = run.evaluate(t_ms, Ok(vector), &Environment::of(&state.engine, &view, state.options));
        run.commit(t_ms, written, &mut state.overlay);
    }
}

/// The times of a column's samples, ascending within floats and within histograms.
fn times(column: &Column) -> impl Iterator<Item = i64> {
    column.times.iter().chain(&column.histogram_times).copied()
}

fn samples(column: &Column) -> impl Iterator<Item = (i64, Value)> {
    let floats = column.times.iter().zip(&column.values).map(|(t, v)| (*t, Value::Float(*v)));
    let histograms = column.histogram_times.iter().zip(&column.histograms);
    floats.chain(histograms.map(|(t, h)| (*t, Value::Histogram(h.clone()))))
}
