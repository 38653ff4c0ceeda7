//! Searches on simulated queues whose capacity is known: Poisson arrivals, exponential service, one or several servers.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use super::{Campaign, CapacitySummary, Level, SearchEnd, Window, limits::Times};
use crate::{
    measure::tally::histogram,
    scenario::{
        capacity::{Capacity, Limits, Measure, PercentileLimit, Plan, SearchPlan, Shape},
        executor::Arrivals,
    },
    seed::mix,
};

/// A queue, and the 99th percentile of its latency that is allowed.
struct Queue {
    servers: u32,
    /// Requests that a server works off each second, on average.
    rate_per_s: f64,
    limit_s: f64,
}

/// At 90, 69, 88 and 93 % of what the servers could work off.
const QUEUES: [Queue; 4] = [
    Queue { servers: 1, rate_per_s: 100.0, limit_s: 0.46 },
    Queue { servers: 1, rate_per_s: 100.0, limit_s: 0.15 },
    Queue { servers: 4, rate_per_s: 20.0, limit_s: 0.5 },
    Queue { servers: 16, rate_per_s: 5.0, limit_s: 1.2 },
];
const WINDOW_S: f64 = 60.0;

impl Queue {
    /// The share of the requests that wait for a server at this rate of arrivals, by Erlang's formula.
    fn waiting(&self, arrivals_per_s: f64) -> f64 {
        let (load, servers) = (arrivals_per_s / self.rate_per_s, f64::from(self.servers));
        let (mut sum, mut term) = (0.0, 1.0);
        for k in 1..=self.servers {
            sum += term;
            term *= load / f64::from(k);
        }
        let all_busy = term * servers / (servers - load);
        all_busy / (sum + all_busy)
    }

    /// The share of the requests that take longer than the limit: the wait is 0, or exponential, and the service comes on top
    /// of it.
    fn slower(&self, arrivals_per_s: f64) -> f64 {
        let (mu, waiting) = (self.rate_per_s, self.waiting(arrivals_per_s));
        let spare = f64::from(self.servers) * mu - arrivals_per_s;
        let served = (-mu * self.limit_s).exp();
        let both = if (spare - mu).abs() < 1e-9 {
            served * (1.0 + mu * self.limit_s)
        } else {
            (spare * served - mu * (-spare * self.limit_s).exp()) / (spare - mu)
        };
        (1.0 - waiting) * served + waiting * both
    }

    /// The highest rate at which the 99th percentile is within the limit.
    fn capacity_per_s(&self) -> f64 {
        let (mut low, mut high) = (0.0, self.rate_per_s * f64::from(self.servers));
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            *if self.slower(middle) <= 0.01 { &mut low } else { &mut high } = middle;
        }
        low
    }

    /// What a window at this rate measures.
    fn window(&self, rate_per_s: f64, random: &mut Random, limits: &Limits) -> Window {
        let mut free: BinaryHeap<Reverse<Instant>> =
            (0..self.servers).map(|_| Reverse(Instant(0.0))).collect();
        let (mut now, mut latency) = (0.0, histogram());
        loop {
            now += random.gap_s(rate_per_s);
            if now > WINDOW_S {
                break;
            }
            let Reverse(Instant(at)) = free.pop().expect("as many as servers");
            let done = at.max(now) + random.gap_s(self.rate_per_s);
            free.push(Reverse(Instant(done)));
            latency.record(done - now);
        }
        let requests = latency.count();
        let window =
            Window { rate_per_s, requests, good_ratio: 1.0, throughput_ratio: 1.0, ..Window::default() };
        let times = Times { duration: latency.clone(), latency, first_chunk: None };
        window.judged(limits, &times, requests as f64)
    }

    /// A whole search.
    fn search(&self, seed: u64) -> CapacitySummary {
        let at_most = Duration::from_secs_f64(self.limit_s);
        let limit = PercentileLimit { measure: Measure::Latency, percentile: "p99", at_most };
        let limits = Limits { percentiles: vec![limit], ..Limits::default() };
        let plan = SearchPlan {
            from_per_s: 20.0,
            to_per_s: 500.0,
            factor: 2.0,
            precision: 0.1,
            confirm: 4,
            max_windows: 100,
        };
        let shape = Shape {
            window: Duration::from_secs_f64(WINDOW_S),
            rest: Duration::ZERO,
            vus: 1,
            max_vus: 1,
            arrivals: Arrivals::Poisson,
            graceful_stop: Duration::ZERO,
            think: 1.0,
        };
        let mut campaign =
            Campaign::new(Capacity { plan: Plan::Search(plan), limits: limits.clone(), shape });
        let mut random = Random(mix(seed));
        while let Some((_, level)) = campaign.next() {
            let Level::Rate(rate_per_s) = level else { unreachable!("a search is over rates") };
            campaign.take(self.window(rate_per_s, &mut random, &limits));
        }
        campaign.summary()
    }
}

