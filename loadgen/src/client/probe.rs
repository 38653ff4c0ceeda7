//! The health check before a run. Invariant: an answer is either healthy or one line that says what was
//! asked, what came, and what would be right.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};

use super::{
    connection::{Connection, Settings},
    exchange::{Want, exchange},
    origin::Origin,
    outgoing::Outgoing,
    sse,
};
use crate::engine::timer::Timer;

/// How long a healthy target may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a target whether it is well: `path` must answer below 400; without one it must take a connection.
/// Blocks the calling thread.
pub(crate) fn probe(origin: &Origin, path: Option<&str>, settings: &Settings) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let timer = Timer::new().map_err(|e| e.to_string())?;
        let driver = timer.clone();
        tokio::task::spawn_local(async move { driver.drive().await });
        let slot = timer.slot();
        slot.set(Some(Instant::now() + TIMEOUT));
        let (mut connection, _) = Connection::open(origin, settings, &slot)
            .await
            .map_err(|e| format!("{origin} cannot be reached ({}): {e}", e.class))?;
        let Some(path) = path else { return Ok(()) };
        let uri = Uri::try_from(path).map_err(|e| format!("the health path {path:?}: {e}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, origin.authority.clone());
        let (headers, body) = (Cow::Owned(headers), Bytes::new());
        let request = Outgoing { method: Method::GET, path: &uri, headers, body: &body };
        let (want, on_head, on_event) = (Want::Nothing, &mut |_| {}, &mut |_: sse::Event<'_>, _| {});
        let reply = exchange(&mut connection, &request, origin, want, &slot, on_head, on_event)
            .await
            .map_err(|e| format!("{origin}{path} did not answer ({}): {e}", e.class))?;
        if reply.status >= 400 {
            return Err(format!(
                "{origin}{path} answers {}; a healthy target answers below 400",
                reply.status
            ));
        }
        Ok(())
    })
}
