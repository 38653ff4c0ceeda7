//! Flows and their items. Invariant: a step's name is unique in its scenario, for its series are distinguished
//! by it.

use std::str::FromStr;

use assay_text::secret::{REDACTED, redact_url};
use assay_yaml::{MapReader, Node};
use http::{HeaderName, HeaderValue, Method};

use super::Parser;
use crate::scenario::{
    Alternative, Body, Item, OnFailure, Resend, Step, StepName, StreamSpec, Text, Think, jsonpath::JsonPath,
};

/// The keys that make an item a request, and their methods.
const METHODS: [(&str, Method); 7] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("head", Method::HEAD),
    ("options", Method::OPTIONS),
];

/// The steps that speak OpenAI's protocol: the operation, its path, its name in `gen_ai` metrics.
const OPENAI: [(&str, &str, &str); 3] = [
    ("chat", "/v1/chat/completions", "chat"),
    ("completions", "/v1/completions", "text_completion"),
    ("embeddings", "/v1/embeddings", "embeddings"),
];

impl<'d> Parser<'d> {
    pub(super) fn items(&mut self, node: &'d Node, what: &str) -> Vec<Item> {
        let Some(items) = self.cx.seq(node, &format!("steps of {what}")) else { return Vec::new() };
        items.iter().filter_map(|n| self.item(n)).collect()
    }

    fn item(&mut self, node: &'d Node) -> Option<Item> {
        let mut map = self.cx.map(node, "a step")?;
        if node.get("think").is_some() {
            let think = map.get("think").and_then(|n| self.think(n));
            map.finish(&mut self.cx);
            return think.map(Item::Think);
        }
        if node.get("one_of").is_some() {
            let alternatives = map.get("one_of").map(|n| self.alternatives(n));
            map.finish(&mut self.cx);
            return alternatives.map(Item::OneOf);
        }
        if node.get("set").is_some() {
            let pairs = map.get("set").map(|n| self.texts(n, "the names to set")).unwrap_or_default();
            map.finish(&mut self.cx);
            if pairs.len() != 1 {
                self.cx.error(node, "set takes one name; use one step for each");
            }
            let (name, value) = pairs.into_iter().next()?;
            self.names.define(&name);
            return Some(Item::Set { name, value });
        }
        self.request(node, map).map(|s| Item::Request(Box::new(s)))
    }

