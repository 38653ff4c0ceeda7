//! The service's routes: `POST /login`, `POST /query`, `GET /health`, `GET /metrics`.
//!
//! Invariant: every error is JSON, `{"error": …}`, and says what would be right.

mod answer;
mod timing;

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use assay_model::expo::negotiate;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::net::TcpListener;

use self::answer::Run;
use super::{
    auth::Auth,
    metrics::{MODEL, Metrics, Outcome, Stage},
    options::ServiceOptions,
    pipeline::{Failed, Pipeline},
};

/// The service. Cloning it shares it.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    auth: Auth,
    metrics: Metrics,
    pipeline: Pipeline,
    queries: AtomicU64,
}

/// Answers requests until `shutdown` completes and the answers under way are done.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    options: ServiceOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Connections wait in the listener until all passages are embedded.
    let service = Service::prepare(options).await?;
    service.serve(listener, shutdown).await
}

impl Service {
    /// A service, ready, made without holding the runtime up: embedding all passages takes a while.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub async fn prepare(options: ServiceOptions) -> io::Result<Self> {
        let handle = tokio::runtime::Handle::current();
        let made = tokio::task::spawn_blocking(move || {
            let _runtime = handle.enter();
            Self::new(options)
        });
        Ok(made.await?)
    }

    /// Answers requests until `shutdown` completes and the answers under way are done.
    ///
    /// # Errors
    /// Where the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }

    /// A service, ready: its passages are embedded. The model starts on the current Tokio runtime.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(options: ServiceOptions) -> Self {
        let shared = Shared {
            auth: Auth::new(options.users.clone(), options.token_lifetime),
            metrics: Metrics::new(options.classic_buckets),
            pipeline: Pipeline::new(options),
            queries: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The routes, to be served or nested.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/login", post(login))
            .route("/query", post(query))
            .fallback(not_found)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(Arc::clone(&self.shared), timing::time))
            .with_state(Arc::clone(&self.shared))
    }
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    Json(json!({"status": "ok", "passages": shared.pipeline.gauges().passages})).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = negotiate(text(&headers, header::ACCEPT).unwrap_or_default());
    let body = format.encode(&shared.metrics.families(shared.pipeline.gauges()));
    ([(header::CONTENT_TYPE, format.content_type())], body).into_response()
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

async fn login(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let login: Login = match parse(&body, r#"{"username": "resident", "password": "…"}"#) {
        Ok(login) => login,
        Err(problem) => return error(StatusCode::BAD_REQUEST, &problem),
    };
    let start = Instant::now();
    let token = shared.auth.log_in(&login.username, &login.password, start);
    shared.metrics.stage(Stage::Auth, start.elapsed());
    match token {
        Some((token, role)) => Json(json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": shared.auth.lifetime().as_secs(),
            "role": role.as_str(),
        }))
        .into_response(),
        None => unauthorized("there is no such user, or the password is not theirs"),
    }
}

#[derive(Deserialize)]
struct Query {
    question: String,
    patient_id: String,
    #[serde(default)]
    stream: bool,
}

/// Longer ones are refused: a question is a sentence or two.
const LONGEST_QUESTION_BYTES: usize = 8192;

impl Query {
    fn problem(&self) -> Option<&'static str> {
        if self.question.trim().is_empty() {
            Some("question is empty: ask something")
        } else if self.question.len() > LONGEST_QUESTION_BYTES {
            Some("question is longer than 8192 bytes: ask something shorter")
        } else if self.patient_id.trim().is_empty() {
            Some("patient_id is empty: say which patient the question is about")
        } else {
            None
        }
    }
}

async fn query(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let start = Instant::now();
    let role = shared.auth.check(text(&headers, header::AUTHORIZATION), start);
    shared.metrics.stage(Stage::Auth, start.elapsed());
    let role = match role {
        Ok(role) => role,
        Err(refused) => return unauthorized(&refused.to_string()),
    };
    let query: Query = match parse(&body, r#"{"question": "…", "patient_id": "P001", "stream": false}"#) {
        Ok(query) => query,
        Err(problem) => return error(StatusCode::BAD_REQUEST, &problem),
    };
    if let Some(problem) = query.problem() {
        return error(StatusCode::BAD_REQUEST, problem);
    }
    let wants_stream =
        query.stream || text(&headers, header::ACCEPT).is_some_and(|a| a.contains("text/event-stream"));
    let id = format!("query-{}", shared.queries.fetch_add(1, Ordering::Relaxed));
    // From here on a client that leaves is counted.
    let mut run = Run::new(Arc::clone(&shared), role, id);
    match shared.pipeline.ask(&shared.metrics, role, &query.question, &query.patient_id).await {
        Ok(answer) if wants_stream => run.stream(answer),
        Ok(answer) => run.whole(answer).await,
        Err(failed) => {
            let (outcome, status) = match failed {
                Failed::Overloaded(_) => (Outcome::Rejected, StatusCode::SERVICE_UNAVAILABLE),
                Failed::Fault | Failed::Internal(_) => (Outcome::Error, StatusCode::INTERNAL_SERVER_ERROR),
            };
            run.end(outcome);
            let mut response = error(status, &failed.to_string());
            if outcome == Outcome::Rejected {
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            }
            response
        }
    }
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "there are POST /login, POST /query, GET /health and GET /metrics")
}

async fn wrong_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "there are POST /login, POST /query, GET /health and GET /metrics")
}

fn parse<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|cause| format!("{cause}; send JSON such as {example}"))
}

fn unauthorized(message: &str) -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
