//! An operator between two samples. Invariant: what makes no sense has no result and is told of, but is no
//! error.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`scalarBinop`, `vectorElemBinop`).

use std::sync::Arc;

use assay_model::{CounterResetHint, FloatHistogram, histogram::AddNotes};

use crate::{
    ast::BinaryOp,
    engine::{
        notes::{Notes, Site, bounds_reconciled, reset_collision},
        points::Point,
    },
};

/// The result between two samples.
pub(super) enum Result2 {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// A result, and whether a comparison holds.
pub(super) struct Outcome {
    pub(super) value: Result2,
    pub(super) keep: bool,
}

/// The operator between numbers; comparisons yield 0 or 1.
pub(super) fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() { f64::from(u8::from(compare(op, a, b))) } else { arithmetic(op, a, b) }
}

/// The arithmetic operators; NaN for any other.
#[inline]
pub(super) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::NAN,
    }
}

/// The comparisons; false for any other.
#[inline]
pub(super) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Gte => a >= b,
        BinaryOp::Lss => a < b,
        BinaryOp::Lte => a <= b,
        _ => false,
    }
}

/// Whether the result is something other than one of the samples, so that the metric's name goes.
pub(super) fn changes_meaning(op: BinaryOp) -> bool {
    !op.is_comparison() && !op.is_set() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// The operator between two samples; `None`, with a note, where there is no result.
pub(super) fn samples(
    op: BinaryOp,
    a: Point<'_>,
    b: Point<'_>,
    site: Site,
    notes: &mut Notes,
) -> Option<Outcome> {
    let trim = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
    match (a, b) {
        (Point::Float(a), Point::Float(b)) if !trim => Some(if op.is_comparison() {
            Outcome { value: Result2::Float(a), keep: compare(op, a, b) }
        } else {
            Outcome { value: Result2::Float(arithmetic(op, a, b)), keep: true }
        }),
        (Point::Float(a), Point::Histogram(b)) if op == BinaryOp::Mul => changed(b, |h| h.mul(a)),
        (Point::Histogram(a), Point::Float(b)) => match op {
            BinaryOp::Mul => changed(a, |h| h.mul(b)),
            BinaryOp::Div => changed(a, |h| h.div(b)),
            BinaryOp::TrimUpper => kept(a, |h| h.trim_above(b)),
            BinaryOp::TrimLower => kept(a, |h| h.trim_below(b)),
            _ => incompatible(op, ("histogram", "float"), site, notes),
        },
        (Point::Histogram(a), Point::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => sum(op, a, b, site, notes),
            BinaryOp::Eql => Some(Outcome { value: Result2::Histogram(a.clone()), keep: a.equals(b) }),
            BinaryOp::Neq => Some(Outcome { value: Result2::Histogram(a.clone()), keep: !a.equals(b) }),
            _ => incompatible(op, ("histogram", "histogram"), site, notes),
        },
        (a, b) => {
            let kind = |p| if matches!(p, Point::Float(_)) { "float" } else { "histogram" };
            incompatible(op, (kind(a), kind(b)), site, notes)
        }
    }
}

fn changed(
    h: &FloatHistogram,
    f: impl FnOnce(&mut FloatHistogram) -> &mut FloatHistogram,
) -> Option<Outcome> {
    kept(h, |h| f(h).compact(0))
}

fn kept(h: &FloatHistogram, f: impl FnOnce(&mut FloatHistogram) -> &mut FloatHistogram) -> Option<Outcome> {
    let mut h = h.clone();
    f(&mut h);
    Some(Outcome { value: Result2::Histogram(Arc::new(h)), keep: true })
}

fn sum(
    op: BinaryOp,
    a: &FloatHistogram,
    b: &FloatHistogram,
    site: Site,
    notes: &mut Notes,
) -> Option<Outcome> {
    let mut h = a.clone();
    let (done, operation) = match op {
        BinaryOp::Add => (h.add(b), "addition"),
        _ => (h.sub(b), "subtraction"),
    };
    let Ok(AddNotes { counter_reset_collision, bounds_reconciled: reconciled }) = done else {
        notes.warn(site, format_args!("incompatible bucket layout encountered for binary operator {op}"));
        return None;
    };
    if counter_reset_collision {
        notes.warn(site, reset_collision(operation));
    }
    if reconciled {
        notes.info(site, bounds_reconciled(operation));
    }
    if op == BinaryOp::Sub {
        h.counter_reset_hint = CounterResetHint::Gauge;
    }
    h.compact(0);
    Some(Outcome { value: Result2::Histogram(Arc::new(h)), keep: true })
}

fn incompatible(op: BinaryOp, (a, b): (&str, &str), site: Site, notes: &mut Notes) -> Option<Outcome> {
    notes.info(
        site,
        format_args!("incompatible sample types encountered for binary operator \"{op}\": {a} {op} {b}"),
    );
    None
}
