//! Phases and modes. Invariant: an executor has exactly the options that are its own; another one's option is
//! an unknown key.

use std::time::Duration;

use assay_yaml::{Kind, MapReader, Node};

use super::Parser;
use crate::scenario::{
    Executor, Phase, UnknownName,
    executor::{Arrivals, CASES, NAMES, Stage},
    shape,
};

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
            let known = phases.iter().map(|p| p.name.as_str());
            self.cx.error(name_node, UnknownName::new("phase", &name, known));
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

    /// The place of a flow in the scenario's list.
    pub(super) fn flow_named(&mut self, node: &Node) -> Option<usize> {
        let name = self.cx.string(node)?;
        let found = self.flows.iter().skip(1).position(|known| *known == name);
        if found.is_none() {
            let known: Vec<_> = self.flows.iter().skip(1).map(String::as_str).collect();
            self.cx.error(node, super::names::unknown("flow", &name, &known));
        }
        found.map(|at| at + 1)
    }

    fn phase(&mut self, name: String, node: &Node) -> Option<Phase> {
        let mut map = self.cx.read(node, shape::PHASE.common)?;
        let executor = map.require(&mut self.cx, "executor").and_then(|n| {
            let text = self.cx.string(n)?;
            if NAMES.contains(&text.as_str()) {
                return Some(text);
            }
            self.cx.error(n, UnknownName::new("executor", &text, NAMES.iter().copied()));
            None
        });
        let warmup = map.get("warmup").and_then(|n| self.cx.boolean(n)).unwrap_or(false);
        let graceful_stop = map.get("graceful_stop").and_then(|n| self.duration(n)).unwrap_or(GRACEFUL_STOP);
        let flow = map.get("flow").and_then(|n| self.flow_named(n)).unwrap_or(0);
        let think = map.get("think").and_then(|n| self.share(n)).unwrap_or(1.0);
        let pacing_node = map.get("pacing");
        let pacing = pacing_node.and_then(|n| self.pause(n));
        let executor = executor?;
        map.also(CASES.iter().find(|case| case.name == executor).map_or(&[], |case| case.keys));
        let executor = Executor::read(&executor, self, &mut map);
        map.finish(&mut self.cx);
        let executor = executor?;
        if let Some(n) = pacing_node
            && executor.plan().is_open()
        {
            let message = format!(
                "{} starts iterations by a schedule, so that pacing has no effect; leave it out",
                executor.name()
            );
            self.cx.error(n, message);
        }
        Some(Phase { name, executor, warmup, graceful_stop, think, pacing, flow })
    }

    /// Iterations, one where the phase does not say.
    pub(in crate::scenario) fn iterations(&mut self, map: &mut MapReader<'_>) -> Option<u64> {
        match map.get("iterations") {
            Some(n) => {
                let iterations = self.cx.integer::<u64>(n);
                if iterations == Some(0) {
                    self.cx.error(n, "expected 1 iteration or more; a phase without any does nothing");
                }
                iterations
            }
            None => Some(1),
        }
    }

    pub(in crate::scenario) fn max_duration(&mut self, map: &mut MapReader<'_>) -> Option<Duration> {
        match map.get("max_duration") {
            Some(n) => self.duration(n),
            None => Some(MAX_DURATION),
        }
    }

    /// k6's `preAllocatedVUs` and `maxVUs`.
    pub(in crate::scenario) fn allocation(&mut self, map: &mut MapReader<'_>) -> (Option<u32>, Option<u32>) {
        let vus = self.count(map, "pre_allocated_vus", Some(10));
        let most = self.count(map, "max_vus", Some(vus.unwrap_or(10).max(1000)));
        if let (Some(first), Some(last), Some(n)) = (vus, most, map.get("max_vus"))
            && last < first
        {
            self.cx.error(n, format!("at most {last} users are fewer than the {first} that are there from the start; raise max_vus or lower pre_allocated_vus"));
        }
        (vus, most)
    }

    pub(in crate::scenario) fn time_unit_s(&mut self, map: &mut MapReader<'_>) -> f64 {
        let unit = map.get("time_unit").and_then(|n| self.duration(n)).unwrap_or(Duration::from_secs(1));
        unit.as_secs_f64().max(0.001)
    }

    pub(in crate::scenario) fn arrivals(&mut self, map: &mut MapReader<'_>) -> Arrivals {
        let Some(node) = map.get("arrivals") else { return Arrivals::Constant };
        match node.as_str() {
            Some("constant") => Arrivals::Constant,
            Some("poisson") => Arrivals::Poisson,
            Some(_) => {
                self.cx.error(node, "arrivals are constant, poisson, or {gamma: SHAPE}");
                Arrivals::Constant
            }
            None => {
                let Some(mut map) = self.cx.read(node, &shape::ARRIVALS) else { return Arrivals::Constant };
                let shape = map.require(&mut self.cx, "gamma").and_then(|n| self.positive(n));
                map.finish(&mut self.cx);
                Arrivals::Gamma { shape: shape.unwrap_or(1.0) }
            }
        }
    }

    pub(in crate::scenario) fn stages(&mut self, map: &mut MapReader<'_>) -> Option<Vec<Stage>> {
        let node = map.require(&mut self.cx, "stages")?;
        let items = self.cx.seq(node, "stages")?;
        let stages: Vec<_> = items
            .iter()
            .filter_map(|n| {
                let mut map = self.cx.read(n, &shape::STAGE)?;
                let duration = map.require(&mut self.cx, "duration").and_then(|n| self.duration(n));
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

    pub(in crate::scenario) fn count(
        &mut self,
        map: &mut MapReader<'_>,
        key: &'static str,
        default: Option<u32>,
    ) -> Option<u32> {
        let node = match default {
            Some(_) => map.get(key),
            None => map.require(&mut self.cx, key),
        };
        let Some(node) = node else { return default };
        let count = self.cx.integer::<u32>(node)?;
        let least = map.least(key);
        if count < least {
            self.cx.error(node, format!("expected {least} or more, found {count}"));
        }
        Some(count)
    }

    /// A duration above 0.
    pub(in crate::scenario) fn length(
        &mut self,
        map: &mut MapReader<'_>,
        key: &'static str,
    ) -> Option<Duration> {
        let node = map.require(&mut self.cx, key)?;
        let length = self.duration(node)?;
        if length.is_zero() {
            self.cx.error(node, "expected a duration above 0, such as 30s");
        }
        Some(length)
    }

    /// `10`, `10/s` or `600/m`: a rate above 0, as a number per second.
    pub(in crate::scenario) fn rate(&mut self, node: &Node) -> Option<f64> {
        let rate = self.rate_or_zero(node)?;
        if rate <= 0.0 {
            self.cx.error(node, "expected a rate above 0, such as 10/s");
            return None;
        }
        Some(rate)
    }

    pub(in crate::scenario) fn rate_or_zero(&mut self, node: &Node) -> Option<f64> {
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

    pub(in crate::scenario) fn share(&mut self, node: &Node) -> Option<f64> {
        let value = self.cx.number(node)?;
        if value < 0.0 {
            self.cx.error(node, "expected a number of at least 0");
            return None;
        }
        Some(value)
    }
}
