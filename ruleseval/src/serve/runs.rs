//! A folder of runs: the page that lists them, and under `/runs/NAME/` each one's report, verdict and API.
//!
//! Invariants: a run is named as its directory is, and no other name reaches the file system; few runs are open at a
//! time, and one that is still recorded is opened again when it has grown.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use assay_report::html::{
    compare as comparison, history as trends,
    runs::{self as page, Entry},
};
use assay_run::{Manifest, Run, folder, manifest};
use assay_text::Clean;
use assay_verdict::{
    baseline::is_baseline_name,
    compare::{CompareOptions, compare},
    eval::EvalError,
    history::{History, HistoryOptions, history},
    units,
};
use axum::{
    Router,
    body::Body,
    extract::{Path as Segments, Query, State},
    http::{HeaderValue, Request, StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Response},
    routing::{any, get},
};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use url::form_urlencoded;

use super::{Served, Settings, api, respond_to_probes};

/// The most runs that the page lists, the newest.
const LISTED: usize = 200;
/// The most runs that are open at a time.
const OPEN: usize = 4;
/// How long a run that is still recorded is shown as it was when it was opened.
const FRESH: Duration = Duration::from_secs(10);
/// What a browser may do with the page: nothing but show it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

/// A folder of runs, and those of them that are open.
pub(crate) struct Folder {
    path: PathBuf,
    settings: Arc<Settings>,
    open: Mutex<Vec<Open>>,
    /// Held while a run is opened, so that two that ask for one run open it once.
    opening: Mutex<()>,
    history: Mutex<Option<(Written, Found)>>,
}

/// The files that a history is made of, and when each was written.
type Written = Vec<(PathBuf, Option<SystemTime>)>;

/// What came of them: the history, or what is wrong with a file.
type Found = Result<Arc<History>, String>;

struct Open {
    name: String,
    /// When the run's description was last written.
    written: Option<SystemTime>,
    /// When it was opened, if it had not ended.
    unfinished: Option<Instant>,
    router: Router,
}

impl Folder {
    pub(crate) fn new(path: PathBuf, settings: Arc<Settings>) -> Self {
        let (open, opening, history) = <_>::default();
        Self { path, settings, open, opening, history }
    }

    /// The directory of a run, if this is the name of one.
    fn run(&self, name: &str) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.path).ok()?;
        let mut paths =
            entries.flatten().filter(|entry| entry.file_name() == *name).map(|entry| entry.path());
        paths.next().filter(|path| path.join(manifest::FILE_NAME).is_file())
    }

    /// The API over a run, opened if it is not open.
    fn api(&self, name: &str) -> Result<Router, (StatusCode, String)> {
        let not_found = || (StatusCode::NOT_FOUND, format!("there is no run {}", Clean(name)));
        let path = self.run(name).ok_or_else(not_found)?;
        let written = path.join(manifest::FILE_NAME).metadata().and_then(|m| m.modified()).ok();
        if let Some(router) = self.opened(name, written) {
            return Ok(router);
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(router) = self.opened(name, written) {
            return Ok(router);
        }
        let cannot = |e: assay_run::OpenError| (StatusCode::UNPROCESSABLE_ENTITY, e.to_string());
        let run = Run::open(&path).map_err(cannot)?;
        let ended = run.manifest.as_ref().is_none_or(|m| m.outcome.is_some());
        let router = api(Arc::new(Served::new(run, self.settings.clone())));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN {
            open.remove(0);
        }
        let unfinished = (!ended).then(Instant::now);
        open.push(Open { name: name.to_owned(), written, unfinished, router: router.clone() });
        Ok(router)
    }

    /// The API over a run that is open and as it is on disk.
    fn opened(&self, name: &str, written: Option<SystemTime>) -> Option<Router> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|run| run.name != name || run.is_current(written));
        let at = open.iter().position(|run| run.name == name)?;
        // The one that was used last is last.
        let run = open.remove(at);
        let router = run.router.clone();
        open.push(run);
        Some(router)
    }

    /// How each objective went over the newest runs that have a verdict; read again when a verdict or a baseline file was written.
    fn history(&self) -> Found {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let source = |path: PathBuf| if is_baseline_name(&path) { path } else { path.join("verdict.json") };
        let mut written: Written = entries
            .map(|entry| source(entry.path()))
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok(), path)))
            .map(|(written, path)| (path, written))
            .collect();
        written.sort();
        // Others that ask meanwhile wait, and get the same.
        let mut known = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.as_ref().filter(|(of, _)| *of == written) {
            return found.clone();
        }
        let found = history(&HistoryOptions {
            folder: self.path.clone(),
            judged_only: true,
            newest: Some(LISTED),
            ..HistoryOptions::default()
        });
        let found = found.map(Arc::new).map_err(|e| Clean(e).to_string());
        *known = Some((written, found.clone()));
        found
    }

    /// The runs, the newest first, and how many are not listed.
    fn list(&self) -> (Vec<Entry>, usize) {
        let mut runs: Vec<(Manifest, PathBuf)> =
            folder::runs(&self.path).filter_map(|(path, manifest)| Some((manifest.ok()?, path))).collect();
        runs.sort_by(|a, b| (b.0.start_ms, &b.1).cmp(&(a.0.start_ms, &a.1)));
        let older = runs.len().saturating_sub(LISTED);
        (runs.iter().take(LISTED).filter_map(|(manifest, path)| entry(manifest, path)).collect(), older)
    }
}

