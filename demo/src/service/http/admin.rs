//! `/admin/fault`: planted faults while the service runs. Invariant: only an administrator on this machine plants them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{Shared, body, error::ApiError};
use crate::service::{faults::Fault, metrics::Trace, role::Right};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plant {
    faults: Vec<String>,
    #[serde(default)]
    seconds: Option<f64>,
}

const EXAMPLE: &str = r#"{"faults": ["slow-search=4"], "seconds": 30}"#;

/// The client's address, as the server saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

fn check(
    shared: &Shared,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    trace: &Trace,
) -> Result<(), ApiError> {
    shared.authorize(headers, Right::PlantFaults, trace)?;
    if peer.is_some_and(|Extension(Peer(address))| address.ip().to_canonical().is_loopback()) {
        return Ok(());
    }
    let message = "faults are planted from the machine that the service runs on";
    Err(ApiError::new(StatusCode::FORBIDDEN, "not_loopback", message))
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check(&shared, peer, &headers, &trace)?;
    Ok(planted(&shared))
}

pub(super) async fn plant(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    check(&shared, peer, &headers, &trace)?;
    let request: Plant = body::json(&shared, body, EXAMPLE).await?;
    let faults: Result<Vec<Fault>, String> = request.faults.iter().map(|text| text.parse()).collect();
    let faults = faults.map_err(|problem| ApiError::bad_request("invalid_fault", problem))?;
    let during = request.seconds.map(Duration::try_from_secs_f64).transpose().map_err(|cause| {
        ApiError::bad_request("invalid_seconds", format!("seconds: {cause}; send JSON such as {EXAMPLE}"))
    })?;
    tracing::warn!(?faults, ?during, "planting faults");
    shared.pipeline.faults.plant(&faults, during);
    Ok(planted(&shared))
}

pub(super) async fn clear(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check(&shared, peer, &headers, &trace)?;
    shared.pipeline.faults.clear();
    Ok(planted(&shared))
}

fn planted(shared: &Shared) -> Response {
    let faults: serde_json::Map<_, _> = shared
        .pipeline
        .faults
        .list()
        .iter()
        .map(|fault| (fault.kind.name().to_owned(), json!(fault.amount)))
        .collect();
    Json(json!({"planted": faults})).into_response()
}
