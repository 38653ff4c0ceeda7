//! `and`, `or`, `unless`. Invariant: samples pass unchanged; only whether the other side has a match counts.

use assay_model::Labels;
use hashbrown::HashMap;

use super::matching::signature;
use crate::{
    ast::SetOp,
    engine::{
        EvalError,
        eval::Evaluator,
        limits::Size,
        notes::Notes,
        plan::{Node, Operation},
        points::{ABSENT, Points},
        vector::Vector,
    },
};

pub(super) fn combine<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    (op, which): (&'e Operation, SetOp),
    lhs: Vector<'e>,
    rhs: Vector<'e>,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = node.grid.steps;
    let matching = op.matching.clone().unwrap_or_default();
    let mut ids: HashMap<Labels, usize> = HashMap::new();
    let mut id_of = |labels: &Labels| {
        let next = ids.len();
        *ids.entry(signature(labels, &matching)).or_insert(next)
    };
    let left: Vec<usize> = lhs.series.iter().map(|m| id_of(&m.labels)).collect();
    let right: Vec<usize> = rhs.series.iter().map(|m| id_of(&m.labels)).collect();
    let n = ids.len();
    let _held = ev.ctx.hold(Size::bytes(n.saturating_mul(steps)))?;
    let wanted = match which {
        SetOp::Or => {
            let (lhs, rhs) = (lhs.materialize(ev.ctx, notes)?, rhs.materialize(ev.ctx, notes)?);
            let (a, b) = (lhs.columns(ev.ctx, notes)?, rhs.columns(ev.ctx, notes)?);
            let present = Presence::of(&a, &left, n, steps);
            let others = b.iter().zip(&right).map(|(p, id)| present.filter(p, *id, false));
            let columns: Vec<Points> = a.iter().cloned().chain(others).collect();
            let series = [lhs.series, rhs.series].concat();
            return Vector::ready(ev.ctx, series, columns)?.merge_duplicates(ev.ctx, node.site, notes);
        }
        SetOp::And => true,
        SetOp::Unless => false,
    };
    let b = rhs.columns(ev.ctx, notes)?;
    let present = Presence::of(&b, &right, n, steps);
    let series = lhs.series.clone();
    let filtered = Vector::lazy(series, lhs.depth(), move |i, worker| {
        let points = lhs.column(i, worker)?;
        Ok(present.filter(&points, left[i], wanted))
    });
    filtered.shallow(ev.ctx, notes)
}

/// At which steps a signature has a sample.
struct Presence(Vec<Option<Vec<bool>>>);

impl Presence {
    fn of(columns: &[Points], ids: &[usize], n: usize, steps: usize) -> Self {
        let mut out: Vec<Option<Vec<bool>>> = vec![None; n];
        for (points, id) in columns.iter().zip(ids) {
            let seen = out[*id].get_or_insert_with(|| vec![false; steps]);
            for (step, seen) in seen.iter_mut().enumerate() {
                *seen |= points.has(step);
            }
        }
        Self(out)
    }

    /// The samples at the steps at which the signature's presence is as wanted.
    fn filter(&self, points: &Points, id: usize, wanted: bool) -> Points {
        let Some(seen) = &self.0[id] else {
            return if wanted { Points::absent(points.values.len()) } else { points.clone() };
        };
        let values = points
            .values
            .iter()
            .zip(seen)
            .map(|(v, seen)| if *seen == wanted { *v } else { ABSENT })
            .collect();
        let histograms =
            points.histograms.iter().filter(|(s, _)| seen[*s as usize] == wanted).cloned().collect();
        Points { values, histograms }
    }
}
