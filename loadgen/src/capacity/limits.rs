//! What a window has to keep. Invariant: a window that measured nothing keeps nothing.

use assay_model::histogram::ExponentialHistogram;

use super::Window;
use crate::{
    measure::percentiles::seconds,
    scenario::capacity::{Limits, Measure},
};

/// The times of a window's requests.
pub(super) struct Times {
    pub(super) duration: ExponentialHistogram,
    pub(super) latency: ExponentialHistogram,
    /// None where nothing streamed.
    pub(super) first_chunk: Option<ExponentialHistogram>,
}

impl Times {
    /// Those that a limit is about; `None` if the window has none.
    fn of(&self, measure: Measure) -> Option<&ExponentialHistogram> {
        let times = match measure {
            Measure::Duration => Some(&self.duration),
            Measure::Latency => Some(&self.latency),
            Measure::FirstChunk => self.first_chunk.as_ref(),
        };
        times.filter(|times| times.count() > 0)
    }
}

/// How often a window missed an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Misses {
    /// Requests or iterations that missed it.
    pub(super) missed: f64,
    /// Of so many.
    pub(super) of: f64,
    /// The share that may miss it.
    pub(super) allowed: f64,
}

impl Misses {
    fn new(share: f64, of: f64, allowed: f64) -> Self {
        Self { missed: share.clamp(0.0, 1.0) * of, of, allowed }
    }
}

/// The limits in words, one each.
pub(super) fn describe(limits: &Limits) -> Vec<String> {
    let mut out = vec![format!("good requests at least {}", percent(limits.good))];
    out.extend(limits.errors.map(|e| format!("failed requests at most {}", percent(e))));
    out.push(format!("dropped iterations at most {}", percent(limits.dropped)));
    out.push(format!("throughput at least {} of the rate", percent(limits.throughput)));
    out.extend(limits.percentiles.iter().map(|l| {
        format!("{} {} at most {}", l.measure.name(), l.percentile, seconds(l.at_most.as_secs_f64()))
    }));
    out
}

/// How often each limit was missed, in the order of [`describe`]: all limits are shares, that of a percentile the share
/// of the requests that took longer.
pub(super) fn misses(limits: &Limits, w: &Window, times: &Times, due: f64) -> Vec<Misses> {
    let requests = w.requests as f64;
    let mut out = vec![Misses::new(1.0 - w.good_ratio, requests, 1.0 - limits.good)];
    out.extend(limits.errors.map(|e| Misses::new(w.error_ratio, requests, e)));
    out.push(Misses::new(w.dropped_ratio, due, limits.dropped));
    out.push(Misses::new(1.0 - w.throughput_ratio, due, 1.0 - limits.throughput));
    out.extend(limits.percentiles.iter().map(|limit| {
        let allowed = 1.0 - limit.quantile();
        times.of(limit.measure).map_or_else(Misses::default, |times| {
            Misses::new(
                1.0 - times.fraction_at_most(limit.at_most.as_secs_f64()),
                times.count() as f64,
                allowed,
            )
        })
    }));
    out
}

/// The limits that a window missed, in words; none where it held.
pub(super) fn missed(limits: &Limits, w: &Window, times: &Times) -> Vec<String> {
    if w.requests == 0 {
        return vec!["no request was made".to_owned()];
    }
    let mut out = Vec::new();
    if w.good_ratio < limits.good {
        out.push(format!("good requests {}", percent(w.good_ratio)));
    }
    if limits.errors.is_some_and(|most| w.error_ratio > most) {
        out.push(format!("failed requests {}", percent(w.error_ratio)));
    }
    if w.dropped_ratio > limits.dropped {
        out.push(format!("dropped iterations {}", percent(w.dropped_ratio)));
    }
    if w.throughput_ratio < limits.throughput {
        out.push(format!("throughput {}", percent(w.throughput_ratio)));
    }
    for limit in &limits.percentiles {
        let name = format!("{} {}", limit.measure.name(), limit.percentile);
        match times.of(limit.measure).map(|times| times.quantile(limit.quantile())) {
            Some(s) if s <= limit.at_most.as_secs_f64() => {}
            Some(s) => out.push(format!("{name} {}", seconds(s))),
            None => out.push(format!("{name} was not measured")),
        }
    }
    out
}

/// A share for a person.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{measure::tally::histogram, scenario::capacity::PercentileLimit};

    #[test]
    fn a_window_misses_what_it_misses() {
        let held = Window { throughput_ratio: 0.98, requests: 1000, good_ratio: 1.0, ..Window::default() };
        let all_took = |s: f64| {
            let mut latency = histogram();
            (0..1000).for_each(|_| latency.record(s));
            Times { duration: latency.clone(), latency, first_chunk: None }
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
            assert_eq!(missed(&limits, &w, &all_took(0.2)), want);
        };
        check(&|_| {}, &[]);
        check(&|w| w.good_ratio = 0.981, &["good requests 98.1 %"]);
        check(&|w| w.dropped_ratio = 0.5, &["dropped iterations 50 %"]);
        check(&|w| w.throughput_ratio = 0.8, &["throughput 80 %"]);
        check(&|w| w.requests = 0, &["no request was made"]);
        assert_eq!(missed(&limits, &held, &all_took(0.201)), ["latency p99 201 ms"]);
        let first = PercentileLimit { measure: Measure::FirstChunk, ..limit };
        let limits = Limits { percentiles: vec![first], ..Limits::default() };
        assert_eq!(missed(&limits, &held, &all_took(0.2)), ["first_chunk p99 was not measured"]);
    }
}
