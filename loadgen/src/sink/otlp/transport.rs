//! One message to the receiver, over either protocol. Invariant: an answer is taken, to be tried again, or
//! final, as the OTLP specification (1.7) divides them; nothing else comes out.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;

use super::{
    grpc::Grpc,
    http::Http,
    settings::{Protocol, Settings},
};
use crate::sink::SinkError;

/// A connection to the receiver, made when it is needed.
pub(super) enum Transport {
    Http(Box<Http>),
    Grpc(Box<Grpc>),
}

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Problem {
    /// Trying again will not help.
    Final(String),
    /// It may, not before `wait` where the receiver says so.
    Passing { what: String, wait: Option<Duration> },
}

/// What a receiver that took the message says of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Data points or spans that it threw away.
    pub(super) rejected: u64,
    pub(super) message: String,
}

impl Transport {
    /// A transport for the settings; nothing is connected yet. To be called inside the runtime.
    pub(super) fn new(settings: &Settings) -> Result<Self, SinkError> {
        Ok(match settings.protocol {
            Protocol::HttpProtobuf => Self::Http(Box::new(Http::new(settings)?)),
            Protocol::Grpc => Self::Grpc(Box::new(Grpc::new(settings)?)),
        })
    }

    /// Sends one message and waits for the answer, at most `within`.
    pub(super) async fn send(&mut self, message: Bytes, within: Duration) -> Result<Taken, Problem> {
        let answer = match self {
            Self::Http(http) => http.send(message, within).await?,
            Self::Grpc(grpc) => grpc.send(message, within).await?,
        };
        Ok(taken(&answer))
    }
}

/// Reads an answer. The answers of all signals have the same form: `partial_success` with a count and a text.
fn taken(answer: &[u8]) -> Taken {
    // A body that is something else, which some receivers send, says nothing of rejections.
    let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.map_or_else(Taken::default, |p| Taken {
        rejected: u64::try_from(p.rejected_data_points).unwrap_or(0),
        message: p.error_message,
    })
}
