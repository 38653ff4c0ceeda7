//! Functions over instant vectors and scalars. Invariant: what becomes of the metric's name is up to the
//! function's row in the table.
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
    limits::Size,
    notes::Notes,
    plan::Node,
    points::{Scalars, is_absent},
    vector::{Meta, Output, Vector},
};
use crate::ast::{
    Func, Function, LabelFunc, LimitFunc, QuantileFunc, RangeMode, ScalarFunc, TimeFunc, ValueType,
};

pub(crate) use absent::absent;
pub(crate) use info::info;
pub(crate) use labels::is_label_name;

/// Checks that a function takes an anchored or smoothed range.
pub(crate) fn check_mode(func: &Function, mode: RangeMode) -> Result<(), String> {
    let name = match mode {
        RangeMode::Anchored if !func.takes(mode) => "anchored",
        RangeMode::Smoothed if !func.takes(mode) => "smoothed",
        RangeMode::Plain | RangeMode::Anchored | RangeMode::Smoothed => return Ok(()),
    };
    let taking: Vec<&str> = Function::all().iter().filter(|f| f.takes(mode)).map(|f| f.name).collect();
    Err(format!("{name} modifier can only be used with: {} - not with {}", taking.join(", "), func.name))
}

/// A call that is evaluated.
struct Call<'c, 'e> {
    ev: &'c Evaluator<'e>,
    node: &'e Node,
    args: &'e [Arc<Node>],
}

/// The one dispatch of functions that the planner leaves as they are.
pub(crate) fn call<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    func: &Function,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Output<'e>, EvalError> {
    let call = Call { ev, node, args };
    let vector = match func.id {
        Func::Scalar(which) => match call.scalar_function(which, notes)? {
            Output::Vector(v) => v,
            other => return Ok(other),
        },
        Func::Float(which) => math::apply(ev.ctx, call.vector(0, notes)?, which),
        Func::Limit(which) => call.limit(which, notes)?,
        Func::Date(which) => {
            let input = if args.is_empty() { None } else { Some(call.vector(0, notes)?) };
            dates::apply(ev.ctx, which, input, node.grid)?
        }
        Func::Histogram(which) => histogram::apply(call.vector(0, notes)?, which),
        Func::Quantile(which) => match which {
            QuantileFunc::HistogramQuantile => quantile::histogram_quantile(ev, node, args, notes)?,
            QuantileFunc::HistogramQuantiles => quantile::histogram_quantiles(ev, node, args, notes)?,
            QuantileFunc::HistogramFraction => quantile::histogram_fraction(ev, node, args, notes)?,
        },
        Func::Time(which) => match which {
            TimeFunc::Timestamp => step_times(call.vector(0, notes)?, node.grid),
            // What is computed has no start time.
            TimeFunc::StartTimestamp => Vector::empty(),
        },
        Func::Label(which) => match which {
            LabelFunc::LabelReplace => labels::replace(ev, node, args, notes)?,
            LabelFunc::LabelJoin => labels::join(ev, node, args, notes)?,
        },
        Func::Sort(which) => sort::sort(ev, node, args, which, notes)?,
        Func::Absence(_) | Func::Info(_) | Func::Query(_) | Func::Range(_) => {
            return Err(ev.ctx.fail(node.site, format!("{} cannot be used here", func.name)));
        }
    };
    let of_samples = args.iter().any(|a| a.value_type == ValueType::Vector);
    Ok(Output::Vector(if of_samples && func.drops_name() { vector.drop_names() } else { vector }))
}

impl<'e> Call<'_, 'e> {
    fn vector(&self, i: usize, notes: &mut Notes) -> Result<Vector<'e>, EvalError> {
        self.ev.vector(&self.args[i], notes)
    }

    fn scalar(&self, i: usize, notes: &mut Notes) -> Result<Scalars, EvalError> {
        self.ev.scalars(&self.args[i], notes)
    }

    fn scalar_function(&self, which: ScalarFunc, notes: &mut Notes) -> Result<Output<'e>, EvalError> {
        let grid = self.node.grid;
        let pick = |notes: &mut Notes, of: fn(f64, f64) -> f64| -> Result<Scalars, EvalError> {
            let (a, b) = (self.scalar(0, notes)?, self.scalar(1, notes)?);
            a.map2(&b, self.ev.ctx, grid.steps, of)
        };
        Ok(Output::Scalar(match which {
            ScalarFunc::Time => {
                let times = self.ev.ctx.collect(grid.steps, |s| grid.time(s) as f64 / 1000.0)?;
                Scalars::Steps(Arc::new(times))
            }
            ScalarFunc::Pi => Scalars::Constant(std::f64::consts::PI),
            ScalarFunc::MaxOf => pick(notes, math::max)?,
            ScalarFunc::MinOf => pick(notes, math::min)?,
            ScalarFunc::Scalar => to_scalar(self.ev.ctx, &self.vector(0, notes)?, grid.steps, notes)?,
            ScalarFunc::Vector => {
                return Ok(Output::Vector(from_scalar(self.ev.ctx, &self.scalar(0, notes)?, grid.steps)?));
            }
        }))
    }

    fn limit(&self, which: LimitFunc, notes: &mut Notes) -> Result<Vector<'e>, EvalError> {
        let v = self.vector(0, notes)?;
        let first = if self.args.len() > 1 { Some(self.scalar(1, notes)?) } else { None };
        let (constant, ctx) = (|v: f64| Scalars::Constant(v), self.ev.ctx);
        Ok(match which {
            LimitFunc::Clamp => {
                let high = self.scalar(2, notes)?;
                math::clamp(ctx, v, first.unwrap_or_else(|| constant(f64::NEG_INFINITY)), high)
            }
            LimitFunc::ClampMin => math::clamp(
                ctx,
                v,
                first.unwrap_or_else(|| constant(f64::NEG_INFINITY)),
                constant(f64::INFINITY),
            ),
            LimitFunc::ClampMax => math::clamp(
                ctx,
                v,
                constant(f64::NEG_INFINITY),
                first.unwrap_or_else(|| constant(f64::INFINITY)),
            ),
            LimitFunc::Round => math::round(ctx, v, first.unwrap_or_else(|| constant(1.0))),
        })
    }
}

/// `timestamp` of anything but a selector: the time of the step.
fn step_times(v: Vector<'_>, grid: Grid) -> Vector<'_> {
    v.map(move |_, points, _| {
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
        ctx.check()?;
        for (step, value) in points.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            found[step] = found[step].saturating_add(1);
            values[step] = if found[step] == 1 { *value } else { f64::NAN };
        }
    }
    Ok(Scalars::Steps(Arc::new(values)))
}

fn from_scalar<'e>(ctx: &Context<'_>, s: &Scalars, steps: usize) -> Result<Vector<'e>, EvalError> {
    let meta = Meta { labels: Labels::empty(), drop_name: false };
    let _room = ctx.hold(Size::columns(1, steps))?;
    Ok(Vector::small(vec![meta], vec![s.to_points(ctx, steps)?]))
}
