//! `absent`. Invariant: there is a result at exactly the steps at which the vector is empty.

use assay_model::Labels;

use crate::engine::{
    EvalError,
    context::Context,
    notes::Notes,
    plan::Node,
    points::{ABSENT, Points},
    vector::{Meta, Vector},
};

pub(crate) fn absent<'e>(
    ctx: &Context<'_>,
    node: &Node,
    v: &Vector<'_>,
    labels: &Labels,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = node.grid.steps;
    let present = ctx.parallel(v.series.len(), notes, |i, worker| {
        let points = v.column(i, worker)?;
        Ok((0..steps).map(|s| points.has(s)).collect::<Vec<bool>>())
    })?;
    let values = (0..steps).map(|s| if present.iter().any(|p| p[s]) { ABSENT } else { 1.0 }).collect();
    let meta = Meta { labels: labels.clone(), drop_name: false };
    Ok(Vector::ready(vec![meta], vec![Points::floats(values)]))
}
