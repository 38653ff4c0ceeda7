//! Functions of one float. Invariant: histograms have no result.

use crate::{
    ast::Func,
    engine::{points::Scalars, points::is_absent, vector::Vector},
};

/// The function of a float that a function applies to every sample.
pub(super) fn function(func: Func) -> Option<fn(f64) -> f64> {
    Some(match func {
        Func::Abs => f64::abs,
        Func::Ceil => f64::ceil,
        Func::Floor => f64::floor,
        Func::Exp => f64::exp,
        Func::Sqrt => f64::sqrt,
        Func::Ln => f64::ln,
        Func::Log2 => f64::log2,
        Func::Log10 => f64::log10,
        Func::Sin => f64::sin,
        Func::Cos => f64::cos,
        Func::Tan => f64::tan,
        Func::Asin => f64::asin,
        Func::Acos => f64::acos,
        Func::Atan => f64::atan,
        Func::Sinh => f64::sinh,
        Func::Cosh => f64::cosh,
        Func::Tanh => f64::tanh,
        Func::Asinh => f64::asinh,
        Func::Acosh => f64::acosh,
        Func::Atanh => f64::atanh,
        Func::Rad => |v| v * std::f64::consts::PI / 180.0,
        Func::Deg => |v| v * 180.0 / std::f64::consts::PI,
        Func::Sgn => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// The larger one as Go's `math.Max`: +Inf even beside a NaN, else NaN where either is.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    let infinite = a == f64::INFINITY || b == f64::INFINITY;
    if !infinite && (a.is_nan() || b.is_nan()) { f64::NAN } else { a.max(b) }
}

/// The smaller one as Go's `math.Min`: -Inf even beside a NaN, else NaN where either is.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

/// Values held between two limits; no result where the limits are the wrong way round.
pub(super) fn clamp(v: Vector<'_>, low: Scalars, high: Scalars) -> Vector<'_> {
    v.drop_names().map(move |_, points, _| {
        points.histograms.clear();
        for (step, v) in points.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            let (low, high) = (low.at(step), high.at(step));
            *v = if high < low { crate::engine::points::ABSENT } else { max(low, min(high, *v)) };
        }
        Ok(())
    })
}

/// Values rounded to a multiple of `nearest`, halves upwards.
pub(super) fn round(v: Vector<'_>, nearest: Scalars) -> Vector<'_> {
    v.drop_names().map(move |_, points, _| {
        points.histograms.clear();
        for (step, v) in points.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            // Multiplying by the inverse keeps multiples of 0.1 and the like clean.
            let inverse = 1.0 / nearest.at(step);
            *v = (*v * inverse + 0.5).floor() / inverse;
        }
        Ok(())
    })
}
