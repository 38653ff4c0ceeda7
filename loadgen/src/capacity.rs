//! How much a target bears: a search for the highest rate that keeps its objectives, and a sweep over a list
//! of rates.
//!
//! Both run windows, each a phase of iterations at a constant rate, one after the other; a window starts when
//! the last response of the one before is in. Invariant: every figure of a result is of a window that ran, and
//! every window is a phase of the record under its own name.

mod csv;
mod limits;
mod report;
mod search;
mod window;

use std::time::Duration;

use serde::Serialize;

pub(crate) use limits::PERCENTILES;
pub use limits::{Limits, Measure, PercentileLimit};
pub use search::{SearchEnd, SearchPlan, SearchResult};
pub use window::Window;

use crate::scenario::{Arrivals, Executor, Phase};
use search::Trials;

/// A search or a sweep, as a scenario's mode describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Which rates are tried.
    pub plan: Plan,
    /// What a window has to keep.
    pub limits: Limits,
    /// What all windows have in common.
    pub shape: Shape,
}

/// Which rates are tried.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Rates that depend on what the windows before have shown.
    Search(SearchPlan),
    /// These rates in this order, in iterations each second.
    Sweep(Vec<f64>),
}

/// What all windows have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// How long iterations are started in each.
    pub window: Duration,
    /// How long the target is left alone before each.
    pub rest: Duration,
    /// Users that are there from the start.
    pub vus: u32,
    /// Users that there may be at most.
    pub max_vus: u32,
    /// How the gaps between starts are drawn.
    pub arrivals: Arrivals,
    /// How long iterations may take to end after the window's time.
    pub graceful_stop: Duration,
    /// What think times are multiplied by.
    pub think: f64,
}

impl Capacity {
    /// The same with windows and rests multiplied by `scale`; rates stay.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> Self {
        let mut scaled = self.clone();
        scaled.shape.window = self.shape.window.mul_f64(scale);
        scaled.shape.rest = self.shape.rest.mul_f64(scale);
        scaled
    }

    /// The phase of the window with this number, from 1, at this rate.
    #[must_use]
    pub fn phase(&self, number: usize, rate_per_s: f64) -> Phase {
        let kind = match self.plan {
            Plan::Search(_) => "search",
            Plan::Sweep(_) => "sweep",
        };
        let executor = Executor::ConstantArrivalRate {
            rate_per_s,
            duration: self.shape.window,
            vus: self.shape.vus,
            max_vus: self.shape.max_vus,
            arrivals: self.shape.arrivals,
        };
        Phase {
            name: format!("{kind}-{number:02}-{rate_per_s}/s"),
            executor,
            warmup: false,
            graceful_stop: self.shape.graceful_stop,
            think: self.shape.think,
        }
    }
}

/// What a search or a sweep came to.
#[derive(Clone, Debug, Serialize)]
pub struct CapacitySummary {
    /// What was searched for and found; `None` for a sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchResult>,
    /// What a window had to keep, in words.
    pub objectives: Vec<String>,
    /// All windows, in the order in which they ran.
    pub windows: Vec<Window>,
}

/// A search or a sweep under way.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) capacity: Capacity,
    trials: Trials,
    windows: Vec<Window>,
}

impl Campaign {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self { capacity, trials: Trials::default(), windows: Vec::new() }
    }

    /// The phase of the next window, and its rate; `None` where there is none left.
    pub(crate) fn next(&self) -> Option<(Phase, f64)> {
        let done = self.windows.len();
        let rate_per_s = match &self.capacity.plan {
            Plan::Search(plan) => self.trials.next(plan)?,
            Plan::Sweep(rates) => *rates.get(done)?,
        };
        Some((self.capacity.phase(done + 1, rate_per_s), rate_per_s))
    }

    /// Takes a window in that ran to its end.
    pub(crate) fn take(&mut self, mut window: Window) {
        window.missed = self.capacity.limits.missed(&window);
        self.trials.note(window.rate_per_s, window.missed.is_empty());
        self.windows.push(window);
    }

    pub(crate) fn summary(&self) -> CapacitySummary {
        let search = match &self.capacity.plan {
            Plan::Search(plan) => Some(self.trials.result(plan)),
            Plan::Sweep(_) => None,
        };
        let objectives = self.capacity.limits.describe();
        CapacitySummary { search, objectives, windows: self.windows.clone() }
    }
}
