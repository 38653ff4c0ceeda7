//! What makes two nodes the same. Invariant: nodes with equal keys have equal values over the same source.

use std::fmt::Write;

use super::{Grid, Op, Selector, Window, WindowSource};

/// A text that is the same for nodes with the same value.
pub(super) fn key(op: &Op, grid: Grid) -> String {
    let mut out = format!("{}/{}/{}:", grid.start_ms, grid.step_ms, grid.steps);
    // Writing to a string does not fail.
    let _ = write_op(&mut out, op);
    out
}

fn write_op(out: &mut String, op: &Op) -> std::fmt::Result {
    match op {
        Op::Number(v) => write!(out, "number {:x}", v.to_bits()),
        Op::Text(t) => write!(out, "text {t}"),
        Op::Repeat(n) => write!(out, "repeat {}", n.id),
        Op::Negate(n) => write!(out, "negate {}", n.id),
        Op::Select(s) => write_selector(out, "select", s),
        Op::Times { selector, start } => {
            write_selector(out, if *start { "start times" } else { "times" }, selector)
        }
        Op::Raw(w) => write_window(out, "raw", w),
        Op::Range { func, window, params, .. } => {
            write_window(out, func.name, window)?;
            params.iter().try_for_each(|p| write!(out, ",{}", p.id))
        }
        Op::AbsentOverTime { window, labels, .. } => {
            write_window(out, "absent_over_time", window)?;
            write!(out, "{labels}")
        }
        Op::Absent { vector, labels } => write!(out, "absent {} {labels}", vector.id),
        Op::Info(call) => write!(out, "info {} {:?} {:?}", call.vector.id, call.matchers, call.shift),
        Op::Function { func, args } => {
            out.write_str(func.name)?;
            args.iter().try_for_each(|a| write!(out, ",{}", a.id))
        }
        Op::Aggregate(a) => {
            let param = a.param.as_ref().map(|p| p.id);
            write!(out, "{:?} {} {param:?} {:?} {}", a.op, a.vector.id, a.grouping, a.without)
        }
        Op::Binary(b) => {
            write!(out, "{:?} {} {} {:?} {}", b.op, b.lhs.id, b.rhs.id, b.matching, b.return_bool)
        }
    }
}

fn write_selector(out: &mut String, what: &str, s: &Selector) -> std::fmt::Result {
    write!(out, "{what} {} {:?} {:?} {}", s.selection, s.shift, s.mode, s.stats)
}

fn write_window(out: &mut String, what: &str, w: &Window) -> std::fmt::Result {
    match &w.source {
        WindowSource::Selection(at) => write!(out, "{what} selection {at}")?,
        WindowSource::Subquery(n) => write!(out, "{what} subquery {}", n.id)?,
    }
    write!(out, " {} {:?} {:?} {}", w.range_ms, w.shift, w.mode, w.stats)
}
