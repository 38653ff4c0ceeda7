//! Executors, with k6's names and options. Invariant: all times are lengths from the start of the phase.

use std::time::Duration;

/// How iterations are started in a phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Executor {
    /// A fixed number of users, each of which starts its next iteration when the last has ended.
    ConstantVus {
        /// How many users.
        vus: u32,
        /// How long they start iterations.
        duration: Duration,
        /// Users that start each second; `None` for all at once.
        ramp_per_s: Option<f64>,
    },
    /// A number of users that follows stages.
    RampingVus {
        /// Users at the start.
        start_vus: u32,
        /// The stages, one after the other.
        stages: Vec<Stage>,
    },
    /// Iterations that start at a fixed rate, whether earlier ones have ended or not.
    ConstantArrivalRate {
        /// Iterations each second.
        rate_per_s: f64,
        /// How long they start.
        duration: Duration,
        /// Users that are there from the start.
        vus: u32,
        /// Users that there may be at most.
        max_vus: u32,
        /// How the gaps between starts are drawn.
        arrivals: Arrivals,
    },
    /// Iterations that start at a rate that follows stages, whose targets are iterations each second.
    RampingArrivalRate {
        /// Iterations each second at the start.
        start_rate_per_s: f64,
        /// The stages, one after the other.
        stages: Vec<Stage>,
        /// Users that are there from the start.
        vus: u32,
        /// Users that there may be at most.
        max_vus: u32,
        /// How the gaps between starts are drawn.
        arrivals: Arrivals,
    },
    /// Each user does a number of iterations.
    PerVuIterations {
        /// How many users.
        vus: u32,
        /// Iterations of each.
        iterations: u64,
        /// When the phase ends though not all are done.
        max_duration: Duration,
    },
    /// All users together do a number of iterations.
    SharedIterations {
        /// How many users.
        vus: u32,
        /// Iterations of all together.
        iterations: u64,
        /// When the phase ends though not all are done.
        max_duration: Duration,
    },
}

/// A stage: a straight line to `target` over `duration`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// How long it takes.
    pub duration: Duration,
    /// Users, or iterations each second, at its end.
    pub target: f64,
}

/// How the gaps between the starts of iterations are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// Even gaps.
    Constant,
    /// Exponential gaps: independent users.
    Poisson,
    /// Gaps of a gamma distribution: a shape below 1 makes bursts, above 1 evens out.
    Gamma {
        /// The shape; 1 is Poisson.
        shape: f64,
    },
}

impl Executor {
    /// k6's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConstantVus { .. } => "constant-vus",
            Self::RampingVus { .. } => "ramping-vus",
            Self::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Self::RampingArrivalRate { .. } => "ramping-arrival-rate",
            Self::PerVuIterations { .. } => "per-vu-iterations",
            Self::SharedIterations { .. } => "shared-iterations",
        }
    }

    /// How long iterations are started at most.
    #[must_use]
    pub fn duration(&self) -> Duration {
        match self {
            Self::ConstantVus { duration, .. } | Self::ConstantArrivalRate { duration, .. } => *duration,
            Self::RampingVus { stages, .. } | Self::RampingArrivalRate { stages, .. } => {
                stages.iter().map(|s| s.duration).sum()
            }
            Self::PerVuIterations { max_duration, .. } | Self::SharedIterations { max_duration, .. } => {
                *max_duration
            }
        }
    }

    /// The most users there may be at a time.
    #[must_use]
    pub fn max_users(&self) -> u32 {
        match self {
            Self::ConstantVus { vus, .. }
            | Self::PerVuIterations { vus, .. }
            | Self::SharedIterations { vus, .. } => *vus,
            Self::RampingVus { start_vus, stages } => {
                stages.iter().map(|s| s.target.ceil() as u32).max().unwrap_or(0).max(*start_vus)
            }
            Self::ConstantArrivalRate { vus, max_vus, .. }
            | Self::RampingArrivalRate { vus, max_vus, .. } => *vus.max(max_vus),
        }
    }

    /// The rate of iterations that the schedule asks for `at` into the phase, each second; `None` where users
    /// set the pace.
    #[must_use]
    pub fn target_rate_per_s(&self, at: Duration) -> Option<f64> {
        match self {
            Self::ConstantArrivalRate { rate_per_s, .. } => Some(*rate_per_s),
            Self::RampingArrivalRate { start_rate_per_s, stages, .. } => {
                Some(value_at(*start_rate_per_s, stages, at))
            }
            _ => None,
        }
    }

    /// The same with every time multiplied by `scale`; numbers of users and rates of iterations stay.
    #[must_use]
    pub fn scaled(&self, scale: f64) -> Self {
        let stretch = |d: &mut Duration| *d = d.mul_f64(scale);
        let mut scaled = self.clone();
        match &mut scaled {
            Self::ConstantVus { duration, ramp_per_s, .. } => {
                stretch(duration);
                if let Some(ramp) = ramp_per_s {
                    *ramp /= scale;
                }
            }
            Self::ConstantArrivalRate { duration, .. } => stretch(duration),
            Self::RampingVus { stages, .. } | Self::RampingArrivalRate { stages, .. } => {
                stages.iter_mut().for_each(|s| stretch(&mut s.duration));
            }
            Self::PerVuIterations { max_duration, .. } | Self::SharedIterations { max_duration, .. } => {
                stretch(max_duration);
            }
        }
        scaled
    }
}

/// The value of the straight lines through `stages` at a time; the last target beyond their end.
fn value_at(start: f64, stages: &[Stage], at: Duration) -> f64 {
    let (mut from, mut rest) = (start, at);
    for stage in stages {
        if rest < stage.duration {
            return from + (stage.target - from) * rest.as_secs_f64() / stage.duration.as_secs_f64();
        }
        rest -= stage.duration;
        from = stage.target;
    }
    from
}
