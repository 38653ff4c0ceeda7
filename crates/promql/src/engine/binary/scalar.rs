//! An operator between a vector and a number. Invariant: a comparison keeps the vector's sample, on whichever
//! side it stands.

use super::element::{Outcome, Result2, arithmetic, changes_meaning, compare, samples};
use crate::{
    ast::BinaryKind,
    engine::{
        EvalError,
        context::{Context, HISTOGRAM_COST},
        notes::{Notes, Site},
        plan::Operation,
        points::{ABSENT, Point, Points, Scalars},
        vector::Vector,
    },
};

/// `vector op scalar`, or with `swapped` `scalar op vector`.
pub(super) fn vector_scalar<'e>(
    ctx: &'e Context<'e>,
    mut v: Vector<'e>,
    s: Scalars,
    op: &'e Operation,
    (site, swapped): (Site, bool),
) -> Vector<'e> {
    if changes_meaning(op.op) || op.return_bool {
        v = v.drop_names();
    }
    v.map(move |_, points, worker| {
        let job = Job { ctx, op, s: &s, site, swapped };
        if points.histograms.is_empty() && !matches!(op.op.kind(), BinaryKind::Trim(_)) {
            job.floats(points)?;
        } else {
            *points = job.mixed(points, &mut worker.notes)?;
        }
        Ok(())
    })
}

struct Job<'j> {
    ctx: &'j Context<'j>,
    op: &'j Operation,
    s: &'j Scalars,
    site: Site,
    swapped: bool,
}

impl Job<'_> {
    /// Floats alone, the usual case.
    fn floats(&self, points: &mut Points) -> Result<(), EvalError> {
        match self.op.op.kind() {
            BinaryKind::Arithmetic(op) => self.each(points, |a, b, _| arithmetic(op, a, b)),
            BinaryKind::Comparison(op) if self.op.return_bool => {
                self.each(points, |a, b, _| f64::from(u8::from(compare(op, a, b))))
            }
            BinaryKind::Comparison(op) => {
                self.each(points, |a, b, kept| if compare(op, a, b) { kept } else { ABSENT })
            }
            // Vectors alone have set operators, and floats have no part to be cut off.
            BinaryKind::Set(_) | BinaryKind::Trim(_) => Ok(()),
        }
    }

    /// Sets each sample to what `f` makes of both sides, as they were written, and of the sample.
    fn each(&self, points: &mut Points, f: impl Fn(f64, f64, f64) -> f64) -> Result<(), EvalError> {
        points.each_float(self.ctx, |step, v| {
            let s = self.s.at(step);
            if self.swapped { f(s, v, v) } else { f(v, s, v) }
        })
    }

    fn mixed(&self, points: &Points, notes: &mut Notes) -> Result<Points, EvalError> {
        let mut out = Points::absent(points.values.len());
        let mut pace = self.ctx.pace();
        for step in 0..points.values.len() {
            pace.spend(HISTOGRAM_COST)?;
            let Some(sample) = points.at(step) else { continue };
            let number = Point::Float(self.s.at(step));
            let (a, b) = if self.swapped { (number, sample) } else { (sample, number) };
            let Some(Outcome { value, keep }) = samples(self.op.op, a, b, self.site, notes) else { continue };
            if self.op.return_bool {
                out.values[step] = f64::from(u8::from(keep));
            } else if keep {
                match (self.op.op.is_comparison(), sample, value) {
                    (true, Point::Float(f), _) | (false, _, Result2::Float(f)) => out.values[step] = f,
                    (true, Point::Histogram(h), _) => out.push_histogram(step, h.clone()),
                    (false, _, Result2::Histogram(h)) => out.push_histogram(step, h),
                }
            }
        }
        Ok(out)
    }
}
