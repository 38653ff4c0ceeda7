//! `absent`. Invariant: there is a result at exactly the steps at which the vector is empty.

use assay_model::Labels;

use crate::engine::{
    EvalError,
    context::Context,
    notes::Notes,
    plan::Node,
    points::Points,
    range::missing,
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
    let values = missing(ctx, v.series.len(), steps, notes, |i, worker, mark| {
        let points = v.column(i, worker)?;
        (0..steps).filter(|s| points.has(*s)).for_each(mark);
        Ok(())
    })?;
    let meta = Meta { labels: labels.clone(), drop_name: false };
    Ok(Vector::small(vec![meta], vec![Points::floats(values)]))
}
