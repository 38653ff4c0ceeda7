//! Think times. Invariant: a drawn time is never negative.

use std::time::Duration;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1, StandardNormal};

/// How long a user pauses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Think {
    /// Always as long.
    Fixed(Duration),
    /// Evenly between two lengths.
    Uniform(Duration, Duration),
    /// Normally distributed; what would be negative is zero.
    Normal { mean: Duration, deviation: Duration },
    /// Exponentially distributed.
    Exponential(Duration),
}

impl Think {
    /// Draws a time.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Duration {
        match *self {
            Self::Fixed(d) => d,
            Self::Uniform(low, high) => low + high.saturating_sub(low).mul_f64(rng.random::<f64>()),
            Self::Normal { mean, deviation } => {
                let z: f64 = StandardNormal.sample(rng);
                Duration::from_secs_f64((mean.as_secs_f64() + z * deviation.as_secs_f64()).max(0.0))
            }
            Self::Exponential(mean) => {
                let e: f64 = Exp1.sample(rng);
                mean.mul_f64(e)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn draws_have_the_mean_they_should() {
        let ms = Duration::from_millis;
        let check = |think: Think, want_ms: f64| {
            let mut rng = SmallRng::seed_from_u64(7);
            let n = 20_000;
            let mean = (0..n).map(|_| think.draw(&mut rng).as_secs_f64()).sum::<f64>() / f64::from(n) * 1e3;
            assert!((mean / want_ms - 1.0).abs() < 0.03, "{think:?}: {mean}");
        };
        check(Think::Fixed(ms(20)), 20.0);
        check(Think::Uniform(ms(10), ms(50)), 30.0);
        check(Think::Normal { mean: ms(100), deviation: ms(10) }, 100.0);
        check(Think::Exponential(ms(40)), 40.0);
    }
}