    fn alternatives(&mut self, node: &'d Node) -> Vec<Alternative> {
        let Some(items) = self.cx.seq(node, "alternatives") else { return Vec::new() };
        let found: Vec<_> = items
            .iter()
            .filter_map(|n| {
                let mut map = self.cx.map(n, "an alternative")?;
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

    pub(super) fn positive(&mut self, node: &Node) -> Option<f64> {
        let value = self.cx.number(node)?;
        if value <= 0.0 {
            self.cx.error(node, "expected a number above 0");
            return None;
        }
        Some(value)
    }

    fn think(&mut self, node: &'d Node) -> Option<Think> {
        if node.as_map().is_none() {
            return self.duration(node).map(Think::Fixed);
        }
        let mut map = self.cx.map(node, "a think time")?;
        let uniform = map.get("uniform");
        let normal = map.get("normal");
        let exponential = map.get("exponential");
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

    fn two_durations(
        &mut self,
        node: &'d Node,
        what: &str,
    ) -> Option<(std::time::Duration, std::time::Duration)> {
        match node.as_seq() {
            Some([a, b]) => Some((self.duration(a)?, self.duration(b)?)),
            _ => {
                self.cx.error(node, format!("expected [a, b]: {what}"));
                None
            }
        }
    }

    fn request(&mut self, node: &'d Node, mut map: MapReader<'d>) -> Option<Step> {
        let name = map.get("name").and_then(|n| self.cx.string(n));
        let methods: Vec<_> =
            METHODS.iter().filter_map(|(key, method)| map.get(key).map(|n| (method.clone(), n))).collect();
        let openai = map.get("openai");
        let (method, url, operation) = match (methods.as_slice(), openai) {
            ([(method, url_node)], None) => (method.clone(), self.url(url_node), None),
            ([], Some(n)) => {
                let (path, operation) = self.openai(n)?;
                (Method::POST, Text::parse(path).ok(), Some(operation))
            }
            _ => {
                self.cx.error(node, "a step has one of get, post, put, patch, delete, head, options, openai, think, set, one_of");
                map.known_request_keys();
                map.finish(&mut self.cx);
                return None;
            }
        };
        let shown = url.as_ref().map(|u| format!("{u:?}").trim_matches('"').to_owned()).unwrap_or_default();
        // The name is in every series of the step.
        let name = name.unwrap_or_else(|| format!("{method} {}", redact_url(&shown, REDACTED)));
        let id = self.steps.len();
        if self.steps.iter().any(|s| s.name == name) {
            self.cx
                .error(node, format!("a step is already called {name:?}; give this one a name of its own"));
        }
        let mut stream = map.get("stream").and_then(|n| self.stream(n));
        if stream.is_none() && operation.is_some_and(|o| o != "embeddings") && asks_for_stream(node) {
            stream = Some(StreamSpec::default());
        }
        self.steps.push(StepName {
            name,
            method: method.to_string(),
            status: 200,
            is_stream: stream.is_some() || operation.is_some(),
            has_checks: false,
            operation: operation.unwrap_or("chat"),
        });
        let mut headers = self.headers(map.get("headers"));
        let query = map.get("query").map(|n| self.texts(n, "the query parameters")).unwrap_or_default();
        let (body, content_type) = self.body(node, &mut map);
        add_default(&mut headers, "content-type", content_type);
        add_default(&mut headers, "accept", stream.as_ref().map(|_| "text/event-stream"));
        let timeout = map.get("timeout").and_then(|n| self.duration(n)).unwrap_or(self.timeout);
        let resend = match map.get("retry").and_then(|n| self.cx.boolean(n)) {
            None => Resend::IfIdempotent,
            Some(true) => Resend::Always,
            Some(false) => Resend::Never,
        };
        let on_failure = map.get("on_failure").and_then(|n| self.on_failure(n)).unwrap_or(self.on_failure);
        let retries = map.get("retries").and_then(|n| self.cx.integer(n)).unwrap_or(0);
        let redirects = map.get("redirects").and_then(|n| self.cx.integer(n)).unwrap_or(10);
        let captures = map.get("capture").map(|n| self.captures(n)).unwrap_or_default();
        let (expect, checks) = self.checks(map.get("check"), id);
        if let Some(name) = self.steps.get_mut(id) {
            name.has_checks = !checks.is_empty() || !captures.is_empty();
        }
        let objectives = map.get("objectives").map(|n| self.objectives(n)).unwrap_or_default();
        map.finish(&mut self.cx);
        Some(Step {
            id,
            method,
            url: url?,
            query,
            headers,
            body: body.unwrap_or(Body::Fixed(bytes::Bytes::new())),
            stream,
            is_generation: operation.is_some(),
            expect,
            checks,
            captures,
            objectives,
            timeout,
            resend,
            on_failure,
            retries,
            redirects,
        })
    }

    pub(super) fn on_failure(&mut self, node: &Node) -> Option<OnFailure> {
        match node.as_str() {
            Some("end_iteration") => Some(OnFailure::EndIteration),
            Some("continue") => Some(OnFailure::Continue),
            _ => {
                self.cx.error(node, "after a failed step, end_iteration or continue");
                None
            }
        }
    }

    fn url(&mut self, node: &Node) -> Option<Text> {
        let text = self.text(node)?;
        if let Some(url) = text.literal()
            && !url.starts_with('/')
            && let Err(e) = super::check_url(url)
        {
            self.cx.error(node, format!("expected a path such as /query, or a URL; {url:?} is not one: {e}"));
        }
        Some(text)
    }

    fn openai(&mut self, node: &Node) -> Option<(&'static str, &'static str)> {
        let text = self.cx.string(node)?;
        let found = OPENAI.iter().find(|(name, _, _)| *name == text);
        if found.is_none() {
            self.cx.error(node, format!("unknown operation {text:?}; known: chat, completions, embeddings"));
        }
        found.map(|(_, path, operation)| (*path, *operation))
    }

    fn headers(&mut self, node: Option<&'d Node>) -> Vec<(HeaderName, Text)> {
        let own = node.map(|n| self.pairs(n, "the headers")).unwrap_or_default();
        let mut headers: Vec<(HeaderName, Text)> = Vec::new();
        for (name, value) in self.headers.clone().into_iter().chain(own) {
            let Ok(parsed) = HeaderName::from_str(&name) else {
                self.cx.error(value, format!("{name:?} cannot be the name of a header"));
                continue;
            };
            let Some(text) = self.text(value) else { continue };
            if text.literal().is_some_and(|t| HeaderValue::from_str(t).is_err()) {
                self.cx.error(value, format!("this cannot be the value of the header {name}"));
            }
            headers.retain(|(known, _)| *known != parsed);
            headers.push((parsed, text));
        }
        headers
    }

    fn stream(&mut self, node: &'d Node) -> Option<StreamSpec> {
        if matches!(node.as_str(), Some("sse" | "ndjson")) {
            return Some(StreamSpec::default());
        }
        let Some(mut outer) = node.as_map().and_then(|_| self.cx.map(node, "a stream")) else {
            self.cx.error(node, "the known kinds of streams are sse and ndjson: write stream: sse");
            return None;
        };
        let (sse, ndjson) = (outer.get("sse"), outer.get("ndjson"));
        outer.finish(&mut self.cx);
        let Some(inner) = sse.or(ndjson) else {
            self.cx.error(node, "a stream is sse or ndjson: write stream: {sse: {content: $.text}}");
            return None;
        };
        let mut map = self.cx.map(inner, "how to read the events")?;
        let mut spec = StreamSpec {
            content: map.get("content").map(|n| self.one_or_more(n, Self::json_path)).unwrap_or_default(),
            output_tokens: map.get("output_tokens").and_then(|n| self.json_path(n)),
            input_tokens: map.get("input_tokens").and_then(|n| self.json_path(n)),
            events: map.get("events").map(|n| self.one_or_more(n, |p, n| p.cx.string(n))).unwrap_or_default(),
            require_done: map.get("require_done").and_then(|n| self.cx.boolean(n)).unwrap_or(false),
            ..StreamSpec::default()
        };
        if let Some(done) = map.get("done").and_then(|n| self.cx.string(n)) {
            spec.done = done;
        }
        map.finish(&mut self.cx);
        Some(spec)
    }

    /// A value, or a list of them.
    fn one_or_more<T>(&mut self, node: &Node, read: impl Fn(&mut Self, &Node) -> Option<T>) -> Vec<T> {
        let single = std::slice::from_ref(node);
        node.as_seq().unwrap_or(single).iter().filter_map(|n| read(self, n)).collect()
    }

    pub(super) fn json_path(&mut self, node: &Node) -> Option<JsonPath> {
        let text = self.cx.string(node)?;
        JsonPath::parse(&text).map_err(|(at, message)| self.cx.error_in(node, at, message)).ok()
    }
}

/// Makes the keys of a request known to a reader that will not come to read them.
trait KnownKeys {
    fn known_request_keys(&mut self);
}

impl KnownKeys for MapReader<'_> {
    fn known_request_keys(&mut self) {
        for key in [
            "headers",
            "query",
            "json",
            "form",
            "multipart",
            "body",
            "stream",
            "check",
            "capture",
            "timeout",
            "retry",
            "retries",
            "on_failure",
            "redirects",
            "objectives",
            "think",
            "set",
            "one_of",
        ] {
            let _ = self.get(key);
        }
    }
}

fn asks_for_stream(node: &Node) -> bool {
    node.get("json").and_then(|j| j.get("stream")).and_then(Node::as_bool) == Some(true)
}

fn add_default(headers: &mut Vec<(HeaderName, Text)>, name: &'static str, value: Option<&str>) {
    let name = HeaderName::from_static(name);
    if let Some(text) = value.and_then(|v| Text::parse(v).ok())
        && !headers.iter().any(|(n, _)| *n == name)
    {
        headers.push((name, text));
    }
}
