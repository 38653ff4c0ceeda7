//! Sorting that ends when its query does. Invariant: the order is stable and that of the standard library.

use std::cmp::Ordering;

use super::{EvalError, context::Context};

/// How many keys that are numbers are sorted at once.
pub(crate) const NUMBERS: usize = 1 << 15;
/// How many elements are sorted at once whose comparison is dear.
pub(crate) const TEXTS: usize = 1 << 8;

/// Sorts, `at_once` elements between two looks at whether the query is over.
pub(crate) fn sort_by<T: Copy>(
    items: &mut [T],
    ctx: &Context<'_>,
    at_once: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> Result<(), EvalError> {
    if items.len() <= at_once {
        items.sort_by(order);
        return Ok(());
    }
    for run in items.chunks_mut(at_once) {
        ctx.check()?;
        run.sort_by(&order);
    }
    let mut merged = Vec::with_capacity(items.len());
    let mut width = at_once;
    while width < items.len() {
        merged.clear();
        for two in items.chunks(2 * width) {
            let (a, b) = two.split_at(width.min(two.len()));
            merge((a, b), &mut merged, ctx, at_once, &order)?;
        }
        items.copy_from_slice(&merged);
        width *= 2;
    }
    Ok(())
}

/// Appends two sorted runs as one.
fn merge<T: Copy>(
    (mut a, mut b): (&[T], &[T]),
    out: &mut Vec<T>,
    ctx: &Context<'_>,
    at_once: usize,
    order: impl Fn(&T, &T) -> Ordering,
) -> Result<(), EvalError> {
    while let (Some(last), Some(first)) = (a.last(), b.first()) {
        ctx.check()?;
        if order(last, first).is_le() {
            break;
        }
        for _ in 0..at_once {
            let (Some(x), Some(y)) = (a.first(), b.first()) else { break };
            let is_second = order(y, x).is_lt();
            out.push(if is_second { *y } else { *x });
            if is_second { b = &b[1..] } else { a = &a[1..] }
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicBool};

    use super::*;
    use crate::{
        engine::{EngineOptions, Limits},
        promqltest::MemStorage,
    };

    #[test]
    fn runs_come_together_in_a_stable_order() {
        let (source, options) = (MemStorage::new(), EngineOptions::default());
        let ctx = Context::new(&source, &options, &[]);
        for len in [0, 1, 4, 5, 16, 63, 1000] {
            let items: Vec<(u64, usize)> = (0..len).map(|i| (i as u64 * 7919 % 13, i)).collect();
            let (mut sorted, mut want) = (items.clone(), items);
            sort_by(&mut sorted, &ctx, 4, |a, b| a.0.cmp(&b.0)).expect("has time");
            want.sort_by_key(|(key, _)| *key);
            assert_eq!(sorted, want, "{len}");
        }
    }

    #[test]
    fn a_query_that_is_over_is_not_sorted_for() {
        let cancel = Some(Arc::new(AtomicBool::new(true)));
        let limits = Limits { cancel, ..Limits::default() };
        let (source, options) = (MemStorage::new(), EngineOptions { limits, ..EngineOptions::default() });
        let ctx = Context::new(&source, &options, &[]);
        let mut items: Vec<u64> = (0..100).rev().collect();
        assert!(matches!(sort_by(&mut items, &ctx, 4, u64::cmp), Err(EvalError::Cancelled)));
    }
}
