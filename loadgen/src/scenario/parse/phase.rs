//! Phases and modes. Invariant: an executor has exactly the options that are its own; another one's option is
//! an unknown key.

use std::time::Duration;

use assay_yaml::{Kind, MapReader, Node};

use super::Parser;
use crate::scenario::{Arrivals, Executor, Phase, Stage};

const EXECUTORS: [&str; 6] = [
    "constant-vus",
    "ramping-vus",
    "constant-arrival-rate",
    "ramping-arrival-rate",
    "per-vu-iterations",
    "shared-iterations",
];

/// k6's default.
pub(super) const GRACEFUL_STOP: Duration = Duration::from_secs(30);
/// k6's default for executors that count iterations.
const MAX_DURATION: Duration = Duration::from_secs(600);

impl<'d> Parser<'d> {
    pub(super) fn phases(&mut self, node: &'d Node) -> Vec<Phase> {
        let pairs = self.pairs(node, "the phases");
        if pairs.is_empty() && !self.cx.failed() {
            self.cx.error(
                node,
                "there is no phase; add for example steady: {executor: constant-vus, vus: 5, duration: 1m}",
            );
        }
        pairs.into_iter().filter_map(|(name, n)| self.phase(name, n)).collect()
    }

    /// A phase of a mode: a name, or a phase with some of its options changed.
    pub(super) fn mode_phase(
        &mut self,
        node: &'d Node,
        phases_node: Option<&'d Node>,
        phases: &[Phase],
    ) -> Option<Phase> {
        let name_node = if node.as_map().is_some() {
            let found = node.get("phase");
            if found.is_none() {
                self.cx.error(node, "a changed phase names it: {phase: steady, duration: 30s}");
            }
            found?
        } else {
            node
        };
        let name = self.cx.string(name_node)?;
        let Some(base) = phases_node.and_then(|n| n.get(&name)) else {
            let known: Vec<_> = phases.iter().map(|p| p.name.as_str()).collect();
            self.cx.error(name_node, super::super::unknown("phase", &name, &known));
            return None;
        };
        let Some(changes) = node.as_map() else { return phases.iter().find(|p| p.name == name).cloned() };
        let mut merged: Vec<(Node, Node)> = base.as_map()?.to_vec();
        for (key, value) in changes.iter().filter(|(k, _)| k.as_str() != Some("phase")) {
            merged.retain(|(k, _)| k.as_str() != key.as_str());
            merged.push((key.clone(), value.clone()));
        }
        let merged = Node { kind: Kind::Map(merged), ..node.clone() };
        self.phase(name, &merged)
    }

    fn phase(&mut self, name: String, node: &Node) -> Option<Phase> {
        let mut map = self.cx.map(node, "a phase")?;
        let executor = map.require(&mut self.cx, "executor").and_then(|n| {
            let text = self.cx.string(n)?;
            if EXECUTORS.contains(&text.as_str()) {
                return Some(text);
            }
            self.cx.error(n, super::super::unknown("executor", &text, &EXECUTORS));
            None
        });
        let warmup = map.get("warmup").and_then(|n| self.cx.boolean(n)).unwrap_or(false);
        let graceful_stop = map.get("graceful_stop").and_then(|n| self.duration(n)).unwrap_or(GRACEFUL_STOP);
        let think = map.get("think").and_then(|n| self.share(n)).unwrap_or(1.0);
        let executor = match executor?.as_str() {
            "constant-vus" => self.constant_vus(&mut map),
            "ramping-vus" => self.ramping_vus(&mut map, node),
            "constant-arrival-rate" => self.constant_rate(&mut map),
            "ramping-arrival-rate" => self.ramping_rate(&mut map),
            "per-vu-iterations" => self.iterations(&mut map).map(|(vus, iterations, max_duration)| {
                Executor::PerVuIterations { vus, iterations, max_duration }
            }),
            _ => self.iterations(&mut map).map(|(vus, iterations, max_duration)| {
                Executor::SharedIterations { vus, iterations, max_duration }
            }),
        };
        map.finish(&mut self.cx);
        Some(Phase { name, executor: executor?, warmup, graceful_stop, think })
    }

    fn constant_vus(&mut self, map: &mut MapReader<'_>) -> Option<Executor> {
        let vus = self.count(map, "vus", None);
        let duration = self.length(map, "duration");
        let ramp_per_s = map.get("ramp").and_then(|n| self.rate(n));
        Some(Executor::ConstantVus { vus: vus?, duration: duration?, ramp_per_s })
    }

    /// k6's stages, or the short form: `vus`, `duration` and a `ramp` in users per second.
    fn ramping_vus(&mut self, map: &mut MapReader<'_>, node: &Node) -> Option<Executor> {
        let start_vus = self.count(map, "start_vus", Some(0));
        if map.get("stages").is_some() {
            let stages = self.stages(map);
            return Some(Executor::RampingVus { start_vus: start_vus?, stages: stages? });
        }
        let vus = self.count(map, "vus", None);
        let duration = self.length(map, "duration");
        let ramp = map.require(&mut self.cx, "ramp").and_then(|n| self.rate(n));
        let (start_vus, vus, duration, ramp) = (start_vus?, vus?, duration?, ramp?);
        let rise = Duration::from_secs_f64(f64::from(vus.abs_diff(start_vus)) / ramp);
        if rise > duration {
            let message = format!("{vus} users at {ramp} per second take {rise:?}, longer than the phase");
            self.cx.error(node, message);
        }
        let hold = duration.saturating_sub(rise);
        let target = f64::from(vus);
        let stages = vec![Stage { duration: rise, target }, Stage { duration: hold, target }];
        Some(Executor::RampingVus { start_vus, stages })
    }

