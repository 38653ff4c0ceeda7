//! Parts of a date, in UTC. Invariant: without an argument the evaluation time is the date.

use assay_model::Labels;

use crate::{
    ast::DateFunc,
    engine::{
        EvalError,
        calendar::Civil,
        context::Context,
        grid::Grid,
        points::Points,
        vector::{Meta, Vector},
    },
};

/// The part that a function yields.
fn part(which: DateFunc) -> fn(&Civil) -> i64 {
    match which {
        DateFunc::DaysInMonth => Civil::days_in_month,
        DateFunc::DayOfMonth => |c| c.day,
        DateFunc::DayOfWeek => |c| c.weekday,
        DateFunc::DayOfYear => |c| c.day_of_year,
        DateFunc::Hour => |c| c.hour,
        DateFunc::Minute => |c| c.minute,
        DateFunc::Month => |c| c.month,
        DateFunc::Year => |c| c.year,
    }
}

/// The part for every sample, or for the times of the grid.
pub(super) fn apply<'e>(
    ctx: &'e Context<'e>,
    which: DateFunc,
    input: Option<Vector<'e>>,
    grid: Grid,
) -> Result<Vector<'e>, EvalError> {
    let part = part(which);
    let of = move |seconds: f64| part(&Civil::from_float(seconds)) as f64;
    let Some(v) = input else {
        let values =
            ctx.collect(grid.steps, |s| part(&Civil::from_unix(grid.time(s).div_euclid(1000))) as f64)?;
        let meta = Meta { labels: Labels::empty(), drop_name: false };
        return Ok(Vector::small(vec![meta], vec![Points::floats(values)]));
    };
    Ok(v.map(move |_, points, _| points.map_floats(ctx, |_, v| of(v))))
}
