//! A search or a sweep as a scenario describes it: which rates are tried, and what a window has to keep.
//!
//! Invariant: every rate that can be tried is above 0; what the windows showed is not known here.

use std::time::Duration;

use assay_text::counted;

use super::{
    Executor, Phase,
    executor::{Arrivals, ConstantArrivalRate, ConstantVus},
};

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
    /// These loads in this order, all of them so often.
    Sweep {
        /// The loads.
        levels: Vec<Level>,
        /// How often each is held, over all of them again and again.
        repeat: u32,
    },
}

/// The most windows, each of which adds its series to the run.
pub(crate) const MOST_WINDOWS: u32 = 100;

impl Plan {
    /// A sweep over these loads, each held `repeat` times.
    ///
    /// # Errors
    /// That these are more windows than a run may have.
    pub fn sweep(levels: Vec<Level>, repeat: u32) -> Result<Self, String> {
        let (loads, times) = (counted(levels.len() as u64, "load"), counted(u64::from(repeat), "time"));
        match (levels.len() as u64).saturating_mul(u64::from(repeat)) {
            windows if windows > u64::from(MOST_WINDOWS) => {
                Err(format!("{loads}, each {times}, are {windows} windows; a run has at most {MOST_WINDOWS}"))
            }
            _ => Ok(Self::Sweep { levels, repeat }),
        }
    }
}

/// The load of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// Iterations each second, whether earlier ones have ended or not.
    Rate(f64),
    /// Users, each of which starts its next iteration when the last has ended.
    Users(u32),
}

impl Level {
    /// These users where their number is the load, else this rate.
    pub(crate) fn of(users: Option<u32>, rate_per_s: f64) -> Self {
        users.map_or(Self::Rate(rate_per_s), Self::Users)
    }

    /// Rates before users, each ascending.
    pub(crate) fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Rate(a), Self::Rate(b)) => a.total_cmp(b),
            (Self::Users(a), Self::Users(b)) => a.cmp(b),
            (Self::Rate(_), Self::Users(_)) => std::cmp::Ordering::Less,
            (Self::Users(_), Self::Rate(_)) => std::cmp::Ordering::Greater,
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rate(rate_per_s) => write!(f, "{rate_per_s}/s"),
            Self::Users(1) => f.write_str("1 user"),
            Self::Users(users) => write!(f, "{users} users"),
        }
    }
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

    /// The most users that a window may have.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        let of_rates = self.shape.vus.max(self.shape.max_vus);
        let Plan::Sweep { levels, .. } = &self.plan else { return of_rates };
        let users = levels.iter().map(|level| match level {
            Level::Rate(_) => of_rates,
            Level::Users(users) => *users,
        });
        users.max().unwrap_or(of_rates)
    }

    /// The phase of the window with this number, from 1, at this load.
    #[must_use]
    pub fn phase(&self, number: usize, level: Level) -> Phase {
        let kind = match self.plan {
            Plan::Search(_) => "search",
            Plan::Sweep { .. } => "sweep",
        };
        let duration = self.shape.window;
        let (executor, load): (Executor, String) = match level {
            Level::Rate(rate_per_s) => {
                let executor = ConstantArrivalRate {
                    rate_per_s,
                    duration,
                    vus: self.shape.vus,
                    max_vus: self.shape.max_vus,
                    arrivals: self.shape.arrivals,
                };
                (executor.into(), level.to_string())
            }
            Level::Users(vus) => {
                (ConstantVus { vus, duration, ramp_per_s: None }.into(), format!("{vus}-vus"))
            }
        };
        Phase {
            name: format!("{kind}-{number:02}-{load}"),
            executor,
            warmup: false,
            graceful_stop: self.shape.graceful_stop,
            think: self.shape.think,
            pacing: None,
            flow: 0,
        }
    }
}

/// The plan of a search. Rates are iterations each second.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchPlan {
    /// The first rate.
    pub from_per_s: f64,
    /// The highest rate that is tried.
    pub to_per_s: f64,
    /// What the rate is multiplied by until it breaks; above 1.
    pub factor: f64,
    /// The search is over when the interval of the capacity is at most this share of it; without `confirm`, when the gap
    /// between the highest rate that held and the lowest that broke is at most this share of the latter.
    pub precision: f64,
    /// How many windows each of the six rates around the edge gets at least; 0 for a search that ends with the gap.
    pub confirm: u32,
    /// The most windows.
    pub max_windows: u32,
}

/// At how many rates around the edge a search measures.
pub(crate) const EDGE_RATES: u32 = 6;

impl SearchPlan {
    /// The windows that the edge gets at least.
    #[must_use]
    pub fn least_around(&self) -> u32 {
        self.confirm.saturating_mul(EDGE_RATES)
    }
}

/// What a window has to keep. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// At least this share of the requests is good: they succeed and meet their steps' objectives.
    pub good: f64,
    /// At most this share of the requests fails; `None` for what `good` allows.
    pub errors: Option<f64>,
    /// At most this share of the iterations never starts.
    pub dropped: f64,
    /// At least this share of the iterations that are due is worked off in time.
    pub throughput: f64,
    /// Percentiles of times.
    pub percentiles: Vec<PercentileLimit>,
}

/// A percentile of a time and the most that it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentileLimit {
    /// Which time.
    pub measure: Measure,
    /// Which percentile, as it is written: `p99`.
    pub percentile: &'static str,
    /// The most that it may be.
    pub at_most: Duration,
}

impl PercentileLimit {
    /// The percentile as a share: 0.99 for `p99`.
    #[must_use]
    pub fn quantile(&self) -> f64 {
        self.percentile.trim_start_matches('p').parse::<f64>().map_or(1.0, |p| p / 100.0)
    }
}

/// A time that is measured of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// From the first byte sent.
    Duration,
    /// From the scheduled instant.
    Latency,
    /// From the first byte sent to the first content of a stream.
    FirstChunk,
}

/// The percentiles that may be limited.
pub(crate) const PERCENTILES: [&str; 5] = ["p50", "p90", "p95", "p99", "p99.9"];

impl Default for Limits {
    fn default() -> Self {
        Self { good: 0.99, errors: None, dropped: 0.01, throughput: 0.9, percentiles: Vec::new() }
    }
}

impl Measure {
    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Latency => "latency",
            Self::FirstChunk => "first_chunk",
        }
    }
}
