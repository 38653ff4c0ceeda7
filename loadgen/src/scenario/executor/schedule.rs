//! When the iterations of an open model start.
//!
//! The `n`-th start is where the integral of the rate reaches the sum of `n` gaps of mean 1 (time rescaling),
//! so one loop serves constant and ramping rates, even and random gaps. Invariant: instants ascend, depend on
//! the seed alone, and are the same however many workers share them.

use std::time::Duration;

use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Exp1, Gamma};

use super::line::{Stage, value_at};

/// A schedule that starts iterations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// Iterations each second at the start.
    pub(crate) start_rate_per_s: f64,
    /// The stages, whose targets are iterations each second.
    pub(crate) stages: Vec<Stage>,
    /// How the gaps between starts are drawn.
    pub(crate) arrivals: Arrivals,
    /// Whether the first iteration starts with the phase, and not a gap later.
    pub(crate) starts_at_once: bool,
    /// Users that are there from the start.
    pub(crate) users: u32,
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

impl Schedule {
    /// Iterations each second that are asked for `at` into the phase.
    pub(crate) fn rate_at(&self, at: Duration) -> f64 {
        value_at(self.start_rate_per_s, &self.stages, at)
    }

    /// The starts, as times into the phase.
    pub(crate) fn starts(self, seed: u64) -> Starts {
        Starts::new(self, seed)
    }
}

/// The starts of a phase, as times into it.
pub(crate) struct Starts {
    rate: f64,
    /// The stages that are not over, the current one last.
    stages: Vec<Stage>,
    /// Where the current stage begins, and the integral of the rate up to there.
    stage_at: f64,
    integral: f64,
    /// The integral at which the next start is.
    next: f64,
    gaps: Gaps,
    rng: SmallRng,
}

enum Gaps {
    Even,
    Exponential,
    Gamma(Gamma<f64>),
}

impl Starts {
    fn new(schedule: Schedule, seed: u64) -> Self {
        let Schedule { start_rate_per_s, mut stages, arrivals, starts_at_once, .. } = schedule;
        stages.reverse();
        let gaps = match arrivals {
            Arrivals::Constant => Gaps::Even,
            Arrivals::Poisson => Gaps::Exponential,
            Arrivals::Gamma { shape } => {
                Gamma::new(shape, 1.0 / shape).map_or(Gaps::Exponential, Gaps::Gamma)
            }
        };
        let mut starts = Self {
            rate: start_rate_per_s,
            stages,
            stage_at: 0.0,
            integral: 0.0,
            next: 0.0,
            gaps,
            rng: SmallRng::seed_from_u64(seed),
        };
        if !starts_at_once {
            starts.next = starts.gap();
        }
        starts
    }

    fn gap(&mut self) -> f64 {
        match &self.gaps {
            Gaps::Even => 1.0,
            Gaps::Exponential => Exp1.sample(&mut self.rng),
            Gaps::Gamma(gamma) => gamma.sample(&mut self.rng),
        }
    }
}

impl Iterator for Starts {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let stage = self.stages.last()?;
            let (length, from, to) = (stage.duration.as_secs_f64(), self.rate, stage.target);
            let whole = (from + to) / 2.0 * length;
            let missing = self.next - self.integral;
            // A start exactly at the end belongs to the next stage, and beyond the last one is none.
            if missing < whole {
                let at = self.stage_at + solve(from, (to - from) / length, missing);
                self.next += self.gap();
                return Some(Duration::from_secs_f64(at));
            }
            self.integral += whole;
            self.stage_at += length;
            self.rate = to;
            self.stages.pop();
        }
    }
}

/// The least `t` of at least 0 at which `from·t + slope·t²/2` is `area`.
fn solve(from: f64, slope: f64, area: f64) -> f64 {
    if area <= 0.0 {
        return 0.0;
    }
    // In this form nothing is lost where the slope is small or zero.
    let root = (from * from + 2.0 * slope * area).max(0.0).sqrt();
    2.0 * area / (from + root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::executor::{ConstantArrivalRate, Executor, Plan, RampingArrivalRate};

    fn constant(rate_per_s: f64, seconds: u64, arrivals: Arrivals) -> Executor {
        let duration = Duration::from_secs(seconds);
        ConstantArrivalRate { rate_per_s, duration, vus: 1, max_vus: 1, arrivals }.into()
    }

    fn starts(executor: &Executor, seed: u64) -> Vec<f64> {
        let Plan::Schedule(schedule) = executor.plan() else { panic!("an open model") };
        schedule.starts(seed).map(|d| d.as_secs_f64()).collect()
    }

    #[test]
    fn even_starts_are_even_and_exact_in_number() {
        let got = starts(&constant(4.0, 3, Arrivals::Constant), 1);
        assert_eq!(got.len(), 12);
        for (i, t) in got.iter().enumerate() {
            assert!((t - i as f64 * 0.25).abs() < 1e-9);
        }
    }

    #[test]
    fn a_ramp_starts_as_many_as_its_area() {
        let stages = vec![
            Stage { duration: Duration::from_secs(10), target: 100.0 },
            Stage { duration: Duration::from_secs(10), target: 0.0 },
        ];
        let arrivals = Arrivals::Constant;
        let e = RampingArrivalRate { start_rate_per_s: 0.0, stages, vus: 1, max_vus: 1, arrivals };
        let got = starts(&e.into(), 1);
        assert!((999..=1000).contains(&got.len()), "{}", got.len());
        // The n-th start of the rise is at sqrt(n / 5).
        assert!((got[4] - 1.0).abs() < 1e-9 && (got[124] - 5.0).abs() < 1e-9);
        assert!(got.windows(2).all(|w| w[0] <= w[1]));
        // As many in the first half as in the second.
        assert!(got.iter().filter(|t| **t < 10.0).count().abs_diff(500) <= 1);
    }

    #[test]
    fn random_gaps_have_the_mean_and_the_spread_they_should() {
        let check = |arrivals: Arrivals, want_cv: f64| {
            let got = starts(&constant(100.0, 300, arrivals), 42);
            let gaps: Vec<f64> = got.windows(2).map(|w| w[1] - w[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            let cv = variance.sqrt() / mean;
            assert!((mean * 100.0 - 1.0).abs() < 0.03, "{arrivals:?}: mean {mean}");
            assert!((cv / want_cv - 1.0).abs() < 0.05, "{arrivals:?}: coefficient of variation {cv}");
        };
        check(Arrivals::Poisson, 1.0);
        check(Arrivals::Gamma { shape: 4.0 }, 0.5);
        check(Arrivals::Gamma { shape: 0.25 }, 2.0);
    }

    #[test]
    fn exponential_gaps_pass_a_goodness_of_fit_test() {
        let got = starts(&constant(50.0, 400, Arrivals::Poisson), 7);
        let mut gaps: Vec<f64> = got.windows(2).map(|w| w[1] - w[0]).collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        // Kolmogorov–Smirnov at the 1 % level.
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(i, g)| ((1.0 - (-50.0 * g).exp()) - (i as f64 + 0.5) / n).abs())
            .fold(0.0, f64::max);
        assert!(distance < 1.63 / n.sqrt(), "{distance}");
    }

    #[test]
    fn the_seed_alone_decides() {
        let e = constant(10.0, 10, Arrivals::Poisson);
        assert_eq!(starts(&e, 3), starts(&e, 3));
        assert_ne!(starts(&e, 3), starts(&e, 4));
    }
}
