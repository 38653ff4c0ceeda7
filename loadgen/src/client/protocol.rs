//! HTTP/1.1 and HTTP/2 behind one interface. Invariant: the task that awaits a response moves the bytes; nothing runs on
//! another thread.

use std::task::Context;

use http::{
    Request, Uri, header,
    uri::{Authority, Parts, Scheme},
};

use super::{
    Failure, connect::Transport, http1::Http1, http2::Http2, origin::Origin, outgoing::Outgoing,
    reply::Intake, stamped::Stamps,
};
use crate::timer::Slot;

/// The version of HTTP that a scenario speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    Http1,
    Http2,
}

impl Version {
    /// Gives a request the form that the version has: HTTP/2 names scheme and host with the path.
    pub(super) fn fit<B>(self, request: &mut Request<B>, origin: &Origin) {
        if self == Self::Http1 {
            return;
        }
        let path = request.uri().path_and_query().cloned();
        let scheme = if origin.is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Authority::try_from(origin.authority.as_bytes()).ok();
        parts.path_and_query = path;
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request.headers_mut().remove(header::HOST);
    }
}

/// A connection that speaks a version of HTTP.
pub(super) enum Wire {
    Http1(Http1),
    Http2(Http2),
}

impl Wire {
    /// Begins to speak on a connected transport.
    pub(super) async fn begin(transport: Transport, version: Version) -> hyper::Result<Self> {
        Ok(match version {
            Version::Http1 => Self::Http1(Http1::new(transport)),
            Version::Http2 => Self::Http2(Http2::handshake(transport).await?),
        })
    }

    /// Whether the peer has closed the connection, by asking the socket. HTTP/2 says so in frames of its own.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        match self {
            Self::Http1(wire) => wire.is_closed_by_peer(),
            Self::Http2(_) => false,
        }
    }

    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Http1(wire) => wire.is_ready(cx),
            Self::Http2(wire) => wire.is_ready(cx),
        }
    }

    pub(super) async fn round_trip(
        &mut self,
        request: &Outgoing<'_>,
        origin: &Origin,
        stamps: &Stamps,
        deadline: &Slot,
        intake: &mut impl Intake,
    ) -> Result<(), Failure> {
        match self {
            Self::Http1(wire) => wire.http1_round_trip(request, stamps, deadline, intake).await,
            // Its state is large; most round trips need not carry it.
            Self::Http2(wire) => {
                Box::pin(wire.http2_round_trip(request, origin, stamps, deadline, intake)).await
            }
        }
    }
}
