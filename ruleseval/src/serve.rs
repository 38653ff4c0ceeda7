//! Prometheus' HTTP API over a run, so that Grafana, promtool and any other client can browse it. Invariants: the run
//! is only read, and what rules would have recorded is there beside what was; no request takes more than the limits
//! allow, or goes on when its client has left.
//!
//! Source: Prometheus `web/api/v1/api.go` v3.13 for paths, parameters and shapes. One thing differs on purpose:
//! a `query` without `time` is evaluated at the run's end and not now, when an old run has nothing to show.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::Queryable as _;
use assay_promql::{Engine, EngineOptions, Limits};
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, replay},
};
use assay_run::Run;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};

mod answer;
mod connections;
mod parameters;
mod queries;
mod rules;
mod series;

use answer::{Answer, Failure, respond};
use parameters::Parameters;

/// The longest form of a request, and how long a client may take to send it.
const LONGEST_FORM: usize = 10 << 20;
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// What queries may take, as Prometheus' flags of the same names have it.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// The most samples that a query may hold at a time.
    pub max_samples: usize,
    /// How long a query may take, the wait for others included.
    pub timeout: Duration,
    /// How many queries are evaluated at a time.
    pub max_concurrency: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self { max_samples: 50_000_000, timeout: Duration::from_secs(120), max_concurrency: 20 }
    }
}

/// What is served.
pub struct Served {
    run: Run,
    files: RuleFiles,
    replayed: ReplayResult,
    limits: QueryLimits,
    /// A permit for each query that is evaluated.
    gate: Arc<Semaphore>,
    /// The run's first and last moment.
    span_ms: (i64, i64),
}

impl Served {
    /// A run with the rules replayed over it; `files` may be empty.
    #[must_use]
    pub fn new(run: Run, files: RuleFiles, limits: QueryLimits) -> Self {
        let span_ms = run.span().unwrap_or_default();
        let mut options = ReplayOptions::new(span_ms.0, span_ms.1);
        options.interval_ms = 15_000;
        let replayed = replay(&run.database, &files, &options);
        let gate = Arc::new(Semaphore::new(limits.max_concurrency));
        Self { run, files, replayed, limits, gate, span_ms }
    }
}

/// Serves until `stop` is ready. Requests that are under way then have half a second to end.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    served: Arc<Served>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    connections::serve(listener, router(served), stop).await
}

/// Computes an answer from the parameters, on a thread that may block.
#[derive(Clone, Copy)]
enum Handler {
    /// Evaluates an expression.
    Query(fn(&Served, &Parameters, &Engine) -> Result<Answer, Failure>),
    /// Anything else.
    Plain(fn(&Served, &Parameters) -> Result<Answer, Failure>),
}

fn router(served: Arc<Served>) -> Router {
    use Handler::{Plain, Query};
    let both = [
        ("/api/v1/query", Query(queries::instant)),
        ("/api/v1/query_range", Query(queries::range)),
        ("/api/v1/query_exemplars", Plain(queries::exemplars)),
        ("/api/v1/format_query", Plain(queries::format)),
        ("/api/v1/series", Plain(series::series)),
        ("/api/v1/labels", Plain(series::labels)),
        ("/api/v1/metadata", Plain(series::metadata)),
        ("/api/v1/rules", Plain(rules::rules)),
        ("/api/v1/alerts", Plain(rules::alerts)),
    ];
    let mut router = Router::new();
    for (path, handler) in both {
        let on = async move |State(served): State<Arc<Served>>, RawQuery(query): RawQuery, body: Body| {
            match tokio::time::timeout(FORM_TIMEOUT, to_bytes(body, LONGEST_FORM)).await {
                Ok(Ok(form)) => {
                    let form = String::from_utf8_lossy(&form);
                    call(served, handler, Parameters::read(query.as_deref(), &form)).await
                }
                _ => respond(Err(Failure::bad_data("the form is too long, or did not come in time"))),
            }
        };
        router = router.route(path, get(on).post(on));
    }
    let values = |State(served): State<Arc<Served>>, Path(name): Path<String>, RawQuery(query): RawQuery| {
        let mut parameters = Parameters::read(query.as_deref(), "");
        parameters.add("label_name", &name);
        call(served, Handler::Plain(series::label_values), parameters)
    };
    router
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/status/buildinfo", get(|| async { respond(Ok(answer::build_info())) }))
        .route("/-/healthy", get(|| async { "ruleseval is healthy.\n" }))
        .route("/-/ready", get(|| async { "ruleseval is ready.\n" }))
        .fallback(|| async { not_found() })
        .with_state(served)
}

/// True as soon as the answer is not waited for any more: the server drops a request's future when its client leaves.
#[derive(Default)]
struct Left(Arc<AtomicBool>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Evaluation takes as long as it takes: it runs where it holds up no other request.
async fn call(served: Arc<Served>, handler: Handler, parameters: Parameters) -> Response {
    let left = Left::default();
    let result = match handler {
        Handler::Plain(f) => blocking(move || f(&served, &parameters)).await,
        Handler::Query(f) => match served.admit(&parameters, left.0.clone()).await {
            Ok((permit, engine)) => {
                blocking(move || {
                    let _permit = permit;
                    f(&served, &parameters, &engine)
                })
                .await
            }
            Err(failure) => Err(failure),
        },
    };
    respond(result)
}

async fn blocking(
    work: impl FnOnce() -> Result<Answer, Failure> + Send + 'static,
) -> Result<Answer, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(Failure::internal(e)))
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such path; the API is under /api/v1/\n").into_response()
}

impl Served {
    /// Waits until a query may be evaluated; gives the permit for it, and an engine with what time is left.
    async fn admit(
        &self,
        parameters: &Parameters,
        cancel: Arc<AtomicBool>,
    ) -> Result<(OwnedSemaphorePermit, Engine), Failure> {
        let asked = parameters.timeout()?.unwrap_or(self.limits.timeout);
        let deadline = Instant::now() + asked.min(self.limits.timeout);
        let permit = tokio::time::timeout_at(deadline.into(), self.gate.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Failure::timeout("query timed out in query queue"));
        };
        let limits = Limits {
            max_samples: self.limits.max_samples,
            timeout: Some(deadline.saturating_duration_since(Instant::now())),
            cancel: Some(cancel),
            ..Limits::default()
        };
        Ok((permit, Engine::new(EngineOptions { limits, ..EngineOptions::default() })))
    }

    /// The series of the run with those that the rules recorded.
    fn view(&self) -> assay_rules::overlay::View<'_> {
        self.replayed.view(&self.run.database)
    }

    /// The metadata of a metric, where the run has it.
    fn metadata(&self, metric: &str) -> Option<assay_model::MetricMetadata> {
        self.run.database.metadata(metric)
    }
}
