//! `GET /health`, `/ready` and `/metrics`, which need no token. Invariant: none of them waits for a part.

use std::sync::Arc;

use assay_model::expo::negotiate;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{Shared, error::text};

pub(super) async fn health() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let parts = shared.pipeline.parts.status();
    let is_ready = parts.iter().all(|(_, up)| *up);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let parts: Map<String, Value> =
        parts.iter().map(|(stage, up)| (stage.as_str().to_owned(), json!(up))).collect();
    (status, Json(json!({"ready": is_ready, "parts": parts}))).into_response()
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = negotiate(text(&headers, "accept").unwrap_or_default());
    let body = format.encode(&shared.pipeline.metrics.families(&shared.pipeline.now()));
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}
