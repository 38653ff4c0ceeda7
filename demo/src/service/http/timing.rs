//! `http_server_request_duration_seconds`: from a request's head to the end of its response.
//!
//! Invariant: a stream is timed until its last byte is handed over or its client leaves, not until it begins.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt as _;

use super::Shared;
use crate::service::metrics::route;

/// Records a request when it is dropped.
struct Timer {
    shared: Arc<Shared>,
    method: String,
    route: Option<&'static str>,
    status: u16,
    start: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.shared.metrics.request(&self.method, self.route, self.status, self.start.elapsed());
    }
}

/// The status of a request whose client left before the response began, as nginx has it.
const CLIENT_LEFT: u16 = 499;

pub(super) async fn time(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut timer = Timer {
        shared,
        method: request.method().as_str().to_owned(),
        route: route(request.uri().path()),
        status: CLIENT_LEFT,
        start: Instant::now(),
    };
    let response = next.run(request).await;
    timer.status = response.status().as_u16();
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return response;
    }
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |frame| {
            // The timer lives as long as the stream that owns it.
            let _ = &timer;
            frame
        }))
    })
}
