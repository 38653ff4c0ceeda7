//! Functions over instant vectors and scalars. Invariant: a function that computes new values drops the
//! metric's name, and one that only picks or relabels keeps it.
//!
//! Source: Prometheus `promql/functions.go` v3.13, file by file below.

mod absent;
mod buckets;
mod dates;
mod histogram;
mod info;
mod labels;
mod math;
mod quantile;
mod sort;

use std::sync::Arc;

use assay_model::Labels;

use super::{
    EvalError,
    context::Context,
    eval::Evaluator,
    grid::Grid,
    notes::Notes,
    plan::Node,
    points::{Points, Scalars, is_absent},
    vector::{Meta, Output, Vector},
};
use crate::ast::{Func, Function, RangeMode};

pub(crate) use absent::absent;
pub(crate) use info::info;
pub(crate) use labels::is_label_name;

/// Checks that a function takes an anchored or smoothed range.
pub(crate) fn check_mode(func: &Function, mode: RangeMode) -> Result<(), String> {
    const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
    const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];
    let (name, allowed): (&str, &[&str]) = match mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => ("anchored", &ANCHORED),
        RangeMode::Smoothed => ("smoothed", &SMOOTHED),
    };
    if allowed.contains(&func.name) {
        return Ok(());
    }
    Err(format!("{name} modifier can only be used with: {} - not with {}", allowed.join(", "), func.name))
}

/// The one dispatch of functions without a range vector.
pub(crate) fn call<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    func: Func,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Output<'e>, EvalError> {
    let (steps, grid) = (node.grid.steps, node.grid);
    let vector = |i: usize, notes: &mut Notes| ev.vector(&args[i], notes);
    let scalar = |i: usize, notes: &mut Notes| ev.scalars(&args[i], notes);
    Ok(Output::Vector(match func {
        Func::Time => {
            let times = (0..steps).map(|s| grid.time(s) as f64 / 1000.0).collect();
            return Ok(Output::Scalar(Scalars::Steps(Arc::new(times))));
        }
        Func::Pi => return Ok(Output::Scalar(Scalars::Constant(std::f64::consts::PI))),
        Func::MaxOf | Func::MinOf => {
            let (a, b) = (scalar(0, notes)?, scalar(1, notes)?);
            let pick = if func == Func::MaxOf { math::max } else { math::min };
            return Ok(Output::Scalar(a.map2(&b, steps, pick)));
        }
        Func::Scalar => return Ok(Output::Scalar(to_scalar(ev.ctx, &vector(0, notes)?, steps, notes)?)),
        Func::Vector => from_scalar(&scalar(0, notes)?, steps),
        Func::Clamp => {
            let (v, low, high) = (vector(0, notes)?, scalar(1, notes)?, scalar(2, notes)?);
            math::clamp(v, low, high)
        }
        Func::ClampMin => {
            let (v, low) = (vector(0, notes)?, scalar(1, notes)?);
            math::clamp(v, low, Scalars::Constant(f64::INFINITY))
        }
        Func::ClampMax => {
            let (v, high) = (vector(0, notes)?, scalar(1, notes)?);
            math::clamp(v, Scalars::Constant(f64::NEG_INFINITY), high)
        }
        Func::Round => {
            let v = vector(0, notes)?;
            let nearest = if args.len() > 1 { scalar(1, notes)? } else { Scalars::Constant(1.0) };
            math::round(v, nearest)
        }
        Func::Timestamp => step_times(vector(0, notes)?, grid),
        // What is computed has no start time.
        Func::StartTimestamp => Vector::empty(),
        Func::LabelReplace => labels::replace(ev, node, args, notes)?,
        Func::LabelJoin => labels::join(ev, node, args, notes)?,
        Func::Sort | Func::SortDesc => sort::by_value(ev, node, vector(0, notes)?, func, notes)?,
        Func::SortByLabel | Func::SortByLabelDesc => sort::by_label(ev, node, args, func, notes)?,
        Func::HistogramQuantile => quantile::histogram_quantile(ev, node, args, notes)?,
        Func::HistogramQuantiles => quantile::histogram_quantiles(ev, node, args, notes)?,
        Func::HistogramFraction => quantile::histogram_fraction(ev, node, args, notes)?,
        _ => by_sample(ev, node, func, args, notes)?,
    }))
}

/// Functions that look at one sample at a time.
fn by_sample<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    func: Func,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    if let Some(part) = dates::part(func) {
        let input = args.first().map(|a| ev.vector(a, notes)).transpose()?;
        return Ok(dates::apply(part, input, node.grid));
    }
    let Some(arg) = args.first() else {
        return Err(ev.ctx.fail(node.site, format!("the function {func:?} cannot stand here")));
    };
    if let Some(f) = math::function(func) {
        return Ok(ev.vector(arg, notes)?.drop_names().map(move |_, points, _| {
            points.map_floats(f);
            Ok(())
        }));
    }
    match histogram::function(func) {
        Some(f) => Ok(histogram::apply(ev.vector(arg, notes)?, f)),
        None => Err(ev.ctx.fail(node.site, format!("the function {func:?} cannot stand here"))),
    }
}

/// `timestamp` of anything but a selector: the time of the step.
fn step_times(v: Vector<'_>, grid: Grid) -> Vector<'_> {
    v.drop_names().map(move |_, points, _| {
        for step in 0..grid.steps {
            if points.has(step) {
                points.values[step] = grid.time(step) as f64 / 1000.0;
            }
        }
        points.histograms.clear();
        Ok(())
    })
}

/// The one float of each step, or NaN.
fn to_scalar(
    ctx: &Context<'_>,
    v: &Vector<'_>,
    steps: usize,
    notes: &mut Notes,
) -> Result<Scalars, EvalError> {
    let columns = v.columns(ctx, notes)?;
    let mut found = vec![0u8; steps];
    let mut values = vec![f64::NAN; steps];
    for points in columns.iter() {
        for (step, value) in points.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            found[step] = found[step].saturating_add(1);
            values[step] = if found[step] == 1 { *value } else { f64::NAN };
        }
    }
    Ok(Scalars::Steps(Arc::new(values)))
}

fn from_scalar<'e>(s: &Scalars, steps: usize) -> Vector<'e> {
    let meta = Meta { labels: Labels::empty(), drop_name: false };
    Vector::ready(vec![meta], vec![Points::floats(s.iter(steps).collect())])
}
