//! Prometheus' HTTP API over a run, so that Grafana, promtool and any other client can browse it; over a folder of runs, a
//! page that lists them, their reports, and the API of each. Invariants: a run
//! is only read, and what rules would have recorded is there in addition to what was; no request takes more than the limits
//! allow, or continues when its client has left; all requests together take no more memory than one limit allows.
//!
//! Source: Prometheus `web/api/v1/api.go` v3.13 for paths, parameters and shapes. One thing differs on purpose:
//! a `query` without `time` is evaluated at the run's end and not now, when an old run has nothing to show, and
//! `/federate` shows that time.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use assay_model::Queryable as _;
use assay_promql::{Engine, EngineOptions, Limits, Memory};
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, replay},
};
use assay_run::{OpenError, Run, folder};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path as Segment, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};

mod answer;
mod connections;
mod cors;
mod federate;
mod parameters;
mod queries;
mod remote_read;
mod rules;
mod runs;
mod series;
mod status;
mod tree;

use crate::heap::live_bytes;
use answer::{Answer, Failure, respond};
use parameters::Parameters;

/// The longest form of a request, and how long a client may take to send it.
const LONGEST_FORM: usize = 10 << 20;
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

/// How many answers other than those of queries are computed at once; they take moments.
const PLAIN_AT_ONCE: usize = 4;
/// How long a request waits before it looks whether there is memory for it.
const MEMORY_WAIT: Duration = Duration::from_millis(5);

/// What queries may take, as Prometheus' flags of the same names have it.
#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// The most samples that a query may hold at a time.
    pub max_samples: usize,
    /// The memory that all queries share, with all that they allocate, answers under way included; 0 for no limit.
    pub max_memory_bytes: usize,
    /// How long a query may take, the wait for others included.
    pub timeout: Duration,
    /// How many queries are evaluated at a time.
    pub max_concurrency: usize,
    /// How far back an instant selector looks, unless the request says so.
    pub lookback_ms: i64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_memory_bytes: 384 << 20,
            timeout: Duration::from_secs(120),
            max_concurrency: 20,
            lookback_ms: 300_000,
        }
    }
}

/// What holds for all that is served.
pub struct Settings {
    files: RuleFiles,
    limits: QueryLimits,
    /// A permit for each query that is evaluated.
    gate: Arc<Semaphore>,
    /// A permit for each other answer that is computed.
    plain_gate: Arc<Semaphore>,
    /// What queries may take together, once the first run is open.
    memory: OnceLock<Memory>,
    /// The origins whose scripts may read answers.
    cors: Option<regex::Regex>,
    started_ms: i64,
}

impl Settings {
    /// Rules to replay, which may be none, and what queries may take.
    #[must_use]
    pub fn new(files: RuleFiles, limits: QueryLimits) -> Self {
        Self {
            files,
            gate: Arc::new(Semaphore::new(limits.max_concurrency)),
            plain_gate: Arc::new(Semaphore::new(PLAIN_AT_ONCE)),
            memory: OnceLock::new(),
            limits,
            cors: None,
            started_ms: now_ms(),
        }
    }

    /// Computes a page where it holds up no other request. It has its permit until it is done, whether or not somebody
    /// waits for it.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let permit = self.plain_gate.clone().acquire_owned().await;
        let with_permit = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(with_permit).await
    }

    /// What the first run and the rules take is not the queries'; what further runs of a folder take is.
    fn memory(&self) -> &Memory {
        self.memory.get_or_init(|| Memory::measured(self.limits.max_memory_bytes, live_bytes))
    }

    /// The same for scripts of other origins, too: those that the whole of this expression matches.
    ///
    /// # Errors
    /// If it is not a valid regular expression.
    pub fn for_origins(mut self, pattern: &str) -> Result<Self, regex::Error> {
        self.cors = Some(regex::Regex::new(&format!("^(?s:{pattern})$"))?);
        Ok(self)
    }
}

/// A run that is served.
struct Served {
    run: Run,
    replayed: ReplayResult,
    settings: Arc<Settings>,
    /// The run's first and last moment.
    span_ms: (i64, i64),
}

