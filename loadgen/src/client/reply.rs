//! One request and its response on a connection. Invariant: what is kept of a response is bounded; what is
//! not needed is counted and dropped as it arrives.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Header;

use super::{
    ErrorClass, Failure, connection::Connection, events::EventReader, origin::Origin, outgoing::Outgoing,
    sse, stamped::Stamps,
};
use crate::timer::Slot;

/// The most bytes of a body that are kept for checks and captures.
pub(crate) const MAX_KEPT_BYTES: usize = 16 * 1024 * 1024;

/// What is wanted of a response in addition to its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Its end, and those headers that have consequences: cookies and redirects.
    Nothing,
    /// All its headers.
    Headers,
    /// All of it.
    Body,
    /// Its headers and its events, if the response says that it has any; otherwise all of it.
    Events,
}

/// A response that was received to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The headers, where they were wanted.
    pub(crate) headers: HeaderMap,
    /// The body, where it was wanted.
    pub(crate) body: Bytes,
    /// The beginning of a body that was not wanted, of an answer that is a failure.
    pub(crate) excerpt: Vec<u8>,
}

/// Takes a response as it comes.
pub(super) trait Intake {
    /// Its head, as HTTP/1.1 has it.
    fn head(&mut self, status: u16, headers: &[Header<'_>]);

    /// Its head, as a map.
    fn head_map(&mut self, status: u16, headers: HeaderMap);

    /// A piece of its body, which came with the last read of the socket.
    fn piece(&mut self, bytes: &[u8], stamps: &Stamps) -> Result<(), Failure>;
}

/// Sends `request` and receives the response. `on_head` says how many bytes of the body are kept though it is not wanted; events go to `on_event` with the time of their last byte, until it has enough.
pub(crate) async fn fetch_reply(
    connection: &mut Connection,
    request: &Outgoing<'_>,
    origin: &Origin,
    want: Want,
    deadline: &Slot,
    on_head: &mut impl FnMut(u16) -> usize,
    on_event: &mut impl FnMut(sse::Event<'_>, Instant) -> bool,
) -> Result<Reply, Failure> {
    let mut receiver = Receiver {
        want,
        status: 0,
        headers: HeaderMap::new(),
        events: None,
        kept: Vec::new(),
        most: 0,
        excerpt: Vec::new(),
        on_head,
        on_event,
    };
    connection.transfer(request, origin, deadline, &mut receiver).await?;
    let Receiver { status, headers, kept, excerpt, events, on_event, .. } = receiver;
    if let Some(mut events) = events {
        let at = connection.stamps().last_read().unwrap_or_else(Instant::now);
        events.finish(|event| {
            on_event(event, at);
        });
    }
    connection.served += 1;
    Ok(Reply { status, headers, body: Bytes::from(kept), excerpt })
}

/// Takes what is wanted.
struct Receiver<'r, H, E> {
    want: Want,
    status: u16,
    headers: HeaderMap,
    events: Option<EventReader>,
    kept: Vec<u8>,
    /// How many bytes of the body are kept though nobody asked for it.
    most: usize,
    excerpt: Vec<u8>,
    on_head: &'r mut H,
    on_event: &'r mut E,
}

impl<H: FnMut(u16) -> usize, E: FnMut(sse::Event<'_>, Instant) -> bool> Intake for Receiver<'_, H, E> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        let has_consequence = |h: &Header<'_>| {
            h.name.eq_ignore_ascii_case("set-cookie") || h.name.eq_ignore_ascii_case("location")
        };
        let map = match self.want {
            Want::Nothing if !headers.iter().any(has_consequence) => HeaderMap::new(),
            _ => map_of(headers),
        };
        self.head_map(status, map);
    }

    fn head_map(&mut self, status: u16, headers: HeaderMap) {
        self.most = (self.on_head)(status);
        self.status = status;
        self.events = if self.want == Want::Events { EventReader::of(&headers) } else { None };
        self.headers = headers;
    }

    fn piece(&mut self, bytes: &[u8], stamps: &Stamps) -> Result<(), Failure> {
        if let Some(events) = &mut self.events {
            let at = stamps.last_read().unwrap_or_else(Instant::now);
            let (on_event, mut wants_more) = (&mut *self.on_event, true);
            events.push(bytes, |event| wants_more &= on_event(event, at))?;
            return match wants_more {
                true => Ok(()),
                false => Err(Failure::new(ErrorClass::Cancelled, "the client has read enough")),
            };
        }
        if matches!(self.want, Want::Nothing | Want::Headers) {
            let room = self.most.saturating_sub(self.excerpt.len());
            self.excerpt.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return Ok(());
        }
        if self.kept.len() + bytes.len() > MAX_KEPT_BYTES {
            let detail = format!("the body is longer than {MAX_KEPT_BYTES} bytes");
            return Err(Failure::new(ErrorClass::TooLarge, detail));
        }
        self.kept.extend_from_slice(bytes);
        Ok(())
    }
}

/// Headers as a map; one that is no valid header is left out.
fn map_of(headers: &[Header<'_>]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for Header { name, value } in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}
