//! One connection of one virtual user. Invariant: at most one request is on it at a time, and the
//! task that sent it also drives the connection, so that no other task stands between socket and stamp.

use std::{
    future::{Future, poll_fn},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use super::{
    ErrorClass, Failure,
    connect::{ConnectTimes, connect},
    origin::Origin,
    outgoing::Outgoing,
    protocol::{Version, Wire},
    proxy::Proxy,
    reply::Intake,
    route::Route,
    stamped::Stamps,
};
use crate::timer::Slot;

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) version: Version,
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// Where connections go, other than where their host is.
    pub(crate) routes: Arc<[Route]>,
}

/// An open connection.
pub(crate) struct Connection {
    wire: Wire,
    stamps: Rc<Stamps>,
    /// Requests answered so far.
    pub(crate) served: u64,
    /// Since when nothing is on it.
    idle_since: Option<Instant>,
}

/// A connection that was idle for this long is asked whether its peer has closed it, which costs a system call.
const IDLE: Duration = Duration::from_millis(1);

impl Connection {
    /// Opens a connection; gives up with [`ErrorClass::Timeout`] when `deadline` passes.
    pub(crate) async fn open(
        origin: &Origin,
        settings: &Settings,
        deadline: &Slot,
    ) -> Result<(Self, ConnectTimes), Failure> {
        let stamps = Rc::new(Stamps::default());
        let mut connecting = Box::pin(connect(origin, settings, &stamps));
        let (transport, times) = poll_fn(|cx| match deadline.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Failure::new(
                ErrorClass::Timeout,
                format!("no connection to {origin} within the step's timeout"),
            ))),
            Poll::Pending => connecting.as_mut().poll(cx),
        })
        .await?;
        drop(connecting);
        let wire = Box::pin(Wire::begin(transport, settings.version))
            .await
            .map_err(|e| Failure::new(ErrorClass::Protocol, e))?;
        Ok((Self { wire, stamps, served: 0, idle_since: None }, times))
    }

    /// The stamps of the request that is on the connection, or was last.
    pub(crate) fn stamps(&self) -> &Rc<Stamps> {
        &self.stamps
    }

    /// Whether the connection can take another request, as far as is known without asking the peer.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let is_idle = self.idle_since.is_some_and(|since| since.elapsed() > IDLE);
        if is_idle && self.wire.is_closed_by_peer() {
            return false;
        }
        poll_fn(|cx| Poll::Ready(self.wire.is_ready(cx))).await
    }

    /// Sends a request and hands the response to `intake` as it comes.
    pub(super) async fn transfer(
        &mut self,
        request: &Outgoing<'_>,
        origin: &Origin,
        deadline: &Slot,
        intake: &mut impl Intake,
    ) -> Result<(), Failure> {
        self.stamps.reset();
        let result = self.wire.round_trip(request, origin, &self.stamps, deadline, intake).await;
        self.idle_since = self.stamps.last_read();
        result
    }
}
