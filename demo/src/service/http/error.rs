//! Errors as OpenAI's clients read them. Invariant: no text here repeats what a client sent as a secret.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::service::{
    auth::{LoginError, Refused},
    failure::Failure,
    metrics::Stage,
    role::{Right, Role},
};

/// An error on its way to a client.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    stage: Option<Stage>,
    retry: bool,
}

const ROUTES: &str = "the routes are POST /login, POST /query, POST /v1/search, POST /v1/embeddings, \
     POST /v1/chat/completions, GET /v1/models, GET /health, GET /ready and GET /metrics";

/// Seconds after which one who was turned away may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), stage: None, retry: false }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn forbidden(role: Role, right: Right) -> Self {
        let roles: Vec<_> = Role::ALL.iter().filter(|r| r.may(right)).map(|r| r.as_str()).collect();
        let message = format!(
            "role {} lacks the right {}; it belongs to {}",
            role.as_str(),
            right.as_str(),
            roles.join(" and ")
        );
        Self::new(StatusCode::FORBIDDEN, "missing_right", message)
    }

    /// The error as JSON, for a response or an event of a stream.
    pub(super) fn json(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            status if status >= 500 => "server_error",
            _ => "invalid_request_error",
        };
        let mut error = json!({"message": self.message, "type": kind, "param": null, "code": self.code});
        if let Some(stage) = self.stage {
            error["stage"] = json!(stage.as_str());
        }
        json!({"error": error})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        let headers = response.headers_mut();
        if self.retry {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Failure::Planted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            status,
            code: failure.class(),
            message: failure.to_string(),
            stage: failure.stage(),
            retry: status != StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Missing => "missing_token",
            Refused::Unknown => "unknown_token",
            Refused::Expired => "expired_token",
        };
        Self::new(StatusCode::UNAUTHORIZED, code, refused.to_string())
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let (status, code) = match error {
            LoginError::Wrong => (StatusCode::UNAUTHORIZED, "wrong_credentials"),
            LoginError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_failed_logins"),
        };
        let retry = status == StatusCode::TOO_MANY_REQUESTS;
        Self { retry, ..Self::new(status, code, error.to_string()) }
    }
}

pub(super) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "unknown_route", ROUTES)
}

pub(super) async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", ROUTES)
}

/// A header as text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
