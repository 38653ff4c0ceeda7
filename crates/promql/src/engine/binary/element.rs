//! An operator between two samples. Invariant: what makes no sense has no result and a remark, but is no
//! error.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`scalarBinop`, `vectorElemBinop`).

use std::sync::Arc;

use assay_model::{CounterResetHint, FloatHistogram, elementary, histogram::AddNotes};

use crate::{
    ast::{ArithmeticOp, BinaryKind, BinaryOp, ComparisonOp, TrimOp},
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
    match op.kind() {
        BinaryKind::Arithmetic(op) => arithmetic(op, a, b),
        BinaryKind::Comparison(op) => f64::from(u8::from(compare(op, a, b))),
        BinaryKind::Set(_) | BinaryKind::Trim(_) => f64::NAN,
    }
}

/// The arithmetic operators.
#[inline]
pub(super) fn arithmetic(op: ArithmeticOp, a: f64, b: f64) -> f64 {
    match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div => a / b,
        ArithmeticOp::Mod => a % b,
        ArithmeticOp::Pow => elementary::pow(a, b),
        ArithmeticOp::Atan2 => a.atan2(b),
    }
}

/// The comparisons.
#[inline]
pub(super) fn compare(op: ComparisonOp, a: f64, b: f64) -> bool {
    match op {
        ComparisonOp::Eql => a == b,
        ComparisonOp::Neq => a != b,
        ComparisonOp::Gtr => a > b,
        ComparisonOp::Gte => a >= b,
        ComparisonOp::Lss => a < b,
        ComparisonOp::Lte => a <= b,
    }
}

/// Whether the result is something other than one of the samples, so that the metric's name goes.
pub(super) fn changes_meaning(op: BinaryOp) -> bool {
    match op.kind() {
        BinaryKind::Arithmetic(_) => true,
        BinaryKind::Comparison(_) | BinaryKind::Set(_) | BinaryKind::Trim(_) => false,
    }
}

/// The operator between two samples; `None`, with a note, where there is no result.
pub(super) fn samples(
    op: BinaryOp,
    a: Point<'_>,
    b: Point<'_>,
    site: Site,
    notes: &mut Notes,
) -> Option<Outcome> {
    use BinaryKind::{Arithmetic, Comparison, Trim};
    use Point::{Float, Histogram};
    match (op.kind(), a, b) {
        (Arithmetic(op), Float(a), Float(b)) => {
            Some(Outcome { value: Result2::Float(arithmetic(op, a, b)), keep: true })
        }
        (Comparison(op), Float(a), Float(b)) => {
            Some(Outcome { value: Result2::Float(a), keep: compare(op, a, b) })
        }
        (Arithmetic(ArithmeticOp::Mul), Float(a), Histogram(b)) => changed(b, |h| h.mul(a)),
        (Arithmetic(ArithmeticOp::Mul), Histogram(a), Float(b)) => changed(a, |h| h.mul(b)),
        (Arithmetic(ArithmeticOp::Div), Histogram(a), Float(b)) => changed(a, |h| h.div(b)),
        (Trim(TrimOp::TrimUpper), Histogram(a), Float(b)) => kept(a, |h| h.trim_above(b)),
        (Trim(TrimOp::TrimLower), Histogram(a), Float(b)) => kept(a, |h| h.trim_below(b)),
        (Arithmetic(ArithmeticOp::Add | ArithmeticOp::Sub), Histogram(a), Histogram(b)) => {
            sum(op, a, b, site, notes)
        }
        (Comparison(ComparisonOp::Eql), Histogram(a), Histogram(b)) => {
            Some(Outcome { value: Result2::Histogram(a.clone()), keep: a.equals(b) })
        }
        (Comparison(ComparisonOp::Neq), Histogram(a), Histogram(b)) => {
            Some(Outcome { value: Result2::Histogram(a.clone()), keep: !a.equals(b) })
        }
        (_, a, b) => {
            let kind = |p| if matches!(p, Float(_)) { "float" } else { "histogram" };
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
