//! What a response must be and what is taken from it: checks, captures, objectives. Invariant: every check
//! has an id, under which it is counted.

use std::{ops::RangeInclusive, str::FromStr};

use assay_yaml::Node;
use http::HeaderName;
use regex::Regex;

use super::Parser;
use crate::scenario::{
    Cancel, CancelWhen, Capture, Check, CheckName, Condition, Expectation, Objectives, Source,
    check::JsonTest, shape,
};

impl<'d> Parser<'d> {
    pub(super) fn checks(&mut self, node: Option<&'d Node>, step: usize) -> (Expectation, Vec<Check>) {
        let mut expect = Expectation { statuses: vec![100..=399], check: None };
        let mut checks = Vec::new();
        let Some(mut map) = node.and_then(|n| self.cx.read(n, &shape::CHECKS)) else {
            return (expect, checks);
        };
        if let Some(n) = map.get("status") {
            let statuses = self.statuses(n);
            if let (Some(first), Some(name)) = (statuses.first(), self.steps.get_mut(step)) {
                name.status = if *first.start() % 100 == 0 && first.end() - first.start() == 99 {
                    *first.start()
                } else {
                    *first.end()
                };
            }
            let shown = shown(n);
            expect =
                Expectation { statuses, check: Some(self.check_name(step, format!("status is {shown}"))) };
        }
        if let Some(n) = map.get("body") {
            self.body_checks(n, step, &mut checks);
        }
        if let Some(n) = map.get("headers") {
            for (name, value) in self.pairs(n, "the checks of headers") {
                self.header_check(&name, value, step, &mut checks);
            }
        }
        if let Some(n) = map.get("latency")
            && let Some(most) = self.duration(n)
        {
            let id = self.check_name(step, format!("latency is at most {}", shown(n)));
            checks.push(Check { id, condition: Condition::Latency(most) });
        }
        map.finish(&mut self.cx);
        (expect, checks)
    }

    fn body_checks(&mut self, node: &'d Node, step: usize, checks: &mut Vec<Check>) {
        for (key, value) in self.pairs(node, "the checks of the body") {
            let found = match key.as_str() {
                "contains" => {
                    self.cx.string(value).map(|t| (format!("body contains {t:?}"), Condition::Contains(t)))
                }
                "matches" => self.regex(value).map(|r| (format!("body matches {r}"), Condition::Matches(r))),
                path if path.starts_with('$') => self.json_check(path, value, node),
                other => {
                    let message = format!(
                        "unknown check of the body {other:?}; use contains, matches, or a JSONPath such as $.answer"
                    );
                    self.cx.error(value, message);
                    None
                }
            };
            if let Some((name, condition)) = found {
                let id = self.check_name(step, name);
                checks.push(Check { id, condition });
            }
        }
    }

    fn json_check(&mut self, path: &str, value: &'d Node, node: &Node) -> Option<(String, Condition)> {
        let key = node.as_map()?.iter().map(|(k, _)| k).find(|k| k.as_str() == Some(path))?;
        let parsed = self.json_path(key)?;
        let (name, test) = match value.as_str() {
            Some("exists") => (format!("{path} exists"), JsonTest::Exists),
            Some("absent") => (format!("{path} is absent"), JsonTest::Absent),
            _ if value.get("matches").is_some() => {
                let mut map = self.cx.map(value, "a check of a value")?;
                let regex = map.get("matches").and_then(|n| self.regex(n));
                map.finish(&mut self.cx);
                let regex = regex?;
                (format!("{path} matches {regex}"), JsonTest::Matches(regex))
            }
            _ => {
                let want = value.to_json();
                (format!("{path} is {want}"), JsonTest::Equals(want))
            }
        };
        Some((name, Condition::Json(parsed, test)))
    }

    fn header_check(&mut self, name: &str, value: &Node, step: usize, checks: &mut Vec<Check>) {
        let Some(header) = self.header_name(value, name) else { return };
        let Some(want) = self.cx.string(value) else { return };
        let want = (want != "exists").then_some(want);
        let shown = want.as_ref().map_or("exists".to_owned(), |w| format!("is {w:?}"));
        let id = self.check_name(step, format!("header {name} {shown}"));
        checks.push(Check { id, condition: Condition::Header(header, want) });
    }

    pub(super) fn check_name(&mut self, step: usize, name: String) -> usize {
        self.checks.push(CheckName { step, name });
        self.checks.len() - 1
    }

