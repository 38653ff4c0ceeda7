//! Answers and failures in the API's envelope. Invariant: every answer of the API is JSON with a `status`.

use assay_promql::Annotations;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use assay_prom_api::json as api;

/// The `data` of an answer and remarks on it.
pub(super) struct Answer {
    pub(super) data: Value,
    pub(super) remarks: Annotations,
}

impl From<Value> for Answer {
    fn from(data: Value) -> Self {
        Self { data, remarks: Annotations::new() }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Failure {
    /// A parameter is missing or wrong.
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    /// The expression could not be evaluated.
    pub(super) fn execution(cause: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", message: cause.to_string() }
    }

    /// Something is wrong with this program.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message: cause.to_string() }
    }
}

/// The answer as a response.
pub(super) fn respond(result: Result<Answer, Failure>) -> Response {
    match result {
        Ok(answer) => Json(api::success(answer.data, &answer.remarks)).into_response(),
        Err(f) => {
            let body = json!({"status": "error", "errorType": f.kind, "error": f.message});
            (f.status, Json(body)).into_response()
        }
    }
}

/// What clients read to tell which functions a server has: those of Prometheus 3.13 are here.
pub(super) fn build_info() -> Answer {
    json!({
        "version": "3.13.0",
        "revision": concat!("ruleseval ", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
    .into()
}
