//! Flows and their items. Invariant: a repeat ends: by its times, or by its timeout.

use std::time::Duration;

use assay_yaml::{MapReader, Node};

use super::Parser;
use crate::scenario::{
    Alternative, Item, Repeat, Text, Think,
    flow::{RepeatCondition, Times},
    shape,
};

/// The keys that make an item something else than a request.
pub(super) const ITEMS: [&str; 5] = ["think", "set", "if", "repeat", "one_of"];
/// How long a repeat with a condition may take where it does not say.
const REPEAT_TIMEOUT: Duration = Duration::from_secs(60);

impl<'d> Parser<'d> {
    pub(super) fn items(&mut self, node: &'d Node, what: &str) -> Vec<Item> {
        let Some(items) = self.cx.seq(node, &format!("steps of {what}")) else { return Vec::new() };
        items.iter().filter_map(|n| self.item(n)).collect()
    }

    fn item(&mut self, node: &'d Node) -> Option<Item> {
        let kind = ITEMS.iter().find(|key| node.get(key).is_some());
        match kind.copied() {
            Some("think") => {
                let mut map = self.cx.read(node, &shape::THINK)?;
                let think = map.get("think").and_then(|n| self.pause(n));
                map.finish(&mut self.cx);
                think.map(Item::Think)
            }
            Some("set") => self.set(node),
            Some("if") => self.condition(node),
            Some("repeat") => self.repeat(node),
            Some("one_of") => {
                let mut map = self.cx.read(node, &shape::ONE_OF)?;
                let alternatives = map.get("one_of").map(|n| self.alternatives(n));
                map.finish(&mut self.cx);
                alternatives.map(Item::OneOf)
            }
            _ => {
                let map = self.cx.read(node, &shape::REQUEST)?;
                self.request(node, map).map(|s| Item::Request(Box::new(s)))
            }
        }
    }

    fn set(&mut self, node: &'d Node) -> Option<Item> {
        let mut map = self.cx.read(node, &shape::SET)?;
        let pairs_node = map.get("set");
        let pairs = pairs_node.map(|n| self.texts(n, "the names to set")).unwrap_or_default();
        map.finish(&mut self.cx);
        if pairs.len() != 1 {
            self.cx.error(node, "set takes one name; use one step for each");
        }
        let (name, value) = pairs.into_iter().next()?;
        self.define(pairs_node?, &name);
        Some(Item::Set { name, value })
    }

    fn condition(&mut self, node: &'d Node) -> Option<Item> {
        let mut map = self.cx.read(node, &shape::IF)?;
        let condition = map.get("if").and_then(|n| self.expression(n));
        let then = map.require(&mut self.cx, "then").map(|n| self.items(n, "an if"));
        let otherwise = map.get("else").map(|n| self.items(n, "an if")).unwrap_or_default();
        map.finish(&mut self.cx);
        Some(Item::If { condition: condition?, then: then?, otherwise })
    }

    fn repeat(&mut self, node: &'d Node) -> Option<Item> {
        let mut map = self.cx.read(node, &shape::REPEAT)?;
        // The rounds' own name is known to the steps.
        let counter_node = map.get("as");
        let counter = counter_node.and_then(|n| self.cx.string(n));
        if let (Some(n), Some(name)) = (counter_node, &counter) {
            self.define(n, name);
        }
        let first_step = self.steps.len();
        let items = map.get("repeat").map(|n| self.items(n, "a repeat")).unwrap_or_default();
        let times = map.get("times").and_then(|n| self.times(n));
        let condition = self.repeat_condition(node, &mut map, first_step);
        let timeout = map.get("timeout");
        let every = map.get("every").and_then(|n| self.pause(n));
        map.finish(&mut self.cx);
        if let (Some(n), None) = (timeout, &condition) {
            self.cx.error(n, "a timeout is for a repeat with while or until; leave it out");
        }
        if times.is_none() && condition.is_none() && node.get("times").is_none() {
            self.cx.error(node, "a repeat says how often: times: 3, or while or until with an expression");
        }
        let timeout = timeout.and_then(|n| self.duration(n)).unwrap_or(REPEAT_TIMEOUT);
        let on_failure = self.on_failure;
        Some(Item::Repeat(Box::new(Repeat { items, times, condition, timeout, every, counter, on_failure })))
    }

