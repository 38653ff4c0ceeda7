//! The service over HTTP: its routes, and its life from the first passage to the last answer.
//!
//! Invariant: every error is JSON, `{"error": {"message", "type", "code", …}}`, and says what would be right.

mod admin;
mod answer;
mod body;
mod error;
mod login;
mod observe;
mod openai;
mod query;
mod server;
mod status;

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    http::HeaderMap,
    middleware,
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tracing::{field::Empty, info_span};

use self::error::ApiError;
use super::{
    auth::{Auth, Caller},
    cache::Cache,
    faults,
    metrics::{Stage, Trace},
    options::ServiceOptions,
    patients::Patients,
    pipeline::Pipeline,
    role::Right,
};

/// The service. Cloning it shares it.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    auth: Auth,
    cache: Cache,
    patients: Patients,
    pipeline: Arc<Pipeline>,
    options: Arc<ServiceOptions>,
    under_way: Mutex<HashMap<Arc<str>, usize>>,
    opened: watch::Receiver<Option<Result<(), String>>>,
    /// What runs behind the requests; it ends with the service.
    _tasks: JoinSet<()>,
}

/// Answers requests until `shutdown` completes and the answers under way are done. It listens at once, and is ready when
/// its parts are.
///
/// # Errors
/// When the options are wrong, the listener fails, or the embedding model cannot be loaded.
pub async fn serve(
    listener: TcpListener,
    options: ServiceOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    Service::start(options)?.serve(listener, shutdown).await
}

impl Service {
    /// A service whose parts are being opened on the current Tokio runtime.
    ///
    /// # Errors
    /// When the options are wrong.
    pub fn start(options: ServiceOptions) -> io::Result<Self> {
        let options = Arc::new(options);
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&options)).map_err(io::Error::other)?);
        let (report, opened) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let open = (Arc::clone(&pipeline), Arc::clone(&options));
        tasks.spawn(async move {
            let done = open.0.parts.open(&open.1).await;
            report.send_replace(Some(done.map_err(|cause| cause.to_string())));
            // The sender lives as long as the service, so that its end is not mistaken for a failure.
            report.closed().await;
        });
        let watched = Arc::clone(&pipeline);
        tasks.spawn(async move { watched.parts.watch(&watched.llm).await });
        tasks.spawn(faults::effects::run(Arc::clone(&pipeline.faults)));
        let shared = Shared {
            auth: Auth::new(&options),
            cache: Cache::new(options.cache),
            patients: Patients::load(),
            pipeline,
            options,
            under_way: Mutex::default(),
            opened,
            _tasks: tasks,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A service that is ready.
    ///
    /// # Errors
    /// When the options are wrong, or the embedding model cannot be loaded.
    pub async fn prepare(options: ServiceOptions) -> io::Result<Self> {
        let service = Self::start(options)?;
        service.open().await?;
        Ok(service)
    }

    /// Completes when the parts are open.
    async fn open(&self) -> io::Result<()> {
        let mut opened = self.shared.opened.clone();
        let done = opened.wait_for(Option::is_some).await.map_err(io::Error::other)?;
        done.clone().unwrap_or(Ok(())).map_err(io::Error::other)
    }

    /// Answers requests until `shutdown` completes and the answers under way are done. A planted restart begins again in
    /// the same process: connections break, tokens and counts are lost, and the port is closed for a while.
    ///
    /// # Errors
    /// When the listener fails, or the embedding model cannot be loaded.
    pub async fn serve(
        mut self,
        mut listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let mut shutdown = pin!(shutdown);
        loop {
            let faults = Arc::clone(&self.shared.pipeline.faults);
            let away = tokio::select! {
                served = server::run(listener, self.router(), &self.shared.options, shutdown.as_mut()) => {
                    return served;
                }
                failed = self.failed_to_open() => return Err(failed),
                away = faults.restart_asked() => away,
            };
            tracing::warn!(?away, "restarting, because a fault is planted");
            let options =
                ServiceOptions { faults: Vec::new(), ..ServiceOptions::clone(&self.shared.options) };
            drop(self);
            drop(faults);
            tokio::select! {
                () = sleep(away) => {}
                () = shutdown.as_mut() => return Ok(()),
            }
            listener = TcpListener::bind(address).await?;
            self = Self::start(options)?;
        }
    }

    async fn failed_to_open(&self) -> io::Error {
        match self.open().await {
            Err(failed) => failed,
            Ok(()) => std::future::pending().await,
        }
    }

    /// The routes, to be served or nested. Faults can only be planted through [`Service::serve`], which knows whether a
    /// client is on this machine.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health", get(status::health))
            .route("/ready", get(status::ready))
            .route("/metrics", get(status::metrics))
            .route("/login", post(login::login))
            .route("/query", post(query::query))
            .route("/v1/models", get(openai::models))
            .route("/v1/embeddings", post(openai::embeddings))
            .route("/v1/chat/completions", post(openai::chat))
            .route("/v1/search", post(query::search))
            .route("/admin/fault", get(admin::list).post(admin::plant).delete(admin::clear))
            .fallback(error::not_found)
            .method_not_allowed_fallback(error::wrong_method)
            .layer(middleware::from_fn_with_state(Arc::clone(&self.shared), observe::observe))
            .with_state(Arc::clone(&self.shared))
    }
}

/// A user's request under way; over when dropped.
struct UnderWay {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = under_way.get_mut(&self.name) {
            *n -= 1;
            if *n == 0 {
                under_way.remove(&self.name);
            }
        }
    }
}

impl Shared {
    /// Who asks, if they have the right.
    fn authorize(&self, headers: &HeaderMap, right: Right, trace: &Trace) -> Result<Caller, ApiError> {
        let start = Instant::now();
        let span = info_span!("auth", "rag.stage" = "auth", otel.status_code = Empty, error.type = Empty);
        let checked = span.in_scope(|| self.auth.check(error::text(headers, "authorization")));
        self.pipeline.metrics.stage(Stage::Auth, start.elapsed(), trace);
        if checked.is_err() {
            span.record("error.type", "unauthorized");
        }
        let caller = checked?;
        if caller.role.may(right) {
            Ok(caller)
        } else {
            span.record("error.type", "forbidden");
            Err(ApiError::forbidden(caller.role, right))
        }
    }

    /// Counts a request of a user until the result is dropped.
    fn begin(self: &Arc<Self>, caller: &Caller) -> Result<UnderWay, super::failure::Failure> {
        let limit = self.options.limits.per_user;
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let n = under_way.entry(Arc::clone(&caller.name)).or_default();
        if *n >= limit {
            return Err(super::failure::Failure::TooMany { limit });
        }
        *n += 1;
        Ok(UnderWay { shared: Arc::clone(self), name: Arc::clone(&caller.name) })
    }
}
