//! Distributions of times.
//!
//! Invariant: a draw is the distribution's quantile at a uniform number, so that its quantiles are what the file says.

use std::time::Duration;

use rand::{RngExt as _, rngs::SmallRng};

/// A distribution of times by its quantiles: straight lines between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// Shares from 0 to 1, ascending, with the time at each.
    points: Vec<(f64, Duration)>,
}

impl Delay {
    /// Always the same time.
    #[must_use]
    pub fn fixed(time: Duration) -> Self {
        Self { points: vec![(0.0, time), (1.0, time)] }
    }

    /// From quantiles, which ascend in both and begin with the share 0 and end with 1.
    pub(super) fn from_quantiles(points: Vec<(f64, Duration)>) -> Self {
        Self { points }
    }

    /// The time below which a share of the draws lies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let after = self.points.partition_point(|(at, _)| *at < share);
        let Some((high_at, high)) = self.points.get(after) else {
            return self.points.last().map_or(Duration::ZERO, |(_, time)| *time);
        };
        let Some((low_at, low)) = after.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return *high;
        };
        *low + (*high - *low).mul_f64((share - low_at) / (high_at - low_at))
    }

    /// A time at random.
    pub fn draw(&self, rng: &mut SmallRng) -> Duration {
        self.quantile(rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_given_and_straight_between() {
        let ms = Duration::from_millis;
        let delay = Delay::from_quantiles(vec![(0.0, ms(10)), (0.5, ms(20)), (1.0, ms(100))]);
        let check = |share: f64, want_ms: u64| assert_eq!(delay.quantile(share), ms(want_ms), "{share}");
        check(0.0, 10);
        check(0.25, 15);
        check(0.5, 20);
        check(0.75, 60);
        check(1.0, 100);
        assert_eq!(Delay::fixed(ms(7)).quantile(0.3), ms(7));
    }
}
