//! The span of one attempt at a request: a child of its iteration's (OpenTelemetry's semantic conventions for
//! HTTP clients, 1.38, and for generative AI). Invariant: every request carries the id of its span, sampled or
//! not; what a span says is gathered only where it is sampled.

use std::{rc::Rc, time::Instant};

use assay_text::secret::redact_url;
use http::{HeaderMap, HeaderName, Method};

use super::{
    WorkerTracer,
    context::Context,
    span::{Span, Value},
};
use crate::client::ErrorClass;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// An attempt that is on.
pub(crate) struct RequestSpan {
    tracer: Rc<WorkerTracer>,
    context: Context,
    span_id: u64,
    begun: Instant,
    attributes: Vec<(&'static str, Value)>,
    name: String,
}

/// What is known of a request before it is sent.
pub(crate) struct Begun<'a> {
    pub(crate) step: &'a str,
    pub(crate) method: &'a Method,
    /// The step's URL, where it is the same each time.
    pub(crate) template: Option<&'a str>,
    /// How often it was sent before.
    pub(crate) resent: u32,
    pub(crate) at: Instant,
}

/// What came of a request.
pub(crate) struct Outcome {
    pub(crate) end: Instant,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorClass>,
    pub(crate) first_chunk: Option<Instant>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
}

impl RequestSpan {
    /// Begins the span of an attempt in the trace of `context`.
    pub(crate) fn begin(tracer: &Rc<WorkerTracer>, context: Context, request: &Begun<'_>) -> Self {
        let mut span = Self {
            tracer: Rc::clone(tracer),
            context,
            span_id: tracer.id(),
            begun: request.at,
            attributes: Vec::new(),
            name: String::new(),
        };
        if !context.is_sampled {
            return span;
        }
        // A template makes a name that is the same for all requests of a step; a whole URL does not.
        let template = request.template.filter(|t| t.starts_with('/'));
        let template = template.map(|t| t.split('?').next().unwrap_or(t));
        span.name = match template {
            Some(template) => format!("{} {template}", request.method),
            None => request.method.to_string(),
        };
        span.put("load.scenario", &*tracer.scenario);
        span.put("load.phase", &**tracer.phase.borrow());
        span.put("load.step", request.step);
        span.put("http.request.method", request.method.as_str());
        if let Some(template) = template {
            span.put("url.template", template);
        }
        if request.resent > 0 {
            span.put("http.request.resend_count", i64::from(request.resent));
        }
        span
    }

    /// Whether what the span says is of use to anyone.
    pub(crate) fn is_sampled(&self) -> bool {
        self.context.is_sampled
    }

    /// Adds an attribute.
    pub(crate) fn put(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push((key, value.into()));
    }

    /// Says where the request goes.
    pub(crate) fn goes_to(&mut self, origin: &str, path: &str, host: &str, port: u16) {
        // The mark is that of the semantic conventions.
        self.put("url.full", redact_url(&format!("{origin}{path}"), "REDACTED").into_owned());
        self.put("server.address", host);
        self.put("server.port", i64::from(port));
    }

    /// Names the span to the service, unless the step has a header of its own for that.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if let (false, Some(value)) = (headers.contains_key(TRACEPARENT), self.context.header(self.span_id)) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// Ends the span.
    pub(crate) fn end(mut self, outcome: &Outcome) {
        if !self.context.is_sampled {
            return;
        }
        if let Some(status) = outcome.status {
            self.put("http.response.status_code", i64::from(status));
        }
        if let Some(error) = outcome.error {
            self.put("error.type", error.to_string());
        }
        let tokens = [
            ("gen_ai.usage.input_tokens", outcome.input_tokens),
            ("gen_ai.usage.output_tokens", outcome.output_tokens),
        ];
        for (key, tokens) in tokens {
            if let Some(tokens) = tokens.and_then(|n| i64::try_from(n).ok()) {
                self.put(key, tokens);
            }
        }
        let tracer = Rc::clone(&self.tracer);
        tracer.push(Span {
            trace_id: self.context.trace_id,
            span_id: self.span_id,
            parent: Some(self.context.span_id),
            name: self.name,
            is_client: true,
            start_ns: tracer.nanos(self.begun),
            end_ns: tracer.nanos(outcome.end),
            attributes: self.attributes,
            events: outcome.first_chunk.map(|at| ("first_chunk", tracer.nanos(at))).into_iter().collect(),
            is_error: outcome.error.is_some(),
        });
    }
}
