//! Functions of one float. Invariant: histograms have no result.

use assay_model::elementary;

use crate::{
    ast::FloatFunc,
    engine::{
        context::Context,
        points::{ABSENT, Scalars},
        vector::Vector,
    },
};

/// Applies a function of a float to every sample.
pub(super) fn apply<'e>(ctx: &'e Context<'e>, v: Vector<'e>, which: FloatFunc) -> Vector<'e> {
    let f = function(which);
    v.map(move |_, points, _| points.map_floats(ctx, |_, v| f(v)))
}

fn function(which: FloatFunc) -> fn(f64) -> f64 {
    match which {
        FloatFunc::Abs => f64::abs,
        FloatFunc::Ceil => f64::ceil,
        FloatFunc::Floor => f64::floor,
        FloatFunc::Exp => elementary::exp,
        FloatFunc::Sqrt => f64::sqrt,
        FloatFunc::Ln => elementary::ln,
        FloatFunc::Log2 => elementary::log2,
        FloatFunc::Log10 => elementary::log10,
        FloatFunc::Sin => f64::sin,
        FloatFunc::Cos => f64::cos,
        FloatFunc::Tan => f64::tan,
        FloatFunc::Asin => f64::asin,
        FloatFunc::Acos => f64::acos,
        FloatFunc::Atan => f64::atan,
        FloatFunc::Sinh => f64::sinh,
        FloatFunc::Cosh => f64::cosh,
        FloatFunc::Tanh => f64::tanh,
        FloatFunc::Asinh => f64::asinh,
        FloatFunc::Acosh => f64::acosh,
        FloatFunc::Atanh => f64::atanh,
        FloatFunc::Rad => |v| v * std::f64::consts::PI / 180.0,
        FloatFunc::Deg => |v| v * 180.0 / std::f64::consts::PI,
        FloatFunc::Sgn => sign,
    }
}

/// -1, 0 or 1; zeros and NaN as they are.
fn sign(v: f64) -> f64 {
    if v < 0.0 {
        -1.0
    } else if v > 0.0 {
        1.0
    } else {
        v
    }
}

/// The larger one as Go's `math.Max`: +Inf even with a NaN, else NaN where either is.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    let infinite = a == f64::INFINITY || b == f64::INFINITY;
    if !infinite && (a.is_nan() || b.is_nan()) { f64::NAN } else { a.max(b) }
}

/// The smaller one as Go's `math.Min`: -Inf even with a NaN, else NaN where either is.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

/// Values held between two limits; no result where the limits are the wrong way round.
pub(super) fn clamp<'e>(ctx: &'e Context<'e>, v: Vector<'e>, low: Scalars, high: Scalars) -> Vector<'e> {
    v.map(move |_, points, _| {
        points.map_floats(ctx, |step, v| {
            let (low, high) = (low.at(step), high.at(step));
            if high < low { ABSENT } else { max(low, min(high, v)) }
        })
    })
}

/// Values rounded to a multiple of `nearest`, halves upwards.
pub(super) fn round<'e>(ctx: &'e Context<'e>, v: Vector<'e>, nearest: Scalars) -> Vector<'e> {
    v.map(move |_, points, _| {
        points.map_floats(ctx, |step, v| {
            // Multiplying by the inverse keeps multiples of 0.1 and the like clean.
            let inverse = 1.0 / nearest.at(step);
            (v * inverse + 0.5).floor() / inverse
        })
    })
}