    fn statuses(&mut self, node: &'d Node) -> Vec<RangeInclusive<u16>> {
        let single = std::slice::from_ref(node);
        let items = node.as_seq().unwrap_or(single);
        let mut ranges = Vec::new();
        for item in items {
            let text = item.as_str().unwrap_or_default();
            let class = text.strip_suffix("xx").and_then(|c| c.parse::<u16>().ok());
            match (class, text.parse::<u16>()) {
                (Some(class @ 1..=5), _) => ranges.push(class * 100..=class * 100 + 99),
                (None, Ok(code @ 100..=599)) => ranges.push(code..=code),
                _ => self
                    .cx
                    .error(item, format!("expected a status such as 200 or 2xx, found {}", item.describe())),
            }
        }
        ranges
    }

    pub(super) fn captures(&mut self, node: &'d Node) -> Vec<Capture> {
        let mut captures = Vec::new();
        for (name, value) in self.pairs(node, "the captures of a step") {
            self.define(value, &name);
            if let Some(source) = self.capture_source(value) {
                captures.push(Capture { name, source });
            }
        }
        captures
    }

    fn capture_source(&mut self, node: &'d Node) -> Option<Source> {
        if node.as_str().is_some() {
            return self.json_path(node).map(Source::Json);
        }
        let mut map = self.cx.read(node, &shape::CAPTURE)?;
        let kinds = ["header", "regex", "json", "content", "message"];
        let given: Vec<_> = kinds.into_iter().filter_map(|kind| Some((kind, map.get(kind)?))).collect();
        map.finish(&mut self.cx);
        let [(kind, n)] = given[..] else {
            self.cx.error(
                node,
                "a capture is a JSONPath such as $.token, {header: NAME}, {regex: PATTERN}, {content: all} or {message: all}",
            );
            return None;
        };
        match kind {
            "header" => {
                let name = self.cx.string(n)?;
                self.header_name(n, &name).map(Source::Header)
            }
            "regex" => self.regex(n).map(Source::Regex),
            "json" => self.json_path(n).map(Source::Json),
            whole => {
                if n.as_str() != Some("all") {
                    self.cx.error(n, "expected all, for the whole answer");
                }
                Some(if whole == "content" { Source::Content } else { Source::Message })
            }
        }
    }

    fn header_name(&mut self, node: &Node, name: &str) -> Option<HeaderName> {
        let parsed = HeaderName::from_str(name);
        parsed.map_err(|_| self.cx.error(node, format!("{name:?} cannot be the name of a header"))).ok()
    }

    fn regex(&mut self, node: &Node) -> Option<Regex> {
        let text = self.cx.string(node)?;
        Regex::new(&text).map_err(|e| self.cx.error(node, format!("not a regular expression: {e}"))).ok()
    }

    pub(super) fn objectives(&mut self, node: &'d Node) -> Objectives {
        let Some(mut map) = self.cx.read(node, &shape::OBJECTIVES) else {
            return Objectives::default();
        };
        let mut read = |p: &mut Self, key| {
            let node: Option<&Node> = map.get(key);
            node.and_then(|n| p.duration(n))
        };
        let objectives = Objectives {
            duration: read(self, "duration"),
            latency: read(self, "latency"),
            first_chunk: read(self, "first_chunk"),
            per_token: read(self, "per_token"),
            chunk_gap: read(self, "chunk_gap"),
        };
        map.finish(&mut self.cx);
        objectives
    }

    /// When a request is cancelled.
    pub(super) fn cancel(&mut self, node: &'d Node, may_stream: bool) -> Option<Cancel> {
        let mut map = self.cx.read(node, &shape::CANCEL)?;
        let (tokens, after) = (map.get("after_tokens"), map.get("after"));
        let share = self.share_of(&mut map, "share").unwrap_or(1.0);
        let when = match (tokens, after) {
            (Some(n), None) => {
                if !may_stream {
                    self.cx.error(n, "after_tokens is about streams; add stream: sse, or use after");
                }
                self.count(&mut map, "after_tokens", None).map(|tokens| CancelWhen::Tokens(u64::from(tokens)))
            }
            (None, Some(_)) => self.length(&mut map, "after").map(CancelWhen::After),
            _ => {
                self.cx.error(
                    node,
                    "a request is cancelled after a time or after tokens: {after: 2s} or {after_tokens: 20}",
                );
                None
            }
        };
        map.finish(&mut self.cx);
        Some(Cancel { when: when?, share })
    }
}

fn shown(node: &Node) -> String {
    match node.as_seq() {
        Some(items) => items.iter().filter_map(Node::as_str).collect::<Vec<_>>().join(" or "),
        None => node.as_str().unwrap_or_default().to_owned(),
    }
}
