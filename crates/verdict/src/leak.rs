//! Whether something grows for as long as a phase lasts: memory, file descriptors, threads, latency.
//!
//! Invariant: a leak is a slope whose confidence interval lies above zero and that adds something over the phase; noise
//! around a level is none, however wide. The first tenth, in which caches and pools fill, does not count.
//!
//! Sources: Theil 1950 and Sen 1968 for the slope and its interval; the tie-corrected variance of Kendall's S (Kendall, Rank
//! Correlation Methods, 1970).

use std::time::Duration;

/// The share at the start that does not count.
const SETTLING: f64 = 0.1;

/// Points that slopes are taken between at most; more samples are joined, each group into its median.
const MOST_POINTS: usize = 300;

/// Fewer points than this prove nothing.
const FEWEST_POINTS: usize = 8;

/// The two-sided quantile of the normal distribution at a confidence of 99.9 %.
const Z: f64 = 3.290_526_731;

/// How much of its level something has to grow over the phase, at least, to be worth a sentence.
const LEAST_GROWTH: f64 = 0.05;

/// How a measure went over a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The median of all slopes between two points, per second.
    pub per_s: f64,
    /// The lower end of the slope's confidence interval (99.9 %).
    pub low_per_s: f64,
    /// Its upper end.
    pub high_per_s: f64,
    /// The value at the end, on the line.
    pub level: f64,
    /// How long the line is, in seconds.
    pub length_s: f64,
}

/// The trend of samples, each with its time in seconds, ascending; `None` for too few.
#[must_use]
pub fn trend(samples: &[(f64, f64)]) -> Option<Trend> {
    let ((first, _), (last, _)) = (samples.first()?, samples.last()?);
    let begin = first + (last - first) * SETTLING;
    let settled = &samples[samples.partition_point(|(t, _)| *t < begin)..];
    let points = joined(settled);
    if points.len() < FEWEST_POINTS {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (i, (t, v)) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|(u, _)| u > t).map(|(u, w)| (w - v) / (u - t)));
    }
    slopes.sort_by(f64::total_cmp);
    // The interval's ends are the slopes that lie this many ranks apart, centred on the median.
    let ranks = Z * kendall_variance(&points).sqrt();
    let n = slopes.len() as f64;
    let at = |rank: f64| slopes.get((rank.round().max(0.0) as usize).min(slopes.len() - 1)).copied();
    let per_s = median(&slopes)?;
    let rests: Vec<f64> = points.iter().map(|(t, v)| v - per_s * t).collect();
    let (start_s, end_s) = (points.first()?.0, points.last()?.0);
    Some(Trend {
        per_s,
        low_per_s: at(((n - ranks) / 2.0).round() - 1.0)?,
        high_per_s: at((n + ranks) / 2.0)?,
        level: median(&sorted(rests))? + per_s * end_s,
        length_s: end_s - start_s,
    })
}

impl Trend {
    /// The value at the start, on the line.
    #[must_use]
    pub fn start(&self) -> f64 {
        self.level - self.per_s * self.length_s
    }

    /// Whether it grows beyond doubt, and by something that matters.
    #[must_use]
    pub fn is_leak(&self) -> bool {
        self.low_per_s > 0.0 && self.low_per_s * self.length_s > LEAST_GROWTH * self.level.abs()
    }

    /// The slope per hour.
    #[must_use]
    pub fn per_hour(&self) -> f64 {
        self.per_s * 3600.0
    }

    /// How long until a limit is reached at this slope; `None` if it never is.
    #[must_use]
    pub fn until(&self, limit: f64) -> Option<Duration> {
        let seconds = (limit - self.level) / self.per_s;
        if self.per_s > 0.0 { Duration::try_from_secs_f64(seconds.max(0.0)).ok() } else { None }
    }
}

