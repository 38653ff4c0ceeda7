//! `count_values`: how many series have each value. Invariant: a value is a label, written as Prometheus
//! writes numbers.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`aggregationCountValues`).

use assay_model::{Labels, number::format_f};
use hashbrown::HashMap;

use super::{Task, group_labels};
use crate::engine::{
    EvalError,
    context::LABELS_COST,
    eval::Evaluator,
    function::is_label_name,
    limits::Size,
    notes::Notes,
    plan::{Aggregation, Node},
    points::{Point, Points, is_absent},
    vector::{Meta, Vector},
};

/// The name of the label that values go to.
pub(super) fn label<'e>(ev: &Evaluator<'e>, param: &'e Node) -> Result<&'e str, EvalError> {
    let literal = ev.literal(param)?;
    if !is_label_name(literal) {
        return Err(ev.ctx.fail(param.site, format!("invalid label name {literal}")));
    }
    Ok(&literal.value)
}

pub(super) fn count_values<'e>(
    task: &Task<'_, 'e>,
    a: &Aggregation,
    label: &str,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = &task.vector;
    let columns = v.columns(task.ev.ctx, notes)?;
    let steps = task.node.grid.steps;
    let mut grouping = a.grouping.clone();
    if !a.without {
        grouping.push(label.to_owned());
        grouping.sort();
    }
    let held = task.ev.ctx.hold(Size::default())?;
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let (mut series, mut out): (Vec<Meta>, Vec<Points>) = (Vec::new(), Vec::new());
    for (meta, points) in v.series.iter().zip(columns.iter()) {
        task.ev.ctx.check()?;
        let mut last: Option<(u64, usize)> = None;
        let mut pace = task.ev.ctx.pace();
        for step in 0..steps {
            let Some(point) = points.at(step) else { continue };
            let bits = match point {
                Point::Float(f) => Some(f.to_bits()),
                Point::Histogram(_) => None,
            };
            // Values seldom change from step to step, and labels are dear.
            let at = match last.filter(|(b, _)| Some(*b) == bits) {
                Some((_, at)) => at,
                None => {
                    pace.spend(LABELS_COST)?;
                    let value = match point {
                        Point::Float(f) => format_f(f),
                        Point::Histogram(h) => h.to_string(),
                    };
                    let mut labels = meta.labels.to_builder();
                    labels.set(label, &value);
                    let labels = group_labels(&labels.build(), &grouping, a.without);
                    let next = out.len();
                    let at = *index.entry(labels.clone()).or_insert(next);
                    if at == next {
                        held.grow(Size::columns(1, steps))?;
                        series.push(Meta { labels, drop_name: false });
                        out.push(Points::absent(steps));
                    }
                    at
                }
            };
            last = bits.map(|b| (b, at));
            let count = &mut out[at].values[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }

    Vector::ready(task.ev.ctx, series, out)
}
