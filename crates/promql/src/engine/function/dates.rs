//! Parts of a date, in UTC. Invariant: without an argument the evaluation time is the date.

use assay_model::Labels;

use crate::{
    ast::Func,
    engine::{
        calendar::Civil,
        grid::Grid,
        points::Points,
        vector::{Meta, Vector},
    },
};

/// A part of a date.
pub(super) type Part = fn(&Civil) -> i64;

/// The part that a function yields.
pub(super) fn part(func: Func) -> Option<Part> {
    Some(match func {
        Func::DaysInMonth => Civil::days_in_month,
        Func::DayOfMonth => |c| c.day,
        Func::DayOfWeek => |c| c.weekday,
        Func::DayOfYear => |c| c.day_of_year,
        Func::Hour => |c| c.hour,
        Func::Minute => |c| c.minute,
        Func::Month => |c| c.month,
        Func::Year => |c| c.year,
        _ => return None,
    })
}

/// The part for every sample, or for the times of the grid.
pub(super) fn apply(part: Part, input: Option<Vector<'_>>, grid: Grid) -> Vector<'_> {
    let of = move |seconds: f64| part(&Civil::from_float(seconds)) as f64;
    let Some(v) = input else {
        let values =
            (0..grid.steps).map(|s| part(&Civil::from_unix(grid.time(s).div_euclid(1000))) as f64).collect();
        let meta = Meta { labels: Labels::empty(), drop_name: false };
        return Vector::ready(vec![meta], vec![Points::floats(values)]);
    };
    v.drop_names().map(move |_, points, _| {
        points.map_floats(of);
        Ok(())
    })
}
