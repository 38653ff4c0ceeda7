//! The health check before a run. Invariant: an answer is either healthy or one line that says what was
//! asked, what came, and what would be right.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

use super::{
    Failure,
    connection::{Connection, Settings},
    origin::Origin,
    outgoing::Outgoing,
    reply::{Want, fetch_reply},
    sse,
};
use crate::timer::Timer;

/// Why a target is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no connection to it.
    #[error("{target} cannot be reached ({}): {failure}", failure.class)]
    Unreachable {
        /// The target.
        target: String,
        /// Why.
        failure: Failure,
    },
    /// The path of the health check is not valid in a request.
    #[error("the health path {path:?}: {source}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// It did not respond.
    #[error("{url} did not respond ({}): {failure}", failure.class)]
    NoResponse {
        /// What was asked for.
        url: String,
        /// Why.
        failure: Failure,
    },
    /// Its response says that it is not well.
    #[error("{url} returned {status}; a healthy target returns a status below 400")]
    Status {
        /// What was asked for.
        url: String,
        /// The response's status.
        status: u16,
    },
    /// The system could not give what the check needs.
    #[error("cannot check the target's health: {0}")]
    System(#[from] std::io::Error),
}

/// How long a healthy target may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a target whether it is well: `path` must answer below 400; without one it must take a connection.
/// Blocks the calling thread.
pub(crate) fn probe(
    origin: &Origin,
    path: Option<&str>,
    authorization: Option<HeaderValue>,
    settings: &Settings,
) -> Result<(), ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let timer = Timer::start()?;
        let slot = timer.slot();
        slot.set(Some(Instant::now() + TIMEOUT));
        let (mut connection, _) = Connection::open(origin, settings, &slot)
            .await
            .map_err(|failure| ProbeError::Unreachable { target: origin.to_string(), failure })?;
        let Some(path) = path else { return Ok(()) };
        let uri = Uri::try_from(path).map_err(|source| ProbeError::Path { path: path.to_owned(), source })?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, origin.authority.clone());
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        let (headers, body) = (Cow::Owned(headers), Bytes::new());
        let request = Outgoing { method: Method::GET, path: &uri, headers, body: &body };
        let (want, on_head, on_event) = (Want::Nothing, &mut |_| 0, &mut |_: sse::Event<'_>, _| true);
        let reply = fetch_reply(&mut connection, &request, origin, want, &slot, on_head, on_event)
            .await
            .map_err(|failure| ProbeError::NoResponse { url: format!("{origin}{path}"), failure })?;
        if reply.status >= 400 {
            return Err(ProbeError::Status { url: format!("{origin}{path}"), status: reply.status });
        }
        Ok(())
    })
}
