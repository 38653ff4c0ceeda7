//! The health check before a run. Invariant: an answer is either healthy or one line that says what was
//! asked, what came, and what would be right.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;

use super::{
    connection::{Connection, Settings},
    exchange::{Want, exchange},
    origin::Origin,
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
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = Uri::try_from(path).map_err(|e| format!("the health path {path:?}: {e}"))?;
        request.headers_mut().insert(header::HOST, origin.authority.clone());
        settings.version.fit(&mut request, origin);
        let reply = exchange(&mut connection, request, Want::Nothing, &slot, &mut |_| {}, &mut |_, _| {})
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
