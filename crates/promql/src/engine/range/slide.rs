//! Sums over sliding windows without subtraction. Invariant: every value enters the result by additions
//! alone, so that one huge value does not spoil the windows after it.
//!
//! Two stacks: the older part of the window as sums from each of its elements to its end, the newer part as
//! one running sum. Each element is added at most twice.

/// Combines the elements `lo..hi` for windows that only move forward.
pub(super) struct Slider<T, L, M> {
    leaf: L,
    merge: M,
    /// `older[mid - 1 - i]` combines `i..mid`.
    older: Vec<T>,
    mid: usize,
    newer: Option<T>,
    end: usize,
}

impl<T: Copy, L: Fn(usize) -> T, M: Fn(T, T) -> T> Slider<T, L, M> {
    pub(super) fn new(leaf: L, merge: M) -> Self {
        Self { leaf, merge, older: Vec::new(), mid: 0, newer: None, end: 0 }
    }

    /// What `window` combines to; it is not empty, and neither end is before the last window's.
    pub(super) fn window(&mut self, lo: usize, hi: usize) -> T {
        if lo >= self.mid {
            self.older.clear();
            let mut sum = (self.leaf)(hi - 1);
            self.older.push(sum);
            for i in (lo..hi - 1).rev() {
                sum = (self.merge)((self.leaf)(i), sum);
                self.older.push(sum);
            }
            (self.mid, self.newer, self.end) = (hi, None, hi);
        }
        for i in self.end..hi {
            let v = (self.leaf)(i);
            self.newer = Some(self.newer.map_or(v, |sum| (self.merge)(sum, v)));
        }
        self.end = hi;
        let older = self.older[self.mid - 1 - lo];
        self.newer.map_or(older, |newer| (self.merge)(older, newer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_rescan_for_every_window() {
        let values: Vec<u64> = (0..200).map(|i| i * i % 97).collect();
        for width in [1, 2, 7, 50, 150] {
            let mut slider = Slider::new(|i| values[i], |a, b| a + b);
            for hi in 1..=values.len() {
                let lo = hi.saturating_sub(width);
                assert_eq!(slider.window(lo, hi), values[lo..hi].iter().sum::<u64>(), "{lo}..{hi}");
            }
        }
    }
}
