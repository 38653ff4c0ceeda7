//! OTLP over gRPC. Invariant: the codes that are tried again are those that the OTLP specification (1.7,
//! "Failures" of OTLP/gRPC) names; a receiver without resources is tried again only where it says when.

use std::{path::Path, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::{
    Code, Request, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataKey, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    settings::{Settings, Signal},
    transport::Problem,
};
use crate::sink::SinkError;

pub(super) struct Grpc {
    client: tonic::client::Grpc<Channel>,
    path: PathAndQuery,
    headers: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
}

impl Grpc {
    /// A channel that connects when the first message is sent, and again whenever it has to.
    pub(super) fn new(settings: &Settings) -> Result<Self, SinkError> {
        let mut endpoint = Endpoint::from_shared(settings.url.to_string())
            .and_then(|e| e.user_agent(concat!("assay-loadgen/", env!("CARGO_PKG_VERSION"))))
            .map_err(SinkError::new)?
            .connect_timeout(settings.timeout);
        if settings.url.scheme() == "https" {
            endpoint = endpoint.tls_config(tls(settings)?).map_err(SinkError::new)?;
        }
        let mut client = tonic::client::Grpc::new(endpoint.connect_lazy());
        if settings.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let headers = settings
            .headers
            .iter()
            .map(|(name, value)| {
                let key = name.parse().map_err(|_| invalid(name))?;
                let value = value.parse().map_err(|_| invalid(name))?;
                Ok((key, value))
            })
            .collect::<Result<_, SinkError>>()?;
        Ok(Self { client, path: PathAndQuery::from_static(path(settings.signal)), headers })
    }

    /// Calls the receiver with a message and gives its answer.
    pub(super) async fn send(&mut self, message: Bytes, within: Duration) -> Result<Bytes, Problem> {
        match tokio::time::timeout(within, self.call(message, within)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(problem(&status)),
            Err(_) => Err(Problem::Passing { what: format!("no answer within {within:?}"), wait: None }),
        }
    }

    async fn call(&mut self, message: Bytes, within: Duration) -> Result<Bytes, Status> {
        self.client.ready().await.map_err(|e| Status::unavailable(cause(&e)))?;
        let mut request = Request::new(message);
        request.set_timeout(within);
        for (key, value) in &self.headers {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        let answer = self.client.unary(request, self.path.clone(), Encoded).await?;
        Ok(answer.into_inner())
    }
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    }
}

/// The message leaves the value out, for headers carry secrets.
fn invalid(header: &str) -> SinkError {
    SinkError::new(format!("the header {header} is not valid in gRPC"))
}

fn tls(settings: &Settings) -> Result<ClientTlsConfig, SinkError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|e| SinkError::new(format!("{}: {e}", path.display())));
    let mut tls = ClientTlsConfig::new().with_native_roots();
    if let Some(ca) = &settings.ca {
        tls = tls.ca_certificate(Certificate::from_pem(read(ca)?));
    }
    if let Some((chain, key)) = &settings.client {
        tls = tls.identity(Identity::from_pem(read(chain)?, read(key)?));
    }
    Ok(tls)
}

fn problem(status: &Status) -> Problem {
    let wait = retry_delay(status.details());
    let is_passing = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::ResourceExhausted => wait.is_some(),
        _ => false,
    };
    let text: String = status.message().chars().take(200).collect();
    let cause = std::error::Error::source(status).map(|e| format!(": {}", cause(e))).unwrap_or_default();
    let what = format!("{:?} {text}{cause}", status.code());
    if is_passing { Problem::Passing { what, wait } } else { Problem::Final(what) }
}

/// The innermost cause, which says what happened.
fn cause(e: &dyn std::error::Error) -> String {
    let mut source = e;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

/// `google.rpc.Status`, as far as it is read here.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The wait that a receiver asks for in the details of its status.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let info = status.details.iter().find(|d| d.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    let nanos = u32::try_from(delay.nanos).ok().filter(|n| *n < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(delay.seconds).ok()?, nanos))
}

/// Messages are encoded when they are queued, so they pass through as they are.
#[derive(Clone, Copy, Debug)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(seconds: i64) -> Bytes {
        let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos: 5 }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        RpcStatus { details: vec![any] }.encode_to_vec().into()
    }

    #[test]
    fn codes_are_tried_again_as_the_specification_says() {
        for code in (0..=16).map(Code::from_i32) {
            let want = matches!(code as i32, 1 | 4 | 10 | 11 | 14 | 15);
            let got = matches!(problem(&Status::new(code, "x")), Problem::Passing { wait: None, .. });
            assert_eq!(got, want, "{code:?}");
        }
        let exhausted = Status::with_details(Code::ResourceExhausted, "busy", details(3));
        let Problem::Passing { wait, .. } = problem(&exhausted) else { panic!("not tried again") };
        assert_eq!(wait, Some(Duration::new(3, 5)));
        let wrong = Status::with_details(Code::Unavailable, "x", details(-1));
        assert!(matches!(problem(&wrong), Problem::Passing { wait: None, .. }));
    }
}
