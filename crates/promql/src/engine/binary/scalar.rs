//! An operator between a vector and a number. Invariant: a comparison keeps the vector's sample, on whichever
//! side it stands.

use super::element::{Outcome, Result2, arithmetic, changes_meaning, compare, samples};
use crate::engine::{
    notes::{Notes, Site},
    plan::Operation,
    points::{ABSENT, Point, Points, Scalars, is_absent},
    vector::Vector,
};

/// `vector op scalar`, or with `swapped` `scalar op vector`.
pub(super) fn vector_scalar<'e>(
    mut v: Vector<'e>,
    s: Scalars,
    op: &'e Operation,
    site: Site,
    swapped: bool,
) -> Vector<'e> {
    if changes_meaning(op.op) || op.return_bool {
        v = v.drop_names();
    }
    v.map(move |_, points, worker| {
        let job = Job { op, s: &s, site, swapped };
        if points.histograms.is_empty() && matches!(plain(op), Plain::Yes) {
            job.floats(points);
        } else {
            *points = job.mixed(points, &mut worker.notes);
        }
        Ok(())
    })
}

/// Whether floats have a result for every operator but the trims.
enum Plain {
    Yes,
    No,
}

fn plain(op: &Operation) -> Plain {
    use crate::ast::BinaryOp::{TrimLower, TrimUpper};
    if matches!(op.op, TrimUpper | TrimLower) { Plain::No } else { Plain::Yes }
}

struct Job<'j> {
    op: &'j Operation,
    s: &'j Scalars,
    site: Site,
    swapped: bool,
}

impl Job<'_> {
    /// Floats alone, the usual case.
    fn floats(&self, points: &mut Points) {
        let (op, comparison, swapped) = (self.op.op, self.op.op.is_comparison(), self.swapped);
        for (step, v) in points.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let s = self.s.at(step);
            let (a, b) = if swapped { (s, *v) } else { (*v, s) };
            if !comparison {
                *v = arithmetic(op, a, b);
            } else if self.op.return_bool {
                *v = f64::from(u8::from(compare(op, a, b)));
            } else if !compare(op, a, b) {
                *v = ABSENT;
            }
        }
    }

    fn mixed(&self, points: &Points, notes: &mut Notes) -> Points {
        let mut out = Points::absent(points.values.len());
        for step in 0..points.values.len() {
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
        out
    }
}
