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

use std::path::Path;

use assay_model::{METRIC_NAME, MatchOp, Matcher};
use assay_prom_api::{ApiError, Blocking, Client, ClientOptions};
use remote_read::DecodeError;
use server::{Protocol, Slice};

use crate::{
    Manifest,
    import::{Draft, ImportError, Imported, read_answer},
    time::to_rfc3339,
};

/// What to fetch.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// The server and how to ask it.
    pub server: ClientOptions,
    /// The first time, itself in, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The last time, itself in.
    pub end_ms: i64,
    /// Selectors, each a list of matchers that a series has to pass all of; none means every series.
    pub selectors: Vec<Vec<Matcher>>,
    /// The scenario's name in the description.
    pub scenario: String,
}

impl PullOptions {
    /// The options for everything in a window, without logging in.
    #[must_use]
    pub fn new(url: impl Into<String>, start_ms: i64, end_ms: i64) -> Self {
        Self {
            server: ClientOptions::new(url),
            start_ms,
            end_ms,
            selectors: Vec::new(),
            scenario: "export".to_owned(),
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
    #[error(transparent)]
    Server(#[from] ApiError),
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
/// If the server refuses, cannot be reached after all attempts, or the run cannot be written. Nothing is
/// left behind then.
pub fn pull(options: &PullOptions, out: &Path) -> Result<Imported, PullError> {
    if options.end_ms < options.start_ms {
        let (start, end) = (to_rfc3339(options.start_ms), to_rfc3339(options.end_ms));
        return Err(PullError::Options(format!("the end, {end}, is before the start, {start}")));
    }
    let server = Blocking::new(options.server.clone())?;
    let mut draft = Draft::create(out)?;
    server.wait(fetch_all(server.client(), options, &mut draft))??;
    let shown = server.client().shown();
    let describe = |_| Manifest {
        source: vec![shown.to_owned()],
        end_ms: Some(options.end_ms),
        ..Manifest::new(options.scenario.as_str(), options.start_ms)
    };
    Ok(draft.finish(describe, Path::new(shown))?)
}

async fn fetch_all(client: &Client, options: &PullOptions, draft: &mut Draft) -> Result<(), PullError> {
    let mut protocol = server::protocol(client).await;
    for (family, metadata) in server::metadata(client).await {
        draft.store.describe(&family, &metadata);
    }
    let everything = [Matcher::new(MatchOp::NotEqual, METRIC_NAME, "").into_iter().collect()];
    let selectors = if options.selectors.is_empty() { &everything[..] } else { &options.selectors };
    for selector in selectors {
        // A slice is (from, to]; the first one has to have the start in.
        let (mut from, mut width) = (options.start_ms - 1, FIRST_SLICE_MS);
        while from < options.end_ms {
            let to = from.saturating_add(width).min(options.end_ms);
            match server::samples(client, protocol, selector, from, to).await? {
                Slice::TooLarge(what) if to - from <= LEAST_SLICE_MS => {
                    let what = format!("{what}, in one second; select fewer series");
                    return Err(ApiError::TooLarge { url: client.shown().to_owned(), what }.into());
                }
                Slice::TooLarge(_) => width = (to - from) / 2,
                Slice::Refused(what) => {
                    tracing::info!(url = client.shown(), "no remote read: {what}");
                    protocol = Protocol::Query;
                }
                Slice::Answer(body) => {
                    match protocol {
                        Protocol::RemoteRead => match remote_read::decode(&body) {
                            Ok(series) => remote_read::store(&series, &mut draft.store)?,
                            Err(DecodeError::TooLarge(_)) if to - from > LEAST_SLICE_MS => {
                                width = (to - from) / 2;
                                continue;
                            }
                            Err(DecodeError::TooLarge(what) | DecodeError::Unusable(what)) => {
                                tracing::info!(url = client.shown(), "no remote read: {what}");
                                protocol = Protocol::Query;
                                continue;
                            }
                        },
                        Protocol::Query => {
                            read_answer(Path::new(client.shown()), body.as_slice(), &mut draft.store)?;
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
