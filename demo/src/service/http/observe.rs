//! What every request leaves behind: a server span joined to the caller's trace, and its time in
//! `http_server_request_duration_seconds`.
//!
//! Invariant: a stream is timed until its last byte is handed over or its client leaves, not until it begins; neither a
//! span nor a label holds more of a request than its method, its route and its status.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt as _;
use opentelemetry::{Context, propagation::TextMapPropagator as _, trace::TraceContextExt as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Shared;
use crate::service::metrics::{Trace, route};

/// Records a request when it is dropped.
struct Observation {
    shared: Arc<Shared>,
    method: String,
    route: Option<&'static str>,
    status: u16,
    start: Instant,
    trace: Trace,
    span: Span,
}

impl Drop for Observation {
    fn drop(&mut self) {
        let metrics = &self.shared.pipeline.metrics;
        metrics.request(&self.method, self.route, self.status, self.start.elapsed(), &self.trace);
        // OpenTelemetry knows no unsigned numbers; those become text.
        self.span.record("http.response.status_code", i64::from(self.status));
        if self.status >= 500 {
            self.span.record("otel.status_code", "ERROR");
        }
        // A span ends, for OpenTelemetry, where it was last left.
        self.span.in_scope(|| ());
    }
}

/// The status of a request whose client left before the response began, as nginx has it.
const CLIENT_LEFT: u16 = 499;

pub(super) async fn observe(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    let method = request.method().as_str().to_owned();
    let route = route(request.uri().path());
    let shown = route.unwrap_or("unknown");
    let span = info_span!(
        "request",
        otel.name = format!("{method} {shown}"),
        otel.kind = "server",
        otel.status_code = Empty,
        "http.request.method" = method,
        "http.route" = shown,
        "url.path" = shown,
        "url.scheme" = "http",
        "http.response.status_code" = Empty,
    );
    let from_caller = sampled(&parent);
    // Without a layer that exports spans, there is nothing to join.
    let _ = span.set_parent(parent);
    let trace = from_caller.or_else(|| sampled(&span.context()));
    request.extensions_mut().insert(trace.clone());
    let mut observation = Observation {
        shared,
        method,
        route,
        status: CLIENT_LEFT,
        start: Instant::now(),
        trace,
        span: span.clone(),
    };
    let response = next.run(request).instrument(span).await;
    observation.status = response.status().as_u16();
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return response;
    }
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |frame| {
            // The observation lives as long as the stream that owns it.
            let _ = &observation;
            frame
        }))
    })
}

/// The trace of a context, if it is sampled.
fn sampled(context: &Context) -> Trace {
    let span = context.span();
    let span = span.span_context();
    (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string().into())
}
