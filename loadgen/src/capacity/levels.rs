//! What the windows of each load came to together. Invariant: an interval is given only where there are windows enough to know one,
//! and a point is best only among those that were measured.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{Level, Window};

/// The windows of one load. Rates are per second, times are seconds.
#[derive(Clone, Debug, Serialize)]
pub struct LevelSummary {
    /// The users, where their number is the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Iterations each second; where the load is a number of users, those that ended.
    pub rate_per_s: f64,
    /// How many windows there were.
    pub windows: usize,
    /// How many of them kept their objectives.
    pub held: usize,
    /// Requests each second.
    pub requests_per_s: Estimate,
    /// Good requests each second.
    pub goodput_per_s: Estimate,
    /// The 99th percentile of the time from the scheduled instant.
    pub latency_p99_s: Estimate,
    /// The median of the time to the first content, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_chunk_p50_s: Option<Estimate>,
    /// Output tokens each second of all users together, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_s: Option<Estimate>,
    /// Output tokens each second of one generation, after its first, where something streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_s_per_user: Option<Estimate>,
    /// Whether no other load has more good requests each second.
    pub is_best_goodput: bool,
    /// Whether no other load gives more tokens both to each user and to all together; `None` where nothing streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_pareto: Option<bool>,
}

impl LevelSummary {
    /// The load, as it was asked for.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::of(self.users, self.rate_per_s)
    }
}

/// A mean over windows, with the interval that it is in with a confidence of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The end of the interval below; unknown with one window.
    pub low: Option<f64>,
    /// The end above.
    pub high: Option<f64>,
}

impl Estimate {
    /// The mean of some values, and Student's interval around it.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let student = StudentsT::new(0.0, 1.0, n - 1.0).ok().filter(|_| values.len() > 1);
        let half = student.map(|student| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            student.inverse_cdf(0.975) * (variance / n).sqrt()
        });
        Self { mean, low: half.map(|half| mean - half), high: half.map(|half| mean + half) }
    }
}

/// The windows of each load together, ascending by load.
pub(super) fn summarise(windows: &[Window]) -> Vec<LevelSummary> {
    let mut loads: Vec<Level> = windows.iter().map(Window::level).collect();
    loads.sort_by(Level::total_cmp);
    loads.dedup();
    let mut levels: Vec<LevelSummary> = loads
        .into_iter()
        .map(|of| level(of, &windows.iter().filter(|w| w.level() == of).collect::<Vec<_>>()))
        .collect();
    let most = levels.iter().map(|l| l.goodput_per_s.mean).fold(0.0, f64::max);
    let points: Vec<Option<(f64, f64)>> = levels.iter().map(point).collect();
    for (level, own) in levels.iter_mut().zip(&points) {
        level.is_best_goodput = most > 0.0 && level.goodput_per_s.mean >= most;
        level.is_pareto = own.map(|(user, all)| {
            let beats = |(u, a): &(f64, f64)| (*u >= user && *a > all) || (*u > user && *a >= all);
            !points.iter().flatten().any(beats)
        });
    }
    levels
}

/// Tokens for each user, and for all.
fn point(level: &LevelSummary) -> Option<(f64, f64)> {
    Some((level.output_tokens_per_s_per_user?.mean, level.output_tokens_per_s?.mean))
}

fn level(load: Level, windows: &[&Window]) -> LevelSummary {
    let estimate =
        |of: &dyn Fn(&Window) -> f64| Estimate::of(&windows.iter().map(|w| of(w)).collect::<Vec<_>>());
    let known = |of: &dyn Fn(&Window) -> Option<f64>| {
        let values: Vec<f64> = windows.iter().filter_map(|w| of(w)).collect();
        (!values.is_empty()).then(|| Estimate::of(&values))
    };
    let (users, rate_per_s) = match load {
        Level::Rate(rate_per_s) => (None, rate_per_s),
        Level::Users(users) => (Some(users), estimate(&|w| w.rate_per_s).mean),
    };
    LevelSummary {
        users,
        rate_per_s,
        windows: windows.len(),
        held: windows.iter().filter(|w| w.missed.is_empty()).count(),
        requests_per_s: estimate(&|w| w.requests_per_s),
        goodput_per_s: estimate(&|w| w.goodput_per_s),
        latency_p99_s: estimate(&|w| w.latency.p99),
        first_chunk_p50_s: known(&|w| w.first_chunk.map(|p| p.p50)),
        output_tokens_per_s: known(&|w| w.output_tokens_per_s),
        output_tokens_per_s_per_user: known(&|w| w.output_tokens_per_s_per_user),
        is_best_goodput: false,
        is_pareto: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_students() {
        let estimate = Estimate::of(&[9.0, 10.0, 11.0]);
        // The quantile of two degrees of freedom is 4.3027, the standard error 1/√3.
        assert!((estimate.mean - 10.0).abs() < 1e-9);
        assert!((estimate.high.expect("three values") - (10.0 + 4.3027 / 3f64.sqrt())).abs() < 1e-3);
        assert!((estimate.low.expect("three values") - (10.0 - 4.3027 / 3f64.sqrt())).abs() < 1e-3);
        assert_eq!(Estimate::of(&[5.0]), Estimate { mean: 5.0, low: None, high: None });
    }

    #[test]
    fn rates_are_as_they_were_asked_for() {
        // The mean of three of them is 0.10000000000000002.
        let windows = [0.1; 3].map(|rate_per_s| Window { rate_per_s, ..Window::default() });
        let levels = summarise(&windows);
        assert_eq!(
            (levels.len(), levels[0].rate_per_s, levels[0].level().to_string()),
            (1, 0.1, "0.1/s".to_owned())
        );
    }

    #[test]
    fn levels_are_ascending_and_the_best_are_marked() {
        let window = |users, all, each, good| Window {
            users: Some(users),
            output_tokens_per_s: Some(all),
            output_tokens_per_s_per_user: Some(each),
            goodput_per_s: good,
            ..Window::default()
        };
        // Eight users get less than four do, each and together.
        let windows = [
            window(4, 300.0, 80.0, 9.0),
            window(1, 100.0, 100.0, 3.0),
            window(8, 290.0, 30.0, 2.0),
            window(1, 110.0, 100.0, 3.0),
        ];
        let levels = summarise(&windows);
        let short: Vec<_> =
            levels.iter().map(|l| (l.users, l.windows, l.is_pareto, l.is_best_goodput)).collect();
        assert_eq!(
            short,
            [
                (Some(1), 2, Some(true), false),
                (Some(4), 1, Some(true), true),
                (Some(8), 1, Some(false), false)
            ]
        );
        assert_eq!(levels[0].output_tokens_per_s.map(|e| e.mean), Some(105.0));
    }
}