impl Open {
    fn is_current(&self, written: Option<SystemTime>) -> bool {
        self.written == written && self.unfinished.is_none_or(|since| since.elapsed() < FRESH)
    }
}

/// What the page says of a run; `None` if its name cannot be part of a URL.
fn entry(manifest: &Manifest, path: &Path) -> Option<Entry> {
    let name = path.file_name()?.to_str()?.to_owned();
    let verdict = std::fs::read(path.join("verdict.json")).ok();
    let verdict: Option<serde_json::Value> = verdict.and_then(|json| serde_json::from_slice(&json).ok());
    let text = |key: &str| verdict.as_ref().and_then(|v| v[key].as_str()).map(str::to_owned);
    let (instead, why) = match manifest.outcome {
        None => ("not ended", "It is still recorded, or it was killed."),
        Some(_) => ("not judged", "Judge it with: ruleseval eval"),
    };
    Some(Entry {
        // A space is %20 in a path; the form's + is not.
        path: form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20"),
        name,
        scenario: manifest.scenario.clone(),
        mode: manifest.mode.clone().unwrap_or_default(),
        started: format!("{} UTC", units::date_and_time(manifest.start_ms)),
        length: manifest.end_ms.map(|end| units::length(end - manifest.start_ms)).unwrap_or_default(),
        verdict: text("status").unwrap_or_else(|| instead.to_owned()),
        why: text("summary").unwrap_or_else(|| why.to_owned()),
        has_report: path.join("report.html").is_file(),
        has_verdict: verdict.is_some(),
    })
}

fn plain(status: StatusCode, text: String) -> Response {
    (status, text + "\n").into_response()
}

/// What is answered over a folder of runs.
pub(super) fn router(folder: Arc<Folder>) -> Router {
    respond_to_probes(Router::new())
        .route("/", get(index))
        .route("/compare", get(compared))
        .route("/history", get(history_page))
        .route("/runs/{name}/report.html", get(report))
        .route("/runs/{name}/verdict.json", get(verdict))
        .route("/runs/{name}/{*path}", any(of_run))
        .fallback(|| async {
            plain(StatusCode::NOT_FOUND, "no such path; the runs are listed at /".to_owned())
        })
        .with_state(folder)
}

