//! Binary operators. Invariant: series find each other by their labels alone, once for all steps; samples only
//! decide whether a match is allowed.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`VectorBinop`, `VectorscalarBinop`, `vectorElemBinop`).

mod element;
mod matching;
mod scalar;
mod set;

use super::{
    EvalError,
    context::Context,
    eval::Evaluator,
    notes::Notes,
    plan::{Node, Operation},
    vector::{Output, Vector},
};
use crate::ast::BinaryKind;

/// Evaluates an operator over what its sides yield.
pub(crate) fn evaluate<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    op: &'e Operation,
    notes: &mut Notes,
) -> Result<Output<'e>, EvalError> {
    let lhs = ev.eval(&op.lhs, notes)?;
    let rhs = ev.eval(&op.rhs, notes)?;
    Ok(match (lhs, rhs) {
        (Output::Scalar(a), Output::Scalar(b)) => {
            Output::Scalar(a.map2(&b, ev.ctx, node.grid.steps, |a, b| element::scalars(op.op, a, b))?)
        }
        (Output::Vector(v), Output::Scalar(s)) => {
            Output::Vector(scalar::vector_scalar(ev.ctx, v, s, op, (node.site, false)))
        }
        (Output::Scalar(s), Output::Vector(v)) => {
            Output::Vector(scalar::vector_scalar(ev.ctx, v, s, op, (node.site, true)))
        }
        (Output::Vector(a), Output::Vector(b)) => Output::Vector(match op.op.kind() {
            BinaryKind::Set(which) => set::combine(ev, node, (op, which), a, b, notes)?,
            BinaryKind::Arithmetic(_) | BinaryKind::Comparison(_) | BinaryKind::Trim(_) => {
                matching::combine(ev, node, op, a, b, notes)?
            }
        }),
        _ => return Err(ev.ctx.fail(node.site, "binary operators take scalars and instant vectors")),
    })
}

/// `-v`.
pub(crate) fn negate<'e>(ctx: &'e Context<'e>, v: Vector<'e>) -> Vector<'e> {
    v.drop_names().map(|_, points, _| {
        points.each_float(ctx, |_, v| -v)?;
        for (_, h) in &mut points.histograms {
            std::sync::Arc::make_mut(h).mul(-1.0);
        }
        Ok(())
    })
}
