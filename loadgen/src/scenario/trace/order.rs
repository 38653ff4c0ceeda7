//! Lines in the order of their instants. Invariant: what is given ascends, and so many lines are held and no more.

use std::{cmp::Reverse, collections::BinaryHeap};

use minijinja::value::Value;

/// How many lines wait for one that should have been before them. Servers write a line when a request ends.
pub(super) const WINDOW: usize = 8192;

struct Line {
    ns: i128,
    number: u64,
    value: Value,
}

impl Line {
    fn key(&self) -> (i128, u64) {
        (self.ns, self.number)
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Line {}
impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Line {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Puts lines in order.
pub(super) struct InOrder<T> {
    window: usize,
    heap: BinaryHeap<Reverse<Line>>,
    last_ns: i128,
    take: T,
    /// The first line that came too late.
    late: Option<(u64, String)>,
    wants_more: bool,
}

impl<T: FnMut(u64, i128, Value) -> bool> InOrder<T> {
    pub(super) fn new(window: usize, take: T) -> Self {
        Self { window, heap: BinaryHeap::new(), last_ns: i128::MIN, take, late: None, wants_more: true }
    }

    /// Takes a line; whether more are wanted.
    pub(super) fn push(&mut self, number: u64, ns: i128, value: Value) -> bool {
        self.heap.push(Reverse(Line { ns, number, value }));
        self.give(self.window);
        self.wants_more && self.late.is_none()
    }

    /// Gives what is left.
    ///
    /// # Errors
    /// The line that came too late to be put where it belongs.
    pub(super) fn finish(&mut self) -> Result<(), (u64, String)> {
        self.give(0);
        self.late.take().map_or(Ok(()), Err)
    }

    fn give(&mut self, most: usize) {
        while self.wants_more && self.late.is_none() && self.heap.len() > most {
            let Some(Reverse(Line { ns, number, value })) = self.heap.pop() else { return };
            if ns < self.last_ns {
                let late_s = (self.last_ns - ns) as f64 / 1e9;
                let message = format!(
                    "the line is {late_s} s before one that is more than {WINDOW} lines above it; sort the file by time"
                );
                self.late = Some((number, message));
                return;
            }
            self.last_ns = ns;
            self.wants_more = (self.take)(number, ns, value);
        }
    }
}