impl Served {
    /// A run with the rules replayed over it.
    fn new(run: Run, settings: Arc<Settings>) -> Self {
        let span_ms = run.span().unwrap_or_default();
        let mut options = ReplayOptions::new(span_ms.0, span_ms.1);
        options.interval_ms = 15_000;
        options.engine.lookback_ms = settings.limits.lookback_ms;
        let replayed = replay(&run.database, &settings.files, &options);
        settings.memory();
        Self { run, replayed, settings, span_ms }
    }
}

/// What a path is served as.
pub struct Site(Router);

impl Site {
    /// A run: Prometheus' API over it. A folder of runs: a page that lists them, and each one's report and API.
    ///
    /// # Errors
    /// If the path is neither.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, OpenError> {
        let settings = Arc::new(settings);
        if folder::is_folder_of_runs(path) {
            let folder = runs::Folder::new(path.to_owned(), settings);
            return Ok(Self(runs::router(Arc::new(folder))));
        }
        let run = Run::open(path)?;
        for warning in run.database.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(Self(api(Arc::new(Served::new(run, settings)))))
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}

/// Serves until `stop` is ready. Requests that are under way then have half a second to end.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    connections::serve(listener, site.0, stop).await
}

/// Computes an answer from the parameters, on a thread that may block.
#[derive(Clone, Copy)]
enum Handler {
    /// Evaluates an expression.
    Query(fn(&Served, &Parameters, &Engine) -> Result<Answer, Failure>),
    /// Anything else.
    Plain(PlainHandler),
}

type PlainHandler = fn(&Served, &Parameters) -> Result<Answer, Failure>;

/// The API over a run.
fn api(served: Arc<Served>) -> Router {
    use Handler::{Plain, Query};
    let both = [
        ("/api/v1/query", Query(queries::instant)),
        ("/api/v1/query_range", Query(queries::range)),
        ("/api/v1/query_exemplars", Plain(queries::exemplars)),
        ("/api/v1/format_query", Plain(queries::format)),
        ("/api/v1/parse_query", Plain(queries::parse)),
        ("/api/v1/series", Plain(series::series)),
        ("/api/v1/labels", Plain(series::labels)),
    ];
    let asked = [
        ("/api/v1/metadata", series::metadata as PlainHandler),
        ("/api/v1/rules", rules::rules),
        ("/api/v1/alerts", rules::alerts),
        ("/api/v1/targets", status::targets),
        ("/api/v1/alertmanagers", status::alertmanagers),
        ("/api/v1/status/buildinfo", status::build_info),
        ("/api/v1/status/config", status::config),
        ("/api/v1/status/flags", status::flags),
        ("/api/v1/status/runtimeinfo", status::runtime_info),
        ("/api/v1/status/tsdb", status::tsdb),
        ("/api/v1/status/walreplay", status::wal_replay),
    ];
    let mut router = Router::new();
    for (path, handler) in both {
        let on =
            async move |State(served): State<Arc<Served>>, RawQuery(query): RawQuery, body: Body| match form(
                body,
            )
            .await
            {
                Ok(form) => {
                    let form = String::from_utf8_lossy(&form);
                    call(served, handler, Parameters::read(query.as_deref(), &form)).await
                }
                Err(failure) => respond(Err(failure)),
            };
        router = router.route(path, get(on).post(on));
    }
    for (path, handler) in asked {
        let on = async move |State(served): State<Arc<Served>>, RawQuery(query): RawQuery| {
            call(served, Plain(handler), Parameters::read(query.as_deref(), "")).await
        };
        router = router.route(path, get(on));
    }
    respond_to_probes(router)
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/read", post(read))
        .route("/federate", get(federated))
        .fallback(|| async { not_found() })
        .layer(axum::middleware::from_fn_with_state(served.clone(), cors::layer))
        .with_state(served)
}

/// Adds what those ask that watch the server itself.
fn respond_to_probes<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .route("/-/healthy", get(|| async { "ruleseval is healthy.\n" }))
        .route("/-/ready", get(|| async { "ruleseval is ready.\n" }))
}

