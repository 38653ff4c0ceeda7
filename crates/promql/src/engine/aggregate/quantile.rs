//! `quantile`. Invariant: histograms are left out and told of. This one needs all values of a step, so a
//! group's columns are held while it is computed.

use super::Task;
use crate::engine::{
    EvalError,
    limits::Size,
    notes::{Notes, ignored_in_aggregation},
    points::{Points, Scalars, is_absent},
    range::{order, quantile_of},
    sorting::{NUMBERS, sort_by},
    vector::Vector,
};

/// What a value costs that is sorted with others.
const SORTED_COST: usize = 8;

pub(super) fn quantile<'e>(
    task: &Task<'_, 'e>,
    q: &Scalars,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = task.node.grid.steps;
    let ctx = task.ev.ctx;
    let columns = ctx.parallel(task.groups.len(), notes, |g, worker| {
        let members = &task.groups[g].members;
        let _held = ctx.hold(Size::columns(members.len(), steps))?;
        let column = |i: &usize| ctx.check().and_then(|()| task.vector.column(*i, worker));
        let columns = members.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        if columns.iter().any(|p| !p.histograms.is_empty()) {
            worker.notes.info(task.site, ignored_in_aggregation("quantile"));
        }
        let mut out = Points::absent(steps);
        let mut values: Vec<f64> = Vec::with_capacity(columns.len());
        let mut pace = ctx.pace();
        for step in 0..steps {
            pace.spend(SORTED_COST * members.len())?;
            values.clear();
            values.extend(columns.iter().map(|p| p.values[step]).filter(|v| !is_absent(*v)));
            if !values.is_empty() {
                sort_by(&mut values, ctx, NUMBERS, |a, b| order(*a, *b))?;
                out.values[step] = quantile_of(q.at(step), &values);
            }
        }
        Ok(out)
    })?;
    Vector::ready(task.ev.ctx, task.metas(), columns)
}
