//! Answers and failures in the API's envelope. Invariant: every answer of the API is JSON with a `status`.

use assay_prom_api::json::{self as api, Remarks};
use assay_promql::{EvalError, QueryValue};
use axum::{
    Json,
    body::Body,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

/// An answer that is a success.
pub(super) enum Answer {
    /// Its `data`, and remarks on it.
    Data(Value, Remarks),
    /// There is nothing that could be told.
    Nothing,
    /// A query's value and remarks on it.
    Query(QueryValue, Remarks),
}

impl From<Value> for Answer {
    fn from(data: Value) -> Self {
        Self::Data(data, Remarks::default())
    }
}

impl Answer {
    /// The first `limit` of a list, with a warning if there are more.
    pub(super) fn first(list: impl IntoIterator<Item = Value>, limit: usize) -> Self {
        let mut list: Vec<Value> = list.into_iter().collect();
        let mut remarks = Remarks::default();
        if list.len() > limit {
            list.truncate(limit);
            remarks.warnings.push(TRUNCATED.to_owned());
        }
        Self::Data(Value::Array(list), remarks)
    }
}

/// The warning of an answer that `limit` cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

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

    /// The same, as the failure of a parameter.
    pub(super) fn of_parameter(self, name: &str) -> Self {
        Self { message: format!("invalid parameter \"{name}\": {}", self.message), ..self }
    }

    /// As plain text, for what is no part of the API.
    pub(super) fn plain(self) -> Response {
        (self.status, format!("{}\n", self.message)).into_response()
    }

    /// The expression could not be evaluated.
    pub(super) fn execution(cause: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", message: cause.to_string() }
    }

    /// There was no time left.
    pub(super) fn timeout(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", message: message.into() }
    }

    /// Something is wrong with this program.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message: cause.to_string() }
    }
}

impl From<EvalError> for Failure {
    fn from(e: EvalError) -> Self {
        match e {
            EvalError::Timeout => Self::timeout(e.to_string()),
            // Nobody reads it: the client has left.
            EvalError::Cancelled => Self { kind: "canceled", ..Self::timeout(e.to_string()) },
            e => Self::execution(e),
        }
    }
}

/// How much of an answer is sent at a time.
const PIECE: usize = 64 << 10;

/// The answer as a response.
pub(super) fn respond(result: Result<Answer, Failure>) -> Response {
    match result {
        Ok(Answer::Data(data, remarks)) => Json(api::success(data, &remarks)).into_response(),
        Ok(Answer::Nothing) => StatusCode::NO_CONTENT.into_response(),
        Ok(Answer::Query(value, remarks)) => {
            let mut pieces = api::pieces(value, &remarks);
            let sent = std::iter::from_fn(move || {
                let mut piece = pieces.next()?;
                while piece.len() < PIECE
                    && let Some(more) = pieces.next()
                {
                    piece += &more;
                }
                Some(Ok::<_, std::convert::Infallible>(piece))
            });
            let body = Body::from_stream(futures_util::stream::iter(sent));
            ([(CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(f) => {
            let body = json!({"status": "error", "errorType": f.kind, "error": f.message});
            (f.status, Json(body)).into_response()
        }
    }
}
