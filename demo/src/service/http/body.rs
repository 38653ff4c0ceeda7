//! Bodies of requests. Invariant: a body is bounded in size and in the time that it takes to arrive.

use axum::{
    body::{Body, to_bytes},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::{Shared, error::ApiError};

/// Reads a body as JSON.
///
/// # Errors
/// 413, 408 or 400, with `example` for what would be right.
pub(super) async fn json<T: DeserializeOwned>(
    shared: &Shared,
    body: Body,
    example: &str,
) -> Result<T, ApiError> {
    let (limit, after) = (shared.options.limits.body_bytes, shared.options.timeouts.body);
    let read = tokio::time::timeout(after, to_bytes(body, limit)).await;
    let too_slow = |_| {
        let message = format!("the body did not arrive within {after:?}");
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    };
    let bytes = read.map_err(too_slow)?.map_err(|cause| {
        let cause = cause.into_inner();
        if cause.is::<http_body_util::LengthLimitError>() {
            let message = format!("the body is larger than {limit} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        } else {
            ApiError::bad_request("body_incomplete", "the body broke off")
        }
    })?;
    serde_json::from_slice(&bytes).map_err(|cause| {
        let cause = without_value(&cause);
        ApiError::bad_request("malformed_body", format!("{cause}; send JSON such as {example}"))
    })
}

/// What is wrong with a body, without the value that is: it may be a password in the wrong place.
fn without_value(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let Some((problem, rest)) = text.split_once(": ").filter(|(problem, _)| problem.starts_with("invalid "))
    else {
        return text;
    };
    let kind = rest.split([' ', ',']).next().unwrap_or_default();
    // The value may hold these words, too; the last are not its own.
    let expected = rest.rfind(", expected ").map_or("", |at| &rest[at..]);
    format!("{problem}: {kind}{expected}")
}