    /// How often, as a number or as a template.
    fn times(&mut self, node: &'d Node) -> Option<Times> {
        if node.as_str().is_some_and(|t| t.contains("{{")) {
            return self.text(node).map(Times::Computed);
        }
        let times = self.cx.integer::<u32>(node)?;
        if times == 0 {
            self.cx.error(node, "expected 1 or more; leave the steps out that nobody does");
        }
        Some(Times::Fixed(times))
    }

    fn repeat_condition(
        &mut self,
        node: &'d Node,
        map: &mut MapReader<'d>,
        first_step: usize,
    ) -> Option<RepeatCondition> {
        let (is_until, n) = match (map.get("while"), map.get("until")) {
            (Some(n), None) => (false, n),
            (None, Some(n)) => (true, n),
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.cx.error(node, "a repeat has one condition: while or until; join them with and");
                return None;
            }
        };
        let holds = self.expression(n)?;
        if self.steps.len() == first_step {
            self.cx.error(node, "the repeat has no request, so that its condition could not change; add one");
            return None;
        }
        let word = if is_until { "until" } else { "while" };
        let name = format!("{word} {}", n.as_str().unwrap_or_default().trim());
        let check = self.check_name(first_step, name);
        if let Some(step) = self.steps.get_mut(first_step) {
            step.has_checks = true;
        }
        Some(RepeatCondition { is_until, holds, check })
    }

    fn alternatives(&mut self, node: &'d Node) -> Vec<Alternative> {
        let Some(items) = self.cx.seq(node, "alternatives") else { return Vec::new() };
        let found: Vec<_> = items
            .iter()
            .filter_map(|n| {
                let mut map = self.cx.read(n, &shape::ALTERNATIVE)?;
                let weight = map.get("weight").and_then(|w| self.positive(w)).unwrap_or(1.0);
                let flow = map.require(&mut self.cx, "flow").map(|f| self.items(f, "an alternative"));
                map.finish(&mut self.cx);
                Some(Alternative { weight, items: flow? })
            })
            .collect();
        if found.is_empty() {
            self.cx.error(node, "one_of needs at least one alternative");
        }
        found
    }

    pub(in crate::scenario) fn positive(&mut self, node: &Node) -> Option<f64> {
        let value = self.cx.number(node)?;
        if value <= 0.0 {
            self.cx.error(node, "expected a number above 0");
            return None;
        }
        Some(value)
    }

    /// A length of a pause, fixed or drawn.
    pub(super) fn pause(&mut self, node: &Node) -> Option<Think> {
        if node.as_map().is_none() {
            return self.duration(node).map(Think::Fixed);
        }
        let mut map = self.cx.read(node, &shape::THINK_TIME)?;
        let (uniform, normal, exponential) = (map.get("uniform"), map.get("normal"), map.get("exponential"));
        map.finish(&mut self.cx);
        match (uniform, normal, exponential) {
            (Some(n), None, None) => {
                let (low, high) = self.two_durations(n, "the shortest and the longest think time")?;
                if high < low {
                    self.cx.error(n, "the longest think time is below the shortest");
                }
                Some(Think::Uniform(low, high))
            }
            (None, Some(n), None) => {
                let (mean, deviation) = self.two_durations(n, "the mean and the standard deviation")?;
                Some(Think::Normal { mean, deviation })
            }
            (None, None, Some(n)) => self.duration(n).map(Think::Exponential),
            _ => {
                self.cx.error(
                    node,
                    "a think time is a duration, {uniform: [1s, 5s]}, {normal: [3s, 1s]} or {exponential: 2s}",
                );
                None
            }
        }
    }

    fn two_durations(&mut self, node: &Node, what: &str) -> Option<(Duration, Duration)> {
        match node.as_seq() {
            Some([a, b]) => Some((self.duration(a)?, self.duration(b)?)),
            _ => {
                self.cx.error(node, format!("expected [a, b]: {what}"));
                None
            }
        }
    }

    /// An expression as a condition: without braces, or alone in them.
    fn expression(&mut self, node: &'d Node) -> Option<Text> {
        let source = self.cx.string(node)?;
        let parsed = if source.contains("{{") { Text::parse(&source) } else { Text::expression(&source) };
        match parsed {
            Ok(text) if text.is_expression() => {
                self.names.used_in(&mut self.cx, node, &text);
                Some(text)
            }
            Ok(_) => {
                self.cx.error(node, "expected one expression, such as status == 'done'");
                None
            }
            Err((at, message)) => {
                self.cx.error_in(node, at, message);
                None
            }
        }
    }
}
