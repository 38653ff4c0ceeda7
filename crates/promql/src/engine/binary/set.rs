//! `and`, `or`, `unless`. Invariant: samples pass unchanged; only whether the other side has a match counts.

use assay_model::Labels;
use hashbrown::HashMap;

use super::matching::signature;
use crate::{
    ast::SetOp,
    engine::{
        EvalError,
        context::{Context, LABELS_COST},
        eval::Evaluator,
        limits::Size,
        notes::Notes,
        plan::{Node, Operation},
        points::{ABSENT, Points},
        vector::{Meta, Vector},
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
    let mut pace = ev.ctx.pace();
    let mut id_of = |meta: &Meta| {
        pace.spend(LABELS_COST + meta.labels.as_bytes().len())?;
        let next = ids.len();
        Ok(*ids.entry(signature(&meta.labels, &matching)).or_insert(next))
    };
    let left = lhs.series.iter().map(&mut id_of).collect::<Result<Vec<usize>, EvalError>>()?;
    let right = rhs.series.iter().map(&mut id_of).collect::<Result<Vec<usize>, EvalError>>()?;
    let n = ids.len();
    let _held = ev.ctx.hold(Size::bytes(n.saturating_mul(steps)))?;
    let wanted = match which {
        SetOp::Or => {
            let (lhs, rhs) = (lhs.materialize(ev.ctx, notes)?, rhs.materialize(ev.ctx, notes)?);
            let (a, b) = (lhs.columns(ev.ctx, notes)?, rhs.columns(ev.ctx, notes)?);
            let present = Presence::of(ev.ctx, &a, &left, (n, steps))?;
            let mut columns: Vec<Points> = a.to_vec();
            for (points, id) in b.iter().zip(&right) {
                ev.ctx.check()?;
                columns.push(present.filter(points, *id, false));
            }
            let series = [lhs.series, rhs.series].concat();
            return Vector::ready(ev.ctx, series, columns)?.merge_duplicates(ev.ctx, node.site, notes);
        }
        SetOp::And => true,
        SetOp::Unless => false,
    };
    let b = rhs.columns(ev.ctx, notes)?;
    let present = Presence::of(ev.ctx, &b, &right, (n, steps))?;
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
    fn of(
        ctx: &Context<'_>,
        columns: &[Points],
        ids: &[usize],
        (n, steps): (usize, usize),
    ) -> Result<Self, EvalError> {
        let mut out: Vec<Option<Vec<bool>>> = vec![None; n];
        for (points, id) in columns.iter().zip(ids) {
            ctx.check()?;
            let seen = out[*id].get_or_insert_with(|| vec![false; steps]);
            for (step, seen) in seen.iter_mut().enumerate() {
                *seen |= points.has(step);
            }
        }
        Ok(Self(out))
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
