//! Requests. Invariant: a step's name is unique in its scenario, for its series are distinguished by it.

use std::str::FromStr;

use assay_text::secret::{REDACTED, redact_url};
use assay_yaml::{MapReader, Node};
use http::{HeaderName, HeaderValue, Method};

use super::Parser;
use super::flow::ITEMS;
use crate::scenario::{
    Body, Capture, Objectives, OnFailure, Resend, Source, Step, StepName, StreamSpec, Text, api,
    jsonpath::JsonPath, shape,
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

impl<'d> Parser<'d> {
    pub(super) fn request(&mut self, node: &'d Node, mut map: MapReader<'d>) -> Option<Step> {
        let name = map.get("name").and_then(|n| self.cx.string(n));
        let methods: Vec<_> =
            METHODS.iter().filter_map(|(key, method)| map.get(key).map(|n| (method.clone(), n))).collect();
        let apis: Vec<_> = api::KEYS.iter().filter_map(|key| map.get(key).map(|n| (*key, n))).collect();
        let (method, url, api) = match (methods.as_slice(), apis.as_slice()) {
            ([(method, url_node)], []) => (method.clone(), self.url(url_node), None),
            ([], [(key, n)]) => {
                let api = self.api(key, n)?;
                (Method::POST, Text::parse(api.path).ok(), Some(api))
            }
            _ => {
                let known = shape::REQUEST.one_of.join(", ");
                self.cx.error(node, format!("a step has one of {known}, {}", ITEMS.join(", ")));
                map.could_be(ITEMS);
                map.finish(&mut self.cx);
                return None;
            }
        };
        let operation = api.map(|api| api.metric);
        let shown = url.as_ref().map(|u| format!("{u:?}").trim_matches('"').to_owned()).unwrap_or_default();
        // The name is in every series of the step.
        let name = name.unwrap_or_else(|| format!("{method} {}", redact_url(&shown, REDACTED)));
        let id = self.steps.len();
        if self.steps.iter().any(|s| s.name == name) {
            self.cx
                .error(node, format!("a step is already called {name:?}; give this one a name of its own"));
        }
        let mut stream = map.get("stream").and_then(|n| self.stream(n));
        if stream.is_none() && api.is_some_and(|api| api.streams(asks_for_stream(node))) {
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
        for (name, value) in api.map_or(&[][..], |api| api.headers) {
            add_default(&mut headers, name, Some(value));
        }
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
        let may_stream = stream.is_some() || api.is_some();
        let cancel = map.get("cancel").and_then(|n| self.cancel(n, may_stream));
        self.check_combination(map.node(), may_stream, &method, (&objectives, &captures));
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
            cancel,
            timeout,
            resend,
            on_failure,
            retries,
            redirects,
        })
    }

    /// Reports keys that cannot have an effect together.
    fn check_combination(
        &mut self,
        node: &'d Node,
        may_stream: bool,
        method: &Method,
        (objectives, captures): (&Objectives, &[Capture]),
    ) {
        let streams_only = [
            ("first_chunk", objectives.first_chunk.is_some()),
            ("per_token", objectives.per_token.is_some()),
            ("chunk_gap", objectives.chunk_gap.is_some()),
        ];
        for (key, _) in streams_only.iter().filter(|(_, is_there)| *is_there && !may_stream) {
            let at = node.get("objectives").and_then(|n| n.get(key)).unwrap_or(node);
            self.cx.error(at, format!("the objective {key} is about streams, so that no request could be good; add stream: sse, or leave it out"));
        }
        if !may_stream && captures.iter().any(|c| matches!(c.source, Source::Content)) {
            let at = node.get("capture").unwrap_or(node);
            self.cx
                .error(at, "content: all is the answer of a stream; add stream: sse, or capture a JSONPath");
        }
        if *method == Method::HEAD
            && let Some(n) = node.get("stream").or_else(|| node.get("check").and_then(|c| c.get("body")))
        {
            self.cx.error(n, "the response to HEAD has no body; use get");
        }
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

    fn api(&mut self, key: &str, node: &Node) -> Option<&'static api::Api> {
        let text = self.cx.string(node)?;
        let found = api::find(key, &text);
        if found.is_none() {
            let known: Vec<&str> = api::operations(key).collect();
            self.cx.error(node, super::names::unknown("operation", &text, &known));
        }
        found
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
        let Some(mut outer) = node.as_map().and_then(|_| self.cx.read(node, &shape::STREAM)) else {
            self.cx.error(node, "the known kinds of streams are sse and ndjson: write stream: sse");
            return None;
        };
        let (sse, ndjson) = (outer.get("sse"), outer.get("ndjson"));
        outer.finish(&mut self.cx);
        let Some(inner) = sse.or(ndjson) else {
            self.cx.error(node, "a stream is sse or ndjson: write stream: {sse: {content: $.text}}");
            return None;
        };
        let mut map = self.cx.read(inner, &shape::EVENTS)?;
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

/// What the body says about streaming, if it does.
fn asks_for_stream(node: &Node) -> Option<bool> {
    node.get("json").and_then(|j| j.get("stream")).and_then(Node::as_bool)
}

fn add_default(headers: &mut Vec<(HeaderName, Text)>, name: &'static str, value: Option<&str>) {
    let name = HeaderName::from_static(name);
    if let Some(text) = value.and_then(|v| Text::parse(v).ok())
        && !headers.iter().any(|(n, _)| *n == name)
    {
        headers.push((name, text));
    }
}
