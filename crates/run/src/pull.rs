//! Fetches series from a Prometheus-compatible server into a run.
//!
//! Remote read gives every sample as it is stored, stale markers among them; the query API, which more servers
//! have, gives the raw samples of a range selector without those. Remote read is taken where the server has it
//! and has no external labels, which it would add to each series. The window is asked for slice by slice, wider
//! or narrower as the answers are small or refused as too large.
//!
//! Invariant: as with an import, there is a run only when all of it has come.

mod remote_read;
mod server;

use std::{path::Path, time::Duration};

use assay_model::{METRIC_NAME, MatchOp, Matcher};
use server::{Protocol, Server, Slice};

use crate::{
    Manifest,
    import::{Draft, ImportError, Imported, read_answer},
    recorder::Auth,
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
    /// Selectors, each a list of matchers that a series has to pass all of; none means every series.
    pub selectors: Vec<Vec<Matcher>>,
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
        source: vec![server.shown().to_owned()],
        end_ms: Some(options.end_ms),
        ..Manifest::new(options.scenario.as_str(), options.start_ms)
    };
    Ok(draft.finish(describe, Path::new(server.shown()))?)
}

async fn fetch_all(server: &Server<'_>, options: &PullOptions, draft: &mut Draft) -> Result<(), PullError> {
    let mut protocol = server.protocol().await;
    for (family, metadata) in server.metadata().await {
        draft.store.describe(&family, &metadata);
    }
    let everything = [Matcher::new(MatchOp::NotEqual, METRIC_NAME, "").into_iter().collect()];
    let selectors = if options.selectors.is_empty() { &everything[..] } else { &options.selectors };
    for selector in selectors {
        // A slice is (from, to]; the first one has to have the start in.
        let (mut from, mut width) = (options.start_ms - 1, FIRST_SLICE_MS);
        while from < options.end_ms {
            let to = from.saturating_add(width).min(options.end_ms);
            match server.samples(protocol, selector, from, to).await? {
                Slice::TooLarge(what) if to - from <= LEAST_SLICE_MS => {
                    return Err(server.error(format!("{what}, in one second; select fewer series")));
                }
                Slice::TooLarge(_) => width = (to - from) / 2,
                Slice::Refused(what) => {
                    tracing::info!(url = server.shown(), "no remote read: {what}");
                    protocol = Protocol::Query;
                }
                Slice::Answer(body) => {
                    match protocol {
                        Protocol::RemoteRead => match remote_read::decode(&body) {
                            Ok(series) => remote_read::store(&series, &mut draft.store)?,
                            Err(what) => {
                                tracing::info!(url = server.shown(), "no remote read: {what}");
                                protocol = Protocol::Query;
                                continue;
                            }
                        },
                        Protocol::Query => {
                            read_answer(Path::new(server.shown()), body.as_slice(), &mut draft.store)?;
                        }
                    }
                    tracing::info!(to = to_rfc3339(to), bytes = body.len(), "fetched");
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