/// At most [`MOST_POINTS`] points, each the medians of a group of samples in a row.
fn joined(samples: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = samples.len().div_ceil(MOST_POINTS).max(1);
    let middle =
        |group: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| median(&sorted(group.iter().map(of).collect()));
    let finite: Vec<_> = samples.iter().filter(|(_, v)| v.is_finite()).copied().collect();
    finite.chunks(size).filter_map(|g| Some((middle(g, |s| s.0)?, middle(g, |s| s.1)?))).collect()
}

fn kendall_variance(points: &[(f64, f64)]) -> f64 {
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let values = sorted(points.iter().map(|(_, v)| *v).collect());
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|equal| spread(equal.len() as f64)).sum();
    (spread(points.len() as f64) - ties) / 18.0
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The median of values in order.
fn median(values: &[f64]) -> Option<f64> {
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// A sample a second for an hour; noise is uniform and seeded.
    fn hour(seed: u64, value: impl Fn(f64, f64) -> f64) -> Vec<(f64, f64)> {
        let mut state = seed;
        (0..3600)
            .map(|i| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0;
                (f64::from(i), value(f64::from(i), noise))
            })
            .collect()
    }

    #[test]
    fn a_leak_is_found_with_its_slope_and_its_end() {
        for seed in 1..=20 {
            let leak = trend(&hour(seed, |t, noise| 500.0 * MIB + 500e3 * t + 20.0 * MIB * noise)).unwrap();
            assert!(leak.is_leak(), "{leak:?}");
            assert!((leak.per_hour() / 1.8e9 - 1.0).abs() < 0.02, "{leak:?}");
            let hours = leak.until(8e9).unwrap().as_secs_f64() / 3600.0;
            assert!((hours - 3.15).abs() < 0.1, "{hours} h");
        }
    }

    /// `scipy.stats.theilslopes(y, x, 0.999)` of scipy 1.17.1 on the same numbers: the first tenth is left out of both.
    #[test]
    fn agrees_with_scipy() {
        let values = [
            9.0, 3.0, 4.1, 4.4, 5.2, 4.9, 6.3, 6.0, 7.4, 6.8, 8.1, 8.8, 8.5, 9.9, 9.7, 10.9, 11.2, 10.8,
            12.4, 12.9,
        ];
        let samples: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, v)| (i as f64 * 2.0, *v)).collect();
        let found = trend(&samples).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
        near(found.per_s, SCIPY.0);
        near(found.low_per_s, SCIPY.1);
        near(found.high_per_s, SCIPY.2);
    }

    const SCIPY: (f64, f64, f64) = (0.257_142_857_142_857_2, 0.206_25, 0.300_000_000_000_000_1);

    #[test]
    fn noise_warm_up_and_steps_back_are_no_leaks() {
        for seed in 1..=20 {
            let clean = trend(&hour(seed, |_, noise| 30.0 * MIB + 20.0 * MIB * noise)).unwrap();
            assert!(!clean.is_leak(), "seed {seed}: {clean:?}");
            let warming = hour(seed, |t, noise| 200.0 * MIB * (t / 300.0).min(1.0) + MIB * noise);
            assert!(!trend(&warming).unwrap().is_leak());
            let saw = hour(seed, |t, noise| 100.0 * MIB + (t % 120.0) * MIB + MIB * noise);
            assert!(!trend(&saw).unwrap().is_leak(), "a collector at work");
        }
    }

    #[test]
    fn a_slow_leak_in_whole_numbers_is_found_and_a_constant_is_not() {
        let fds = hour(1, |t, _| (40.0 + t / 60.0).floor());
        let leak = trend(&fds).unwrap();
        assert!(leak.is_leak() && (leak.per_hour() - 60.0).abs() < 2.0, "{leak:?}");
        assert!(!trend(&hour(1, |_, _| 40.0)).unwrap().is_leak());
        assert_eq!(trend(&fds[..5]), None);
        assert_eq!(trend(&[]), None);
    }
}
