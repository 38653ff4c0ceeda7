//! `quantile`. Invariant: histograms are left out and told of. This one needs all values of a step, so a
//! group's columns are held while it is computed.

use super::Task;
use crate::engine::{
    EvalError,
    limits::Size,
    notes::{Notes, ignored_in_aggregation},
    points::{Points, Scalars, is_absent},
    range::{order, quantile_of},
    vector::Vector,
};

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
        let columns =
            members.iter().map(|i| task.vector.column(*i, worker)).collect::<Result<Vec<_>, _>>()?;
        if columns.iter().any(|p| !p.histograms.is_empty()) {
            worker.notes.info(task.site, ignored_in_aggregation("quantile"));
        }
        let mut out = Points::absent(steps);
        let mut values: Vec<f64> = Vec::with_capacity(columns.len());
        for step in 0..steps {
            values.clear();
            values.extend(columns.iter().map(|p| p.values[step]).filter(|v| !is_absent(*v)));
            if !values.is_empty() {
                values.sort_unstable_by(|a, b| order(*a, *b));
                out.values[step] = quantile_of(q.at(step), &values);
            }
        }
        Ok(out)
    })?;
    Vector::ready(task.ev.ctx, task.metas(), columns)
}
