//! `POST /login`. Invariant: no answer, log or metric says whether a user exists.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument as _, info_span};

use super::{Shared, body, error::ApiError};
use crate::service::{
    auth::LoginError,
    metrics::{Stage, Trace},
    role::Right,
};

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

const EXAMPLE: &str = r#"{"username": "resident", "password": "…"}"#;

pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    body: Body,
) -> Result<Response, ApiError> {
    let login: Login = body::json(&shared, body, EXAMPLE).await?;
    let start = Instant::now();
    let logged_in = shared
        .auth
        .log_in(&login.username, &login.password)
        .instrument(info_span!("auth", "rag.stage" = "auth"))
        .await;
    if logged_in.is_ok()
        && let Some(time) = shared.pipeline.draw().api
    {
        sleep_until(start + time).await;
    }
    let metrics = &shared.pipeline.metrics;
    metrics.stage(Stage::Auth, start.elapsed(), &trace);
    metrics.login(match &logged_in {
        Ok(_) => "ok",
        Err(LoginError::Wrong) => "wrong",
        Err(LoginError::TooMany) => "rejected",
    });
    let session = logged_in?;
    let role = session.user.role;
    let rights: Vec<_> = Right::ALL.iter().filter(|r| role.may(**r)).map(|r| r.as_str()).collect();
    Ok(Json(json!({
        "access_token": session.token,
        "token_type": "Bearer",
        "expires_in": shared.auth.lifetime().as_secs(),
        "name": session.user.full_name,
        "role": role.as_str(),
        "rights": rights,
    }))
    .into_response())
}
