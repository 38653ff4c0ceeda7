//! Modes that search for a rate or sweep over rates. Invariant: every rate that can be tried is above 0 and
//! within the range that the file gives.

use std::time::Duration;

use assay_yaml::{MapReader, Node};

use super::{Parser, phase::GRACEFUL_STOP};
use crate::scenario::{
    Mode, Phase,
    capacity::{
        Capacity, Level, Limits, MOST_WINDOWS, Measure, PERCENTILES, PercentileLimit, Plan, SearchPlan, Shape,
    },
    shape,
};

/// How long a rate is held where the mode does not say.
const WINDOW: Duration = Duration::from_secs(30);
/// How long the target is left alone between windows where the mode does not say.
const REST: Duration = Duration::from_secs(1);

impl<'d> Parser<'d> {
    /// A mode that is a map: phases to begin with, then a search or a sweep.
    pub(super) fn capacity_mode(
        &mut self,
        name: String,
        node: &'d Node,
        phases_node: Option<&'d Node>,
        phases: &[Phase],
    ) -> Option<Mode> {
        let mut map = self.cx.read(node, &shape::MODE)?;
        let first = map.get("phases").and_then(|n| self.cx.seq(n, "phases")).unwrap_or_default();
        let first = first.iter().filter_map(|n| self.mode_phase(n, phases_node, phases)).collect();
        let (search, sweep) = (map.get("search"), map.get("sweep"));
        map.finish(&mut self.cx);
        let capacity = match (search, sweep) {
            (Some(n), None) => self.search(n),
            (None, Some(n)) => self.sweep(n),
            _ => {
                let message = "a mode is a list of phases, or a map with one of search and sweep: {search: {rate: {from: 10/s, to: 1000/s}}}";
                self.cx.error(node, message);
                None
            }
        };
        Some(Mode { name, phases: first, capacity: Some(capacity?) })
    }

    fn search(&mut self, node: &'d Node) -> Option<Capacity> {
        let mut map = self.cx.read(node, &shape::SEARCH)?;
        let range = map.require(&mut self.cx, "rate").and_then(|n| self.range(n));
        let factor = self.number_above(&mut map, "factor", 1.0, 2.0);
        let precision = self.share_of(&mut map, "precision").unwrap_or(0.1);
        let confirm = self.count(&mut map, "confirm", Some(4));
        let max_windows = map.get("max_windows").and_then(|n| {
            let windows = self.cx.integer::<u32>(n);
            if windows.is_some_and(|w| w == 0 || w > MOST_WINDOWS) {
                self.cx.error(n, format!("expected a number of windows from 1 to {MOST_WINDOWS}"));
            }
            windows
        });
        let (limits, shape) = (self.limits(&mut map), self.shape(&mut map));
        map.finish(&mut self.cx);
        let (from_per_s, to_per_s) = range?;
        let plan = SearchPlan {
            from_per_s,
            to_per_s,
            factor: factor?,
            precision,
            confirm: confirm?,
            max_windows: max_windows.unwrap_or(MOST_WINDOWS),
        };
        Some(Capacity { plan: Plan::Search(plan), limits: limits?, shape: shape? })
    }

    fn range(&mut self, node: &'d Node) -> Option<(f64, f64)> {
        let mut map = self.cx.read(node, &shape::RANGE)?;
        let from = map.require(&mut self.cx, "from").and_then(|n| self.rate(n));
        let to = map.require(&mut self.cx, "to").and_then(|n| self.rate(n));
        map.finish(&mut self.cx);
        let (from, to) = (from?, to?);
        if to <= from {
            self.cx.error(node, "the highest rate is not above the lowest; write {from: 10/s, to: 1000/s}");
        }
        Some((from, to))
    }

