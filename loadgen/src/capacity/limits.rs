//! What a window has to keep. Invariant: a window that measured nothing keeps nothing.

use std::time::Duration;

use super::Window;
use crate::summary::{Percentiles, seconds};

/// What a window has to keep. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// At least this share of the requests is good: they succeed and meet their steps' objectives.
    pub good: f64,
    /// At most this share of the requests fails; `None` for what `good` allows.
    pub errors: Option<f64>,
    /// At most this share of the iterations never starts.
    pub dropped: f64,
    /// At least this [share](Window::throughput_ratio) of the iterations that are due is worked off in time.
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

impl PercentileLimit {
    /// The percentile's value in a window, in seconds; `None` where the window has no such time.
    fn value_s(&self, window: &Window) -> Option<f64> {
        let times = match self.measure {
            Measure::Duration => Some(window.duration),
            Measure::Latency => Some(window.latency),
            Measure::FirstChunk => window.first_chunk,
        };
        times.map(|p| named(&p, self.percentile))
    }
}

fn named(p: &Percentiles, name: &str) -> f64 {
    match name {
        "p50" => p.p50,
        "p90" => p.p90,
        "p95" => p.p95,
        "p99" => p.p99,
        _ => p.p999,
    }
}

impl Limits {
    /// The limits in words, one each.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut out = vec![format!("good requests at least {}", percent(self.good))];
        out.extend(self.errors.map(|e| format!("failed requests at most {}", percent(e))));
        out.push(format!("dropped iterations at most {}", percent(self.dropped)));
        out.push(format!("throughput at least {} of the rate", percent(self.throughput)));
        out.extend(self.percentiles.iter().map(|l| {
            format!("{} {} at most {}", l.measure.name(), l.percentile, seconds(l.at_most.as_secs_f64()))
        }));
        out
    }

    /// The limits that a window missed, in words; none where it held.
    pub(crate) fn missed(&self, w: &Window) -> Vec<String> {
        if w.requests == 0 {
            return vec!["no request was made".to_owned()];
        }
        let mut out = Vec::new();
        if w.good_ratio < self.good {
            out.push(format!("good requests {}", percent(w.good_ratio)));
        }
        if self.errors.is_some_and(|most| w.error_ratio > most) {
            out.push(format!("failed requests {}", percent(w.error_ratio)));
        }
        if w.dropped_ratio > self.dropped {
            out.push(format!("dropped iterations {}", percent(w.dropped_ratio)));
        }
        if w.throughput_ratio < self.throughput {
            out.push(format!("throughput {}", percent(w.throughput_ratio)));
        }
        for limit in &self.percentiles {
            let name = format!("{} {}", limit.measure.name(), limit.percentile);
            match limit.value_s(w) {
                Some(s) if s <= limit.at_most.as_secs_f64() => {}
                Some(s) => out.push(format!("{name} {}", seconds(s))),
                None => out.push(format!("{name} was not measured")),
            }
        }
        out
    }
}

/// A share for a person.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_misses_what_it_misses() {
        let held = Window {
            throughput_ratio: 0.98,
            requests: 1000,
            good_ratio: 1.0,
            latency: Percentiles { p99: 0.2, ..Percentiles::default() },
            ..Window::default()
        };
        let limit = PercentileLimit {
            measure: Measure::Latency,
            percentile: "p99",
            at_most: Duration::from_millis(200),
        };
        let limits = Limits { percentiles: vec![limit], ..Limits::default() };
        let check = |change: &dyn Fn(&mut Window), want: &[&str]| {
            let mut w = held.clone();
            change(&mut w);
            assert_eq!(limits.missed(&w), want);
        };
        check(&|_| {}, &[]);
        check(&|w| w.good_ratio = 0.981, &["good requests 98.1 %"]);
        check(&|w| w.dropped_ratio = 0.5, &["dropped iterations 50 %"]);
        check(&|w| w.throughput_ratio = 0.8, &["throughput 80 %"]);
        check(&|w| w.latency.p99 = 0.201, &["latency p99 201 ms"]);
        check(&|w| w.requests = 0, &["no request was made"]);
        let first = PercentileLimit { measure: Measure::FirstChunk, ..limit };
        let limits = Limits { percentiles: vec![first], ..Limits::default() };
        assert_eq!(limits.missed(&held), ["first_chunk p99 was not measured"]);
    }
}
