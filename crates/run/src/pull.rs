//! Fetches series from a Prometheus-compatible server into a run.
//!
//! The query API gives raw samples for a range selector; the window is asked for slice by slice, wider or
//! narrower as the answers are small or refused as too large. Invariant: as with an import, there is a run
//! only when all of it has come.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use crate::{
    Manifest,
    import::{Draft, ImportError, Imported, read_answer},
    recorder::{Auth, http},
    time::to_rfc3339,
};

/// What to fetch.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// The server, such as `http://127.0.0.1:9090`, with its path prefix where it has one.
    pub url: String,
    /// The first time, itself in, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The last time, itself in.
    pub end_ms: i64,
    /// Selectors such as `{job="api"}`; none means every series.
    pub selectors: Vec<String>,
    /// How to log in.
    pub auth: Auth,
    /// Further headers, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
    /// The scenario's name in the description.
    pub scenario: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request is tried that fails for a reason which may pass.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
}

impl PullOptions {
    /// The options for everything in a window, without logging in.
    #[must_use]
    pub fn new(url: impl Into<String>, start_ms: i64, end_ms: i64) -> Self {
        Self {
            url: url.into(),
            start_ms,
            end_ms,
            selectors: Vec::new(),
            auth: Auth::None,
            headers: Vec::new(),
            scenario: "export".to_owned(),
            timeout: Duration::from_secs(120),
            attempts: 6,
            pause: Duration::from_millis(500),
        }
    }
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The options make no sense.
    #[error("{0}")]
    Options(String),
    /// The server cannot be reached or does not answer as it should.
    #[error("{url}: {what}")]
    Server {
        /// The address, without credentials.
        url: String,
        /// What went wrong.
        what: String,
    },
    /// An answer cannot be read, or the run not be written.
    #[error(transparent)]
    Import(#[from] ImportError),
}

const FIRST_SLICE_MS: i64 = 10 * 60_000;
/// Below this a slice is not halved any more.
const LEAST_SLICE_MS: i64 = 1000;
/// Answers smaller than this make the next slice wider.
const SMALL_ANSWER: usize = 8 << 20;
/// An answer larger than this is asked for in two.
const LARGE_ANSWER: usize = 256 << 20;
const EVERYTHING: &str = r#"{__name__!=""}"#;

/// Fetches series into the new run directory `out`. It blocks; the requests run on a thread of their own.
///
/// # Errors
/// Where the server refuses, cannot be reached after all attempts, or the run cannot be written. Nothing is
/// left behind then.
pub fn pull(options: &PullOptions, out: &Path) -> Result<Imported, PullError> {
    let server = Server::new(options)?;
    let mut draft = Draft::create(out)?;
    let fail = |e: std::io::Error| PullError::Options(format!("cannot start a thread: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    // A thread of its own, because the caller may be inside a runtime.
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| runtime.block_on(fetch_all(&server, options, &mut draft)));
        fetching.join().unwrap_or_else(|_| Err(PullError::Options("the fetching thread panicked".into())))
    })?;
    let describe = |_| Manifest {
        source: vec![server.shown.clone()],
        end_ms: Some(options.end_ms),
        ..Manifest::new(options.scenario.as_str(), options.start_ms)
    };
    Ok(draft.finish(describe, Path::new(&server.shown))?)
}

async fn fetch_all(server: &Server<'_>, options: &PullOptions, draft: &mut Draft) -> Result<(), PullError> {
    let everything = [EVERYTHING.to_owned()];
    let selectors = if options.selectors.is_empty() { &everything[..] } else { &options.selectors };
    for selector in selectors {
        // The slice is (from, to]; the first one has to have the start in.
        let (mut from, mut width) = (options.start_ms - 1, FIRST_SLICE_MS);
        while from < options.end_ms {
            let to = from.saturating_add(width).min(options.end_ms);
            match server.samples(selector, from, to).await? {
                Slice::TooLarge(what) if to - from <= LEAST_SLICE_MS => {
                    return Err(server.error(format!("{what}, in one second; select fewer series")));
                }
                Slice::TooLarge(_) => width = (to - from) / 2,
                Slice::Answer(body) => {
                    read_answer(&PathBuf::from(&server.shown), body.as_slice(), &mut draft.store)?;
                    tracing::info!(selector, to = to_rfc3339(to), bytes = body.len(), "fetched");
                    from = to;
                    if body.len() < SMALL_ANSWER {
                        width = width.saturating_mul(2);
                    }
                }
            }
        }
    }
    Ok(())
}