async fn index(State(folder): State<Arc<Folder>>) -> Response {
    shown(folder, |folder| {
        let (runs, older) = folder.list();
        // A baseline file in the folder that is wrong is what /history says.
        let history = folder.history().unwrap_or_default();
        page::render(&runs, older, &history).map_err(internal)
    })
    .await
}

/// How objectives went over the runs.
async fn history_page(State(folder): State<Arc<Folder>>) -> Response {
    shown(folder, |folder| {
        let history = folder.history().map_err(|e| (StatusCode::UNPROCESSABLE_ENTITY, e))?;
        trends::render(&history, Some("./")).map_err(internal)
    })
    .await
}

/// A page, or why there is none.
type Page = Result<String, (StatusCode, String)>;

fn internal(cause: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, cause.to_string())
}

/// A page that is made from files, in its turn.
async fn shown(folder: Arc<Folder>, make: impl FnOnce(&Folder) -> Page + Send + 'static) -> Response {
    let settings = folder.settings.clone();
    match settings.compute(move || make(&folder)).await.unwrap_or_else(|e| Err(internal(e))) {
        Ok(page) => ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response(),
        Err((status, text)) => plain(status, text),
    }
}

/// Which runs are compared.
#[derive(serde::Deserialize)]
struct Pair {
    base: String,
    new: String,
}

/// Two runs against each other, by the SLA of the newer one.
async fn compared(State(folder): State<Arc<Folder>>, Query(pair): Query<Pair>) -> Response {
    shown(folder, move |folder| comparison_of(folder, &pair)).await
}

fn comparison_of(folder: &Folder, pair: &Pair) -> Page {
    let run = |name: &str| {
        folder.run(name).ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no run {}", Clean(name))))
    };
    let (base, new) = (run(&pair.base)?, run(&pair.new)?);
    let status = |e: &EvalError| match e {
        EvalError::Compare(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let found = compare(&CompareOptions::new(base, new)).map_err(|e| (status(&e), Clean(e).to_string()))?;
    comparison::render(&found, &pair.base, &pair.new, Some("./")).map_err(internal)
}

async fn report(state: State<Arc<Folder>>, name: Segments<String>) -> Response {
    file(state, name, "report.html", "text/html; charset=utf-8").await
}

async fn verdict(state: State<Arc<Folder>>, name: Segments<String>) -> Response {
    file(state, name, "verdict.json", "application/json").await
}

/// A file of a run.
async fn file(
    State(folder): State<Arc<Folder>>,
    Segments(name): Segments<String>,
    file: &'static str,
    kind: &'static str,
) -> Response {
    let settings = folder.settings.clone();
    let read = settings.compute(move || Some(std::fs::read(folder.run(&name)?.join(file))));
    match read.await {
        Ok(Some(Ok(bytes))) => {
            let mut response = Response::new(Body::from(bytes));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            let nosniff = HeaderValue::from_static("nosniff");
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
            response
        }
        Ok(Some(Err(_))) => plain(StatusCode::NOT_FOUND, format!("the run has no {file}: it was not judged")),
        Ok(None) => plain(StatusCode::NOT_FOUND, "there is no such run".to_owned()),
        Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    }
}

/// Everything else under a run's name is its API's.
async fn of_run(
    State(folder): State<Arc<Folder>>,
    Segments((name, path)): Segments<(String, String)>,
    mut request: Request<Body>,
) -> Response {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let inner = request.uri().path().splitn(4, '/').nth(3).unwrap_or(&path);
    let Ok(uri) = format!("/{inner}{query}").parse::<Uri>() else {
        return plain(StatusCode::NOT_FOUND, "no such path".to_owned());
    };
    *request.uri_mut() = uri;
    // The segments that matched here are no segments of the API's paths.
    request.extensions_mut().clear();
    match tokio::task::spawn_blocking(move || folder.api(&name)).await {
        Ok(Ok(router)) => match TowerToHyperService::new(router).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        Ok(Err((status, text))) => plain(status, text),
        Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    }
}