/// The body of a request, if it is no longer than allowed and came in time.
async fn form(body: Body) -> Result<Bytes, Failure> {
    match tokio::time::timeout(FORM_TIMEOUT, to_bytes(body, LONGEST_FORM)).await {
        Ok(Ok(form)) => Ok(form),
        _ => Err(Failure::bad_data("the form is too long, or did not come in time")),
    }
}

async fn label_values(
    State(served): State<Arc<Served>>,
    Segment(name): Segment<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let mut parameters = Parameters::read(query.as_deref(), "");
    parameters.add("label_name", &name);
    call(served, Handler::Plain(series::label_values), parameters).await
}

async fn read(State(served): State<Arc<Served>>, body: Body) -> Response {
    match form(body).await {
        Ok(body) => remote_read::read(served, body).await,
        Err(failure) => failure.plain(),
    }
}

async fn federated(
    State(served): State<Arc<Served>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::read(query.as_deref(), "");
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    let permit = match served.admit_plain().await {
        Ok(permit) => permit,
        Err(failure) => return failure.plain(),
    };
    let work = move || {
        let _permit = permit;
        federate::federate(&served, &parameters, &accept).unwrap_or_else(Failure::plain)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Failure::internal(e).plain())
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
        Handler::Plain(f) => match served.admit_plain().await {
            Ok(permit) => {
                blocking(move || {
                    let _permit = permit;
                    f(&served, &parameters)
                })
                .await
            }
            Err(failure) => Err(failure),
        },
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
        let asked = parameters.timeout()?.unwrap_or(self.settings.limits.timeout);
        let deadline = Instant::now() + asked.min(self.settings.limits.timeout);
        let permit =
            tokio::time::timeout_at(deadline.into(), self.settings.gate.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Failure::timeout("query timed out in query queue"));
        };
        self.wait_for_memory(deadline).await?;
        let limits = Limits {
            max_samples: self.settings.limits.max_samples,
            memory: self.settings.memory().clone(),
            timeout: Some(deadline.saturating_duration_since(Instant::now())),
            cancel: Some(cancel),
            ..Limits::default()
        };
        let lookback_ms = parameters.lookback_ms()?.unwrap_or(self.settings.limits.lookback_ms);
        Ok((permit, Engine::new(EngineOptions { limits, lookback_ms, ..EngineOptions::default() })))
    }

    /// Waits until an answer other than a query's may be computed; gives the permit for it.
    async fn admit_plain(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let deadline = Instant::now() + self.settings.limits.timeout;
        let permit =
            tokio::time::timeout_at(deadline.into(), self.settings.plain_gate.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Failure::timeout("timed out behind other requests"));
        };
        self.wait_for_memory(deadline).await?;
        Ok(permit)
    }

    /// Waits until no more than half of the memory is taken, so that what begins has some.
    async fn wait_for_memory(&self, deadline: Instant) -> Result<(), Failure> {
        let memory = self.settings.memory();
        let Some(max_bytes) = memory.max() else { return Ok(()) };
        while memory.used() > max_bytes / 2 {
            if Instant::now() >= deadline {
                let message = "timed out waiting for memory: other queries and their answers take more than half of \
                               --max-memory";
                return Err(Failure::timeout(message));
            }
            tokio::time::sleep(MEMORY_WAIT).await;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_client_that_leaves_gives_no_place_back_before_its_work_is_done() {
        let settings = Settings::new(RuleFiles::default(), QueryLimits::default());
        let (begun_sender, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let (finish, finished) = mpsc::channel::<()>();
        let work = settings.compute(move || {
            begun_sender.send(()).ok();
            finished.recv().ok();
        });
        tokio::select! {
            _ = work => panic!("the work waits"),
            _ = begun.recv() => {}
        }
        // The future is dropped, as it is when the connection ends; the thread still works.
        assert_eq!(settings.plain_gate.available_permits(), PLAIN_AT_ONCE - 1);
        drop(finish);
        let all = settings.plain_gate.acquire_many(PLAIN_AT_ONCE as u32);
        drop(
            tokio::time::timeout(Duration::from_secs(60), all)
                .await
                .expect("the place is free")
                .expect("is open"),
        );
    }
}
