//! One request and its response on a connection. Invariant: what is kept of a response is bounded; what is
//! not needed is counted and dropped as it arrives.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, header};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{ErrorClass, Failure, connection::Connection, sse};
use crate::engine::timer::Slot;

/// The most bytes of a body that are kept for checks and captures.
pub(crate) const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What is wanted of a response's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Its end alone.
    Nothing,
    /// All of it.
    Body,
    /// Its server-sent events, where the response says that it has them; otherwise all of it.
    Events,
}

/// A response that was received to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body, where it was wanted.
    pub(crate) body: Bytes,
}

/// Sends `request` and receives the response; events go to `on_event` with the time of their last byte.
pub(crate) async fn exchange(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    want: Want,
    deadline: &Slot,
    on_head: &mut impl FnMut(u16),
    on_event: &mut impl FnMut(sse::Event, Instant),
) -> Result<Reply, Failure> {
    let response = connection.send(request, deadline).await?;
    let (head, mut body) = response.into_parts();
    on_head(head.status.as_u16());
    let is_stream = want == Want::Events && is_event_stream(&head.headers);
    let kept = if is_stream {
        read_events(connection, &mut body, deadline, on_event).await?;
        Bytes::new()
    } else {
        read_body(connection, &mut body, deadline, want != Want::Nothing).await?
    };
    connection.served += 1;
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: kept })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

async fn read_body(
    connection: &mut Connection,
    body: &mut Incoming,
    deadline: &Slot,
    keep: bool,
) -> Result<Bytes, Failure> {
    let mut kept: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut is_first = true;
    while let Some(chunk) = connection.body_chunk(body, deadline).await? {
        // Most bodies come whole; one that never stops coming has to be held to the clock.
        if !std::mem::take(&mut is_first) && deadline.has_passed() {
            return Err(Connection::endless());
        }
        if !keep {
            continue;
        }
        // Most bodies come in one piece, which is then not copied.
        match kept.take() {
            None if joined.is_empty() => kept = Some(chunk),
            first => {
                joined.extend_from_slice(&first.unwrap_or_default());
                joined.extend_from_slice(&chunk);
            }
        }
        if joined.len() > MAX_KEPT_BYTES {
            let detail = format!("the body is longer than {MAX_KEPT_BYTES} bytes");
            return Err(Failure::new(ErrorClass::TooLarge, detail));
        }
    }
    Ok(kept.unwrap_or_else(|| joined.freeze()))
}

async fn read_events(
    connection: &mut Connection,
    body: &mut Incoming,
    deadline: &Slot,
    on_event: &mut impl FnMut(sse::Event, Instant),
) -> Result<(), Failure> {
    let mut parser = sse::Parser::default();
    while let Some(chunk) = connection.body_chunk(body, deadline).await? {
        let at = connection.stamps().last_read().unwrap_or_else(Instant::now);
        parser.push(&chunk, |event| on_event(event, at)).map_err(|sse::TooLong| {
            let detail = format!("an event is longer than {} bytes", sse::MAX_EVENT_BYTES);
            Failure::new(ErrorClass::TooLarge, detail)
        })?;
        if deadline.has_passed() {
            return Err(Connection::endless());
        }
    }
    Ok(())
}