struct Server<'o> {
    client: Client,
    query: Url,
    /// The address without credentials.
    shown: String,
    auth: Auth,
    options: &'o PullOptions,
}

enum Slice {
    Answer(Vec<u8>),
    TooLarge(String),
}

/// What came of one attempt.
enum Attempt {
    Done(Slice),
    /// Worth another try.
    Passing(String),
    Final(String),
}

impl<'o> Server<'o> {
    fn new(options: &'o PullOptions) -> Result<Self, PullError> {
        if options.end_ms < options.start_ms {
            let (start, end) = (to_rfc3339(options.start_ms), to_rfc3339(options.end_ms));
            return Err(PullError::Options(format!("the end, {end}, is before the start, {start}")));
        }
        let bad = |what: String| {
            PullError::Options(format!("{:?}: {what}; write for example http://127.0.0.1:9090", options.url))
        };
        let mut url = Url::parse(&options.url).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("is not the address of a server".into()));
        }
        let mut auth = options.auth.clone();
        if !url.username().is_empty() && auth == Auth::None {
            auth = Auth::Basic(url.username().to_owned(), url.password().unwrap_or("").to_owned());
        }
        // An address with a host takes both.
        let _ = (url.set_username(""), url.set_password(None));
        let shown = url.to_string().trim_end_matches('/').to_owned();
        url.set_path(&format!("{}/api/v1/query", url.path().trim_end_matches('/')));
        let client = http::client().map_err(PullError::Options)?;
        Ok(Self { client, query: url, shown, auth, options })
    }

    fn error(&self, what: String) -> PullError {
        PullError::Server { url: self.shown.clone(), what }
    }

    /// The raw samples in `(from_ms, to_ms]`, tried until it works or cannot.
    async fn samples(&self, selector: &str, from_ms: i64, to_ms: i64) -> Result<Slice, PullError> {
        let mut pause = self.options.pause;
        for attempt in 1.. {
            match self.attempt(selector, from_ms, to_ms).await {
                Attempt::Done(slice) => return Ok(slice),
                Attempt::Final(what) => return Err(self.error(what)),
                Attempt::Passing(what) if attempt >= self.options.attempts => {
                    return Err(self.error(format!("{what}; given up after {attempt} attempts")));
                }
                Attempt::Passing(what) => {
                    tracing::warn!(url = self.shown, attempt, "{what}; trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        Err(self.error("no attempt was made".into()))
    }

    async fn attempt(&self, selector: &str, from_ms: i64, to_ms: i64) -> Attempt {
        let mut url = self.query.clone();
        url.query_pairs_mut()
            .append_pair("query", &format!("{selector}[{}ms]", to_ms - from_ms))
            .append_pair("time", &format!("{}.{:03}", to_ms.div_euclid(1000), to_ms.rem_euclid(1000)));
        let mut request = self.auth.apply(self.client.get(url)).timeout(self.options.timeout);
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => return Attempt::Final(format!("not a request: {e}")),
            Err(e) => return Attempt::Passing(http::whole(&e)),
        };
        let status = response.status();
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(part)) => body.extend_from_slice(&part),
                Ok(None) => break,
                Err(e) => return Attempt::Passing(http::whole(&e)),
            }
            if body.len() > LARGE_ANSWER {
                return Attempt::Done(Slice::TooLarge(format!("the answer is over {LARGE_ANSWER} bytes")));
            }
        }
        if status.is_success() {
            return Attempt::Done(Slice::Answer(body));
        }
        judge(status, &error_text(&body))
    }
}

/// What an answer that is an error means for the slice.
fn judge(status: StatusCode, error: &str) -> Attempt {
    let what =
        if error.is_empty() { format!("the answer is {status}") } else { format!("{status}: {error}") };
    let too_large = ["too many samples", "timed out", "maxSamplesPerQuery", "memory"];
    match status.as_u16() {
        422 | 503 if too_large.iter().any(|t| error.contains(t)) => Attempt::Done(Slice::TooLarge(what)),
        401 | 403 => Attempt::Final(format!("{what}; give a bearer token, or a user and a password")),
        408 | 429 | 500..=599 => Attempt::Passing(what),
        404 => Attempt::Final(format!("{what}; is this the address of a Prometheus, with its path prefix?")),
        _ => Attempt::Final(what),
    }
}

/// The message in an error of the API, or the start of whatever text the body is.
fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct ApiError {
        error: String,
    }
    match serde_json::from_slice::<ApiError>(body) {
        Ok(ApiError { error }) => error,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned(),
    }
}
