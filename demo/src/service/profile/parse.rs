//! A profile's file. Invariant: all problems of a file are reported at once, each with its position.

use std::time::Duration;

use assay_yaml::{Cx, Diagnostics, Document, MapReader, Node};

use super::{Delay, Profile, StageSlots};
use crate::service::options::LlmOptions;

pub(super) fn profile(document: &Document) -> Result<Profile, Diagnostics> {
    let mut parser = Parser { cx: Cx::new(document) };
    let profile = parser.profile(document.root());
    parser.cx.finish()?;
    // Without a problem there is a profile.
    profile.ok_or_else(|| Diagnostics::file(document.file(), "the profile is empty"))
}

struct Parser<'d> {
    cx: Cx<'d>,
}

impl Parser<'_> {
    fn profile(&mut self, root: &Node) -> Option<Profile> {
        let mut map = self.cx.map(root, "a profile")?;
        let name = map.require(&mut self.cx, "profile").and_then(|n| self.cx.string(n));
        let defaults = Profile::undelayed();
        let mut slots = defaults.slots;
        let mut delays = [const { None }; 5];
        if let Some(node) = map.get("stages")
            && let Some(mut stages) = self.cx.map(node, "the stages")
        {
            for (delay, key) in delays.iter_mut().zip(["api", "embed", "search", "generate", "total"]) {
                *delay = stages.get(key).and_then(|n| self.delay(n));
            }
            stages.finish(&mut self.cx);
        }
        if let Some(node) = map.get("slots")
            && let Some(mut map) = self.cx.map(node, "the slots of stages")
        {
            slots = StageSlots {
                embed: self.count(&mut map, "embed", slots.embed),
                search: self.count(&mut map, "search", slots.search),
            };
            map.finish(&mut self.cx);
        }
        let llm = match map.get("llm") {
            Some(node) => self.llm(node),
            None => defaults.llm,
        };
        map.finish(&mut self.cx);
        let [api, embed, search, generate, total] = delays;
        Some(Profile { name: name?, api, embed, search, generate, total, slots, llm })
    }

    fn llm(&mut self, node: &Node) -> LlmOptions {
        let mut llm = LlmOptions::default();
        let Some(mut map) = self.cx.map(node, "the model") else { return llm };
        llm.slots = self.count(&mut map, "slots", llm.slots);
        llm.max_queue = self.count(&mut map, "queue", llm.max_queue);
        llm.knee = self.count(&mut map, "knee", llm.knee);
        if let Some(n) = map.get("slowdown") {
            llm.slowdown = self.at_least_zero(n).unwrap_or(llm.slowdown);
        }
        if let Some(n) = map.get("jitter") {
            llm.jitter = self.at_least_zero(n).unwrap_or(llm.jitter).min(1.0);
        }
        if let Some(n) = map.get("per_token") {
            llm.per_token = self.time(n).unwrap_or(llm.per_token);
        }
        if let Some(n) = map.get("prefill_per_token") {
            llm.prefill_per_token = self.time(n).unwrap_or(llm.prefill_per_token);
        }
        map.finish(&mut self.cx);
        llm
    }

    /// A time, or `{min, p50, p95, p99, max}`.
    fn delay(&mut self, node: &Node) -> Option<Delay> {
        if node.as_str().is_some() {
            return self.time(node).map(Delay::fixed);
        }
        let mut map = self.cx.map(node, "a time such as 50ms, or {min, p50, p95, p99, max}")?;
        let mut points: Vec<(f64, Duration)> = Vec::new();
        for (key, share) in [("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
            let time = map.require(&mut self.cx, key).and_then(|n| {
                let time = self.time(n)?;
                if points.last().is_some_and(|(_, before)| *before > time) {
                    self.cx.error(n, format!("{key} is less than the time before it; order them ascending"));
                }
                Some(time)
            });
            points.extend(time.map(|time| (share, time)));
        }
        map.finish(&mut self.cx);
        (points.len() == 5).then(|| Delay::from_quantiles(points))
    }

    /// `1.5s`, `250ms` or `300us`: unlike elsewhere, fractions and microseconds, as tokens take them.
    fn time(&mut self, node: &Node) -> Option<Duration> {
        let text = node.as_str().unwrap_or_default();
        let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
        let found = units.iter().find_map(|(unit, scale)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            Duration::try_from_secs_f64(number * scale).ok()
        });
        if found.is_none() {
            self.cx.error(
                node,
                format!("expected a time such as 250ms, 1.5s or 300us, found {}", node.describe()),
            );
        }
        found
    }

    fn at_least_zero(&mut self, node: &Node) -> Option<f64> {
        let value = self.cx.number(node)?;
        if value < 0.0 {
            self.cx.error(node, "expected a number of at least 0");
        }
        Some(value)
    }

    fn count(&mut self, map: &mut MapReader<'_>, key: &'static str, default: usize) -> usize {
        let Some(node) = map.get(key) else { return default };
        match self.cx.integer::<usize>(node) {
            Some(0) => {
                self.cx.error(node, "expected at least 1");
                default
            }
            found => found.unwrap_or(default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_come_at_once_with_their_positions() {
        let text = "profile: x\nstages:\n  embed: fast\n  search: {min: 1ms, p50: 3ms, p95: 2ms, p99: 4ms, max: 5ms}\n\
                    llm: {slots: 0, slowdwn: 1}\n";
        let problems = profile(&Document::parse("p.yml", text).unwrap()).unwrap_err().to_string();
        for expected in ["p.yml:3:10: expected a time", "p.yml:4:", "p.yml:5:", "slowdown"] {
            assert!(problems.contains(expected), "{expected} is not in:\n{problems}");
        }
        assert!(problems.lines().count() >= 4, "{problems}");
    }
}
