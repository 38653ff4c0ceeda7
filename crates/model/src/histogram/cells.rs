//! The working form of a side of a histogram: its buckets as a sorted list of cells. Invariant: indices
//! ascend strictly, so that spans follow from them.

use super::{Span, bounds::exponential_bound};
use crate::kahan::Kahan;

/// One bucket: its index and its count with the compensation of a running sum (0 outside of one).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) index: i32,
    pub(super) count: Kahan,
}

impl Cell {
    pub(super) fn is_empty(&self) -> bool {
        self.count.sum == 0.0 && self.count.lost == 0.0
    }
}

/// The bucket indices that spans describe, in order.
pub(super) fn indices(spans: &[Span]) -> impl Iterator<Item = i32> + '_ {
    let mut next = 0i32;
    spans.iter().flat_map(move |s| {
        let first = next.wrapping_add(s.offset);
        next = first.wrapping_add(s.length as i32);
        first..next
    })
}

/// The cells of one side. `lost` is empty or has one entry for each count.
pub(super) fn unpack(spans: &[Span], counts: &[f64], lost: &[f64]) -> Vec<Cell> {
    indices(spans)
        .zip(counts)
        .enumerate()
        .map(|(i, (index, &sum))| Cell {
            index,
            count: Kahan { sum, lost: lost.get(i).copied().unwrap_or(0.0) },
        })
        .collect()
}

/// Spans, counts and compensations of cells.
pub(super) fn pack(cells: &[Cell]) -> (Vec<Span>, Vec<f64>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0i32;
    for cell in cells {
        match spans.last_mut() {
            Some(last) if cell.index == end => last.length += 1,
            _ => spans.push(Span { offset: cell.index.wrapping_sub(end), length: 1 }),
        }
        end = cell.index.wrapping_add(1);
    }
    (spans, cells.iter().map(|c| c.count.sum).collect(), cells.iter().map(|c| c.count.lost).collect())
}

/// The bucket of a coarser schema that holds bucket `index` of a finer one.
pub(super) fn coarser_index(index: i32, from_schema: i32, to_schema: i32) -> i32 {
    (index.wrapping_sub(1) >> (from_schema - to_schema)).wrapping_add(1)
}

/// Merges the cells of a finer schema into those of a coarser one.
pub(super) fn reduce(cells: Vec<Cell>, from_schema: i32, to_schema: i32) -> Vec<Cell> {
    if to_schema >= from_schema {
        return cells;
    }
    let mut out: Vec<Cell> = Vec::with_capacity(cells.len());
    for cell in cells {
        let index = coarser_index(cell.index, from_schema, to_schema);
        match out.last_mut() {
            Some(last) if last.index == index => {
                last.count.add(cell.count.sum);
                last.count.add(cell.count.lost);
            }
            _ => out.push(Cell { index, count: cell.count }),
        }
    }
    out
}

/// Adds `b` (times `sign`) to `a`. Leading buckets of `b` that end within the zero bucket are left out: the
/// zero bucket has their observations already.
pub(super) fn merge(a: &[Cell], b: &[Cell], sign: f64, within_zero: impl Fn(i32) -> bool) -> Vec<Cell> {
    let skip = b.iter().take_while(|c| within_zero(c.index)).count();
    let (mut i, mut out) = (0, Vec::with_capacity(a.len() + b.len() - skip));
    for cell in &b[skip..] {
        while i < a.len() && a[i].index < cell.index {
            out.push(a[i]);
            i += 1;
        }
        let added = Kahan { sum: sign * cell.count.sum, lost: sign * cell.count.lost };
        if i < a.len() && a[i].index == cell.index {
            let mut count = a[i].count;
            count.add(added.sum);
            if added.lost != 0.0 {
                count.add(added.lost);
            }
            out.push(Cell { index: cell.index, count });
            i += 1;
        } else {
            out.push(Cell { index: cell.index, count: added });
        }
    }
    out.extend_from_slice(&a[i..]);
    out
}

/// Both sides and the zero bucket of an exponential histogram while they are being reshaped.
#[derive(Clone)]
pub(super) struct Sides {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero: Kahan,
    pub(super) positive: Vec<Cell>,
    pub(super) negative: Vec<Cell>,
}

impl Sides {
    /// The zero count of a zero bucket of at least `threshold`, and the threshold that it really needs: it
    /// widens to the end of a bucket that it would cut.
    pub(super) fn widened(&self, threshold: f64) -> (Kahan, f64) {
        let mut threshold = threshold;
        if threshold == self.zero_threshold {
            return (self.zero, threshold);
        }
        loop {
            let mut zero = self.zero;
            self.absorb(&self.positive, &mut zero, &mut threshold);
            if self.absorb(&self.negative, &mut zero, &mut threshold) {
                continue;
            }
            return (zero, threshold);
        }
    }

    /// Adds what `cells` have below `threshold`; true where a filled bucket was cut and the threshold grew.
    fn absorb(&self, cells: &[Cell], zero: &mut Kahan, threshold: &mut f64) -> bool {
        for cell in cells {
            if exponential_bound(cell.index.wrapping_sub(1), self.schema) >= *threshold {
                break;
            }
            zero.add(cell.count.sum);
            zero.add(cell.count.lost);
            let upper = exponential_bound(cell.index, self.schema);
            if upper > *threshold {
                if cell.count.sum == 0.0 {
                    break;
                }
                *threshold = upper;
                return true;
            }
        }
        false
    }

    /// Widens the zero bucket to `threshold` (a bucket's end) and drops the buckets that it took in, along
    /// with all empty ones.
    pub(super) fn widen(&mut self, threshold: f64) {
        let (zero, threshold) = self.widened(threshold);
        self.zero = zero;
        self.zero_threshold = threshold;
        let schema = self.schema;
        let outside =
            |c: &Cell| !c.is_empty() && exponential_bound(c.index.wrapping_sub(1), schema) >= threshold;
        self.positive.retain(outside);
        self.negative.retain(outside);
    }

    /// Brings the zero buckets of both to one width; returns the zero count of `other` at that width.
    pub(super) fn reconcile_zero(&mut self, other: &Self) -> Kahan {
        let (mut zero, mut threshold) = (other.zero, other.zero_threshold);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (zero, threshold) = other.widened(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen(threshold);
            }
            if threshold.is_nan() || self.zero_threshold.is_nan() {
                break;
            }
        }
        zero
    }
}
