//! How much a target bears: a search for the highest rate that keeps its objectives, with an interval, and a sweep over a list
//! of rates or of numbers of users.
//!
//! Both run windows, each a phase of iterations at a constant load, one after the other; a window starts when
//! the last response of the one before is in. Invariant: every figure of a result is of a window that ran, and
//! every window is a phase of the record under its own name.

mod csv;
mod edge;
mod levels;
mod limits;
mod report;
mod search;
#[cfg(test)]
mod simulated;
mod window;

use serde::Serialize;

pub use search::{SearchEnd, SearchResult};
pub use window::Window;

use crate::scenario::Phase;
pub use crate::scenario::capacity::{
    Capacity, Level, Limits, Measure, PercentileLimit, Plan, SearchPlan, Shape,
};
pub use levels::{Estimate, LevelSummary};
use search::Search;

/// What a search or a sweep came to.
#[derive(Clone, Debug, Serialize)]
pub struct CapacitySummary {
    /// What was searched for and found; `None` for a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchResult>,
    /// What a window had to keep, in words.
    pub objectives: Vec<String>,
    /// What the windows of each load came to together, ascending by load.
    pub levels: Vec<LevelSummary>,
    /// All windows, in the order in which they ran.
    pub windows: Vec<Window>,
}

/// A search or a sweep under way.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) capacity: Capacity,
    search: Search,
    windows: Vec<Window>,
}

impl Campaign {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { capacity, search: Search::default(), windows: Vec::new() }
    }

    /// The phase of the next window, and its load; `None` where there is none left.
    pub(crate) fn next(&self) -> Option<(Phase, Level)> {
        let done = self.windows.len();
        let level = match &self.capacity.plan {
            Plan::Search(plan) => Level::Rate(self.search.next(plan)?),
            // All loads again and again, so that what changes meanwhile meets each of them alike.
            Plan::Sweep { levels, repeat } => {
                let is_done = done >= levels.len() * *repeat as usize;
                *levels.get(done % levels.len()).filter(|_| !is_done)?
            }
        };
        Some((self.capacity.phase(done + 1, level), level))
    }

    /// Takes a window in that ran to its end.
    pub(crate) fn take(&mut self, window: Window) {
        if let Plan::Search(plan) = &self.capacity.plan {
            self.search.note(plan, window.rate_per_s, window.missed.is_empty(), &window.misses);
        }
        self.windows.push(window);
    }

    pub(crate) fn summary(&self) -> CapacitySummary {
        let objectives = limits::describe(&self.capacity.limits);
        let search = match &self.capacity.plan {
            Plan::Search(plan) => Some(self.search.result(plan, &objectives)),
            Plan::Sweep { .. } => None,
        };
        let levels = levels::summarise(&self.windows);
        CapacitySummary { search, objectives, levels, windows: self.windows.clone() }
    }
}