    fn constant_rate(&mut self, map: &mut MapReader<'_>) -> Option<Executor> {
        let rate = map.require(&mut self.cx, "rate").and_then(|n| self.rate(n));
        let unit = self.time_unit_s(map);
        let duration = self.length(map, "duration");
        let (vus, max_vus) = self.allocation(map);
        let arrivals = self.arrivals(map);
        Some(Executor::ConstantArrivalRate {
            rate_per_s: rate? / unit,
            duration: duration?,
            vus: vus?,
            max_vus: max_vus?,
            arrivals,
        })
    }

    fn ramping_rate(&mut self, map: &mut MapReader<'_>) -> Option<Executor> {
        let start = map.get("start_rate").and_then(|n| self.rate_or_zero(n)).unwrap_or(0.0);
        let unit = self.time_unit_s(map);
        let stages = self.stages(map).map(|mut stages| {
            stages.iter_mut().for_each(|s| s.target /= unit);
            stages
        });
        let (vus, max_vus) = self.allocation(map);
        let arrivals = self.arrivals(map);
        Some(Executor::RampingArrivalRate {
            start_rate_per_s: start / unit,
            stages: stages?,
            vus: vus?,
            max_vus: max_vus?,
            arrivals,
        })
    }

    fn iterations(&mut self, map: &mut MapReader<'_>) -> Option<(u32, u64, Duration)> {
        let vus = self.count(map, "vus", Some(1));
        let iterations = match map.get("iterations") {
            Some(n) => self.cx.integer::<u64>(n),
            None => Some(1),
        };
        let longest = match map.get("max_duration") {
            Some(n) => self.duration(n),
            None => Some(MAX_DURATION),
        };
        Some((vus?, iterations?, longest?))
    }

    /// k6's `preAllocatedVUs` and `maxVUs`.
    pub(super) fn allocation(&mut self, map: &mut MapReader<'_>) -> (Option<u32>, Option<u32>) {
        let vus = self.count(map, "pre_allocated_vus", Some(10));
        let most = self.count(map, "max_vus", Some(vus.unwrap_or(10).max(1000)));
        (vus, most)
    }

    fn time_unit_s(&mut self, map: &mut MapReader<'_>) -> f64 {
        let unit = map.get("time_unit").and_then(|n| self.duration(n)).unwrap_or(Duration::from_secs(1));
        unit.as_secs_f64().max(0.001)
    }

    pub(super) fn arrivals(&mut self, map: &mut MapReader<'_>) -> Arrivals {
        let Some(node) = map.get("arrivals") else { return Arrivals::Constant };
        match node.as_str() {
            Some("constant") => Arrivals::Constant,
            Some("poisson") => Arrivals::Poisson,
            _ => {
                let shape = node.get("gamma").and_then(|n| self.positive(n));
                if shape.is_none() {
                    self.cx.error(node, "arrivals are constant, poisson, or {gamma: SHAPE}");
                }
                Arrivals::Gamma { shape: shape.unwrap_or(1.0) }
            }
        }
    }

    fn stages(&mut self, map: &mut MapReader<'_>) -> Option<Vec<Stage>> {
        let node = map.require(&mut self.cx, "stages")?;
        let items = self.cx.seq(node, "stages")?;
        let stages: Vec<_> = items
            .iter()
            .filter_map(|n| {
                let mut map = self.cx.map(n, "a stage")?;
                let duration = self.length(&mut map, "duration");
                let target = map.require(&mut self.cx, "target").and_then(|t| self.rate_or_zero(t));
                map.finish(&mut self.cx);
                Some(Stage { duration: duration?, target: target? })
            })
            .collect();
        if items.is_empty() {
            self.cx.error(node, "there is no stage; add for example {duration: 1m, target: 10}");
        }
        Some(stages)
    }

    pub(super) fn count(
        &mut self,
        map: &mut MapReader<'_>,
        key: &'static str,
        default: Option<u32>,
    ) -> Option<u32> {
        let node = match default {
            Some(_) => map.get(key),
            None => map.require(&mut self.cx, key),
        };
        match node {
            Some(n) => self.cx.integer(n),
            None => default,
        }
    }

    fn length(&mut self, map: &mut MapReader<'_>, key: &'static str) -> Option<Duration> {
        map.require(&mut self.cx, key).and_then(|n| self.duration(n))
    }

    /// `10`, `10/s` or `600/m`: a rate above 0, as a number per second.
    pub(super) fn rate(&mut self, node: &Node) -> Option<f64> {
        let rate = self.rate_or_zero(node)?;
        if rate <= 0.0 {
            self.cx.error(node, "expected a rate above 0, such as 10/s");
            return None;
        }
        Some(rate)
    }

    fn rate_or_zero(&mut self, node: &Node) -> Option<f64> {
        let text = node.as_str().unwrap_or_default();
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let per_s = match unit.trim() {
            "s" => Some(1.0),
            "m" => Some(60.0),
            "h" => Some(3600.0),
            _ => None,
        };
        match (number.trim().parse::<f64>(), per_s) {
            (Ok(n), Some(per_s)) if n.is_finite() && n >= 0.0 => Some(n / per_s),
            _ => {
                self.cx
                    .error(node, format!("expected a rate such as 10/s or 600/m, found {}", node.describe()));
                None
            }
        }
    }

    pub(super) fn share(&mut self, node: &Node) -> Option<f64> {
        let value = self.cx.number(node)?;
        if value < 0.0 {
            self.cx.error(node, "expected a number of at least 0");
            return None;
        }
        Some(value)
    }
}
