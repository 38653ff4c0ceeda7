//! Sorting. Invariant: only an instant query has an order to change; a range query's result is sorted by
//! labels whatever stands here.

use std::{cmp::Ordering, sync::Arc};

use crate::{
    ast::Func,
    engine::{
        EvalError,
        eval::Evaluator,
        notes::Notes,
        plan::Node,
        points::{ABSENT, Points, is_absent},
        vector::{Meta, Vector},
    },
};

/// `sort` and `sort_desc`: by value, NaN last, histograms left out.
pub(super) fn by_value<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: Vector<'e>,
    func: Func,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = v.map(|_, points, _| {
        points.histograms.clear();
        Ok(())
    });
    reordered(ev, node, v, notes, |(_, a), (_, b)| {
        let value = |p: &Points| p.values.first().copied().filter(|v| !is_absent(*v)).unwrap_or(ABSENT);
        let (a, b) = (value(a), value(b));
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if func == Func::Sort => a.total_cmp(&b),
            _ => b.total_cmp(&a),
        }
    })
}

/// `sort_by_label` and `sort_by_label_desc`: by the labels in turn, numbers in them as numbers, then by all.
pub(super) fn by_label<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    args: &'e [Arc<Node>],
    func: Func,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = ev.vector(&args[0], notes)?;
    let names = args[1..].iter().map(|a| ev.text(a)).collect::<Result<Vec<_>, _>>()?;
    reordered(ev, node, v, notes, |(a, _), (b, _)| {
        let by_names = names.iter().map(|n| {
            let value = |m: &Meta| m.labels.get(n).unwrap_or("").to_owned();
            natural(&value(a), &value(b))
        });
        let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
        if func == Func::SortByLabel { order } else { order.reverse() }
    })
}

fn reordered<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: Vector<'e>,
    notes: &mut Notes,
    order: impl Fn((&Meta, &Points), (&Meta, &Points)) -> Ordering,
) -> Result<Vector<'e>, EvalError> {
    if node.grid.steps != 1 {
        notes.warn(
            node.site,
            "sort is ineffective for range queries since results are always ordered by labels",
        );
        return Ok(v);
    }
    let columns = v.columns(ev.ctx, notes)?;
    let mut pairs: Vec<(&Meta, &Points)> = v.series.iter().zip(columns.iter()).collect();
    pairs.sort_by(|a, b| order(*a, *b));
    let (series, columns) = pairs.into_iter().map(|(m, p)| (m.clone(), p.clone())).unzip();
    Ok(Vector::ready(series, columns))
}

/// Compares runs of digits as numbers and everything else as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (chunks(a), chunks(b));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                _ => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A text as runs of digits and runs of anything else.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (chunk, tail) = rest.split_at(end);
        rest = tail;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_text_sort_as_numbers() {
        let mut list = vec!["4m10", "4m5", "4m600", "20", "", "3", "a"];
        list.sort_by(|a, b| natural(a, b));
        assert_eq!(list, ["", "3", "4m5", "4m10", "4m600", "20", "a"]);
    }
}
