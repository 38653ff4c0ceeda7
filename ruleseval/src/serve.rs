//! Prometheus' HTTP API over a run, so that Grafana, promtool and any other client can browse it. Invariant:
//! the run is only read, and what rules would have recorded is there beside what was.
//!
//! Source: Prometheus `web/api/v1/api.go` v3.13 for paths, parameters and shapes. One thing differs on purpose:
//! a `query` without `time` is evaluated at the run's end and not now, when an old run has nothing to show.

use std::sync::Arc;

use assay_model::Queryable as _;
use assay_promql::Engine;
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, replay},
};
use assay_run::Run;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

mod answer;
mod parameters;
mod queries;
mod rules;
mod series;

use answer::{Failure, respond};
use parameters::Parameters;

/// What is served.
pub struct Served {
    run: Run,
    files: RuleFiles,
    replayed: ReplayResult,
    engine: Engine,
    /// The first and last sample's times.
    span_ms: (i64, i64),
}

impl Served {
    /// A run with the rules replayed over it; `files` may be empty.
    #[must_use]
    pub fn new(run: Run, files: RuleFiles) -> Self {
        let span_ms = run.time_range().unwrap_or_default();
        let mut options = ReplayOptions::new(span_ms.0, span_ms.1);
        options.interval_ms = 15_000;
        let replayed = replay(&run.database, &files, &options);
        Self { run, files, replayed, engine: Engine::default(), span_ms }
    }
}

/// Serves until `stop` is ready; requests that are under way are finished.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    served: Arc<Served>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(served)).with_graceful_shutdown(stop).await
}

/// A handler: computes the `data` of an answer from the parameters, on a thread that may block.
type Handler = fn(&Served, &Parameters) -> Result<answer::Answer, Failure>;

fn router(served: Arc<Served>) -> Router {
    let both: [(&str, Handler); 9] = [
        ("/api/v1/query", queries::instant),
        ("/api/v1/query_range", queries::range),
        ("/api/v1/query_exemplars", queries::exemplars),
        ("/api/v1/format_query", queries::format),
        ("/api/v1/series", series::series),
        ("/api/v1/labels", series::labels),
        ("/api/v1/metadata", series::metadata),
        ("/api/v1/rules", rules::rules),
        ("/api/v1/alerts", rules::alerts),
    ];
    let mut router = Router::new();
    for (path, handler) in both {
        let on = move |State(served): State<Arc<Served>>, RawQuery(query): RawQuery, body: String| {
            call(served, handler, Parameters::read(query.as_deref(), &body))
        };
        router = router.route(path, get(on).post(on));
    }
    let values = |State(served): State<Arc<Served>>, Path(name): Path<String>, RawQuery(query): RawQuery| {
        let mut parameters = Parameters::read(query.as_deref(), "");
        parameters.add("label_name", &name);
        call(served, series::label_values, parameters)
    };
    router
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/status/buildinfo", get(|| async { respond(Ok(answer::build_info())) }))
        .route("/-/healthy", get(|| async { "ruleseval is healthy.\n" }))
        .route("/-/ready", get(|| async { "ruleseval is ready.\n" }))
        .fallback(|| async { not_found() })
        .with_state(served)
}

/// Evaluation takes as long as it takes: it runs where it holds up no other request.
async fn call(served: Arc<Served>, handler: Handler, parameters: Parameters) -> Response {
    let work = tokio::task::spawn_blocking(move || handler(&served, &parameters));
    match work.await {
        Ok(result) => respond(result),
        Err(e) => respond(Err(Failure::internal(e))),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such path; the API is under /api/v1/\n").into_response()
}

impl Served {
    /// The series of the run with those that the rules recorded.
    fn view(&self) -> assay_rules::overlay::View<'_> {
        self.replayed.view(&self.run.database)
    }

    /// The metadata of a metric, where the run has it.
    fn metadata(&self, metric: &str) -> Option<assay_model::MetricMetadata> {
        self.run.database.metadata(metric)
    }
}
