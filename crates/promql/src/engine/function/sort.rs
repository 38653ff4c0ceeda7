//! Sorting. Invariant: only an instant query has an order to change; a range query's result is sorted by
//! labels whatever is here.

use std::{cmp::Ordering, sync::Arc};

use assay_model::Labels;
use hashbrown::HashMap;

use crate::{
    ast::SortFunc,
    engine::{
        EvalError,
        eval::Evaluator,
        notes::Notes,
        plan::Node,
        points::{ABSENT, Points, is_absent},
        sorting::{TEXTS, sort_by},
        vector::Vector,
    },
};

/// The vector in the function's order.
pub(super) fn sort<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    args: &'e [Arc<Node>],
    which: SortFunc,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = ev.vector(&args[0], notes)?;
    match which {
        SortFunc::Sort => by_value(ev, node, v, f64::total_cmp, notes),
        SortFunc::SortDesc => by_value(ev, node, v, |a, b| b.total_cmp(a), notes),
        SortFunc::SortByLabel => by_label(ev, node, v, &args[1..], |o| o, notes),
        SortFunc::SortByLabelDesc => by_label(ev, node, v, &args[1..], Ordering::reverse, notes),
    }
}

/// By value, NaN last, histograms left out.
fn by_value<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: Vector<'e>,
    order: fn(&f64, &f64) -> Ordering,
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
            (false, false) => order(&a, &b),
        }
    })
}

/// By the labels in turn, numbers in them as numbers, then by all.
fn by_label<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: Vector<'e>,
    names: &'e [Arc<Node>],
    direction: fn(Ordering) -> Ordering,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let names = names.iter().map(|a| ev.text(a)).collect::<Result<Vec<_>, _>>()?;
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, name) in names.iter().enumerate() {
        places.entry(name).or_default().push(place);
    }
    // The values that a series is sorted by, so that a comparison need not look for them.
    let values_of = |labels: &Labels| {
        let mut values = vec![String::new(); names.len()];
        for (name, value) in labels.iter() {
            for place in places.get(name).into_iter().flatten() {
                value.clone_into(&mut values[*place]);
            }
        }
        values
    };
    let mut keys: Vec<Vec<String>> = Vec::with_capacity(v.series.len());
    for meta in &v.series {
        ev.ctx.check()?;
        keys.push(values_of(&meta.labels));
    }
    let labels: Vec<Labels> = v.series.iter().map(|m| m.labels.clone()).collect();
    reordered(ev, node, v, notes, |(a, _), (b, _)| {
        let order = keys[a].iter().zip(&keys[b]).map(|(a, b)| natural(a, b)).find(|o| *o != Ordering::Equal);
        direction(order.unwrap_or_else(|| labels[a].cmp(&labels[b])))
    })
}

fn reordered<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: Vector<'e>,
    notes: &mut Notes,
    order: impl Fn((usize, &Points), (usize, &Points)) -> Ordering,
) -> Result<Vector<'e>, EvalError> {
    if node.grid.steps != 1 || ev.ctx.is_chunk {
        notes.warn(
            node.site,
            "sort is ineffective for range queries since results are always ordered by labels",
        );
        return Ok(v);
    }
    let columns = v.columns(ev.ctx, notes)?;
    let mut places: Vec<usize> = (0..columns.len()).collect();
    sort_by(&mut places, ev.ctx, TEXTS, |a, b| order((*a, &columns[*a]), (*b, &columns[*b])))?;
    let (series, columns) = places.into_iter().map(|i| (v.series[i].clone(), columns[i].clone())).unzip();
    Vector::ready(ev.ctx, series, columns)
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
