//! Bucket layouts compared and merged. Invariant: a merged layout covers exactly the buckets of both.
//!
//! The rule of what counts as a reset is that of Prometheus `tsdb/chunkenc/histogram.go`
//! (`expandIntSpansAndBuckets`) v3.5.3: a used bucket that is gone, or any bucket that shrank.

use assay_model::Span;

/// The indices of the buckets that some spans cover, ascending.
pub(crate) fn indices(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let mut next = 0i64;
    spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    })
}

/// The union of two layouts.
#[derive(Debug, PartialEq)]
pub(crate) struct Union {
    pub(crate) spans: Vec<Span>,
    /// Whether the first layout lacks a bucket of the union.
    pub(crate) first_grows: bool,
    /// Whether the second one does.
    pub(crate) second_grows: bool,
}

/// Merges two layouts with their absolute counts. With `resets`, it is `None` where the second histogram
/// cannot follow the first one without a counter reset between them.
pub(crate) fn union<T: Copy + Default + PartialOrd>(
    (a_spans, a): (&[Span], &[T]),
    (b_spans, b): (&[Span], &[T]),
    resets: bool,
) -> Option<Union> {
    if a_spans == b_spans {
        if resets && a.iter().zip(b).any(|(a, b)| a > b) {
            return None;
        }
        return Some(Union { spans: a_spans.to_vec(), first_grows: false, second_grows: false });
    }
    let mut merged = SpanBuilder::default();
    let (mut first_grows, mut second_grows) = (false, false);
    let mut left = indices(a_spans).zip(a.iter().copied()).peekable();
    let mut right = indices(b_spans).zip(b.iter().copied()).peekable();
    loop {
        let (index, low, high) = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some((i, x)), Some((j, y))) if i == j => (*i, Some(*x), Some(*y)),
            (Some((i, x)), Some((j, _))) if i < j => (*i, Some(*x), None),
            (Some((i, x)), None) => (*i, Some(*x), None),
            (_, Some((j, y))) => (*j, None, Some(*y)),
        };
        match (low, high) {
            (Some(x), Some(y)) if resets && x > y => return None,
            (Some(x), None) if resets && x != T::default() => return None,
            _ => {}
        }
        second_grows |= high.is_none();
        first_grows |= low.is_none();
        if low.is_some() {
            left.next();
        }
        if high.is_some() {
            right.next();
        }
        merged.push(index);
    }
    let spans = match (first_grows, second_grows) {
        (false, _) => a_spans.to_vec(),
        (true, false) => b_spans.to_vec(),
        (true, true) => merged.spans,
    };
    Some(Union { spans, first_grows, second_grows })
}

/// Counts of the layout `from`, laid out as `to`, which covers all of its buckets; new buckets are empty.
pub(crate) fn spread<T: Copy + Default>(from: &[Span], counts: &[T], to: &[Span]) -> Vec<T> {
    let mut source = indices(from).zip(counts.iter().copied()).peekable();
    indices(to)
        .map(|index| source.next_if(|(i, _)| *i == index).map_or_else(T::default, |(_, count)| count))
        .collect()
}

#[derive(Default)]
struct SpanBuilder {
    spans: Vec<Span>,
    next: i64,
}

impl SpanBuilder {
    fn push(&mut self, index: i64) {
        let gap = index - self.next;
        match self.spans.last_mut() {
            Some(span) if gap == 0 => span.length += 1,
            _ => self.spans.push(Span { offset: gap as i32, length: 1 }),
        }
        self.next = index + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(i32, u32)]) -> Vec<Span> {
        list.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect()
    }

    #[test]
    fn layouts_merge_and_counts_follow() {
        let (a, b) = (spans(&[(0, 2), (2, 1)]), spans(&[(1, 2), (3, 1)]));
        assert_eq!(indices(&a).collect::<Vec<_>>(), [0, 1, 4]);
        let got =
            union((&a, &[0, 5, 0]), (&b, &[5, 1, 2]), true).expect("no reset: the lost ones were empty");
        assert_eq!((got.first_grows, got.second_grows), (true, true));
        assert_eq!(indices(&got.spans).collect::<Vec<_>>(), [0, 1, 2, 4, 6]);
        assert_eq!(spread(&a, &[1, 2, 3], &got.spans), [1, 2, 0, 3, 0]);
        assert_eq!(spread(&b, &[5, 1, 2], &got.spans), [0, 5, 1, 0, 2]);
    }

    #[test]
    fn a_used_bucket_that_shrinks_or_goes_is_a_reset() {
        let (a, b) = (spans(&[(0, 2)]), spans(&[(0, 1)]));
        assert_eq!(union((&a, &[1, 1]), (&b, &[1]), true), None);
        assert_eq!(union((&a, &[2, 0]), (&b, &[1]), true), None);
        assert_eq!(union((&a, &[2, 0]), (&a, &[1, 0]), true), None);
        assert!(union((&a, &[1, 0]), (&b, &[1]), true).is_some_and(|u| u.second_grows && !u.first_grows));
        assert!(union((&a, &[2, 1]), (&b, &[1]), false).is_some(), "a gauge knows no resets");
    }
}