    fn sweep(&mut self, node: &'d Node) -> Option<Capacity> {
        let mut map = self.cx.read(node, &shape::SWEEP)?;
        let (rates, users) = (map.get("rates"), map.get("vus"));
        let levels = match (rates, users) {
            (Some(n), None) => self.levels(n, "rates", |p, n| p.rate(n).map(Level::Rate)),
            (None, Some(n)) => self.levels(n, "numbers of users", |p, n| {
                let users = p.cx.integer::<u32>(n)?;
                if users == 0 {
                    p.cx.error(n, "expected 1 or more, found 0");
                }
                Some(Level::Users(users))
            }),
            _ => {
                self.cx.error(
                    node,
                    "a sweep is over rates or over users: {rates: [10/s, 20/s]} or {vus: [1, 2, 4]}",
                );
                None
            }
        };
        for key in ["pre_allocated_vus", "max_vus", "arrivals"] {
            if let Some(n) = node.get(key).filter(|_| users.is_some()) {
                self.cx.error(n, format!("{key} is for rates; users start their iterations themselves, so that it has no effect"));
            }
        }
        let repeat = self.count(&mut map, "repeat", Some(1));
        let plan = levels.zip(repeat).and_then(|(levels, repeat)| {
            Plan::sweep(levels, repeat).map_err(|e| self.cx.error(node, e)).ok()
        });
        let (limits, shape) = (self.limits(&mut map), self.shape(&mut map));
        map.finish(&mut self.cx);
        Some(Capacity { plan: plan?, limits: limits?, shape: shape? })
    }

    /// The loads of a sweep.
    fn levels(
        &mut self,
        node: &'d Node,
        what: &'static str,
        read: impl Fn(&mut Self, &Node) -> Option<Level>,
    ) -> Option<Vec<Level>> {
        let items = self.cx.seq(node, what)?;
        if items.is_empty() {
            self.cx.error(node, format!("there are no {what}"));
        }
        items.iter().map(|n| read(self, n)).collect()
    }

    fn limits(&mut self, map: &mut MapReader<'d>) -> Option<Limits> {
        let mut limits = Limits::default();
        let Some(node) = map.get("objectives") else { return Some(limits) };
        let mut map = self.cx.read(node, &shape::WINDOW_OBJECTIVES)?;
        limits.good = self.share_of(&mut map, "good").unwrap_or(limits.good);
        limits.errors = self.share_of(&mut map, "errors");
        limits.dropped = self.share_of(&mut map, "dropped").unwrap_or(limits.dropped);
        limits.throughput = self.share_of(&mut map, "throughput").unwrap_or(limits.throughput);
        for measure in [Measure::Duration, Measure::Latency, Measure::FirstChunk] {
            let Some(node) = map.get(measure.name()) else { continue };
            let Some(mut inner) = self.cx.read(node, &shape::PERCENTILES) else { continue };
            for percentile in PERCENTILES {
                let at_most = inner.get(percentile).and_then(|n| self.duration(n));
                let limit = at_most.map(|at_most| PercentileLimit { measure, percentile, at_most });
                limits.percentiles.extend(limit);
            }
            inner.finish(&mut self.cx);
        }
        map.finish(&mut self.cx);
        Some(limits)
    }

    fn shape(&mut self, map: &mut MapReader<'d>) -> Option<Shape> {
        let mut length = |p: &mut Self, key, default| match map.get(key) {
            Some(n) => p.duration(n),
            None => Some(default),
        };
        let window = length(self, "window", WINDOW);
        let rest = length(self, "rest", REST);
        let graceful_stop = length(self, "graceful_stop", GRACEFUL_STOP);
        let (vus, max_vus) = self.allocation(map);
        let arrivals = self.arrivals(map);
        let think = map.get("think").and_then(|n| self.share(n)).unwrap_or(1.0);
        Some(Shape {
            window: window?,
            rest: rest?,
            vus: vus?,
            max_vus: max_vus?,
            arrivals,
            graceful_stop: graceful_stop?,
            think,
        })
    }

    /// A share between 0 and 1.
    pub(super) fn share_of(&mut self, map: &mut MapReader<'d>, key: &'static str) -> Option<f64> {
        let node = map.get(key)?;
        let value = self.cx.number(node)?;
        if !(0.0..=1.0).contains(&value) {
            self.cx.error(node, "expected a share from 0 to 1, such as 0.01 for 1 %");
        }
        Some(value)
    }

    fn number_above(
        &mut self,
        map: &mut MapReader<'d>,
        key: &'static str,
        low: f64,
        default: f64,
    ) -> Option<f64> {
        let Some(node) = map.get(key) else { return Some(default) };
        let value = self.cx.number(node)?;
        if value <= low {
            self.cx.error(node, format!("expected a number above {low}"));
        }
        Some(value)
    }
}