/// An instant that a heap can order.
#[derive(PartialEq)]
struct Instant(f64);

impl Eq for Instant {}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Random numbers.
struct Random(u64);

impl Random {
    /// An exponential gap at this rate.
    fn gap_s(&mut self, rate_per_s: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let uniform = ((mix(self.0) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        -uniform.ln() / rate_per_s
    }
}

/// How the intervals of so many searches fit the truth: how many cover it, have it below and above, and their widths as
/// shares of the truth, ascending.
#[derive(Debug, Default)]
struct Coverage {
    covered: usize,
    too_high: usize,
    too_low: usize,
    unknown: usize,
    widths: Vec<f64>,
    windows: Vec<usize>,
}

fn coverage(queue: &Queue, seeds: std::ops::Range<u64>) -> Coverage {
    let (truth, mut out) = (queue.capacity_per_s(), Coverage::default());
    for seed in seeds {
        let summary = queue.search(seed);
        out.windows.push(summary.windows.len());
        let search = summary.search.expect("a search");
        let interval = search.capacity_per_s.and_then(|e| Some((e.low?, e.high?)));
        match interval {
            None => out.unknown += 1,
            Some((low, _)) if low > truth => out.too_high += 1,
            Some((_, high)) if high < truth => out.too_low += 1,
            Some(_) => out.covered += 1,
        }
        out.widths.extend(interval.map(|(low, high)| (high - low) / truth));
    }
    out.widths.sort_by(f64::total_cmp);
    out.windows.sort_unstable();
    out
}

#[test]
fn formulas_hold_on_queues_that_are_known() {
    // One server: the latency is exponential, at the rate that is to spare.
    let one = &QUEUES[0];
    assert!((one.capacity_per_s() - (100.0 - 100f64.ln() / 0.46)).abs() < 1e-6);
    assert!((QUEUES[1].slower(60.0) - (-40.0 * 0.15f64).exp()).abs() < 1e-12);
    // Four servers of which each is busy for 0.7 of the time.
    let four = Queue { servers: 4, rate_per_s: 1.0, limit_s: 1.0 };
    assert!((four.waiting(2.8) - 0.428_65).abs() < 1e-5, "{}", four.waiting(2.8));
}

#[test]
fn intervals_of_some_searches_cover_the_capacity() {
    let covered: Vec<_> = QUEUES.iter().map(|queue| coverage(queue, 0..3)).collect();
    let sum = covered.iter().map(|c| c.covered).sum::<usize>();
    assert!(sum >= 10, "{covered:?}");
    let search = QUEUES[1].search(7).search.expect("a search");
    assert_eq!(
        (search.end, search.decided_by.as_deref()),
        (SearchEnd::Found, Some("latency p99 at most 150 ms"))
    );
}

/// Five hundred searches on each queue: cover the capacity in 93 to 97 %, at a median width of 10 % at most. It takes minutes.
#[test]
#[ignore = "minutes; `cargo xtask bench loadgen capacity` runs it"]
fn intervals_cover_the_capacity() {
    println!(
        "| servers | busy | capacity, /s | covered | too high | too low | unknown | width, median | windows, median | most |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for queue in &QUEUES {
        let (truth, c) = (queue.capacity_per_s(), coverage(queue, 0..500));
        let width = c.widths[c.widths.len() / 2];
        println!(
            "| {} | {:.2} | {truth:.2} | {:.1} % | {} | {} | {} | {:.1} % | {} | {} |",
            queue.servers,
            truth / queue.rate_per_s / f64::from(queue.servers),
            c.covered as f64 / 5.0,
            c.too_high,
            c.too_low,
            c.unknown,
            width * 100.0,
            c.windows[250],
            c.windows[499]
        );
        if !(465..=485).contains(&c.covered) || width > 0.1 {
            missed.push(format!("{} servers: {} of 500 covered, width {width:.3}", queue.servers, c.covered));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
