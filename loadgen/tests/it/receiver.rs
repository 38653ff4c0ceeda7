//! Receivers of OTLP that answer by a script and keep what they took: plain sockets for HTTP, tonic's server with
//! the generated services for gRPC. Invariant: they share no code with the sender they judge.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::Server as GrpcServer};

/// What a receiver does with an export.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Takes it.
    Take,
    /// Takes it, says this, and is away for a while then: nobody listens.
    TakeAndLeave(Duration),
    /// Takes it with this body.
    TakeAndSay(Vec<u8>),
    /// Refuses it with this status and these headers.
    Refuse(u16, &'static str),
    /// Refuses it over gRPC.
    RefuseGrpc(Status),
}

/// An export that was attempted.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) at: Instant,
    /// The request line and the headers; over gRPC the metadata.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_taken: bool,
}

type Script = dyn Fn(usize) -> Answer + Send + Sync;
type Log = Arc<Mutex<Vec<Attempt>>>;

/// A receiver that runs as long as the test.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    log: Log,
}

impl Receiver {
    /// Over HTTP; `script` answers the attempts by their number.
    pub(crate) fn http(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, log) = (listener.local_addr().expect("an address"), Log::default());
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut listener = Some(listener);
            loop {
                let open = listener.take().unwrap_or_else(|| TcpListener::bind(address).expect("the port"));
                let (stream, _) = open.accept().expect("a connection");
                // A receiver that leaves takes its listener along before it answers for the last time.
                let mut open = Some(open);
                let away = serve(stream, &shared, &script, &mut open);
                std::thread::sleep(away);
                listener = open;
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All attempts so far.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.log.lock().expect("no panic").clone()
    }

    /// The metrics that were taken, in order.
    pub(crate) fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.taken()
    }

    /// The traces that were taken, in order.
    pub(crate) fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        self.taken()
    }

    fn taken<M: prost::Message + Default>(&self) -> Vec<M> {
        let attempts = self.attempts();
        let taken = attempts.iter().filter(|a| a.is_taken);
        taken.map(|a| M::decode(unpacked(a).as_slice()).expect("a message")).collect()
    }

    /// Over gRPC.
    pub(crate) fn grpc(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::grpc_with(None, script)
    }

    /// Over gRPC with TLS, where there is a certificate and its key.
    pub(crate) fn grpc_with(
        identity: Option<tonic::transport::Identity>,
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, log) = (listener.local_addr().expect("an address"), Log::default());
        drop(listener);
        let (shared, script): (Log, Arc<Script>) = (Arc::clone(&log), Arc::new(script));
        let (ready, is_ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                loop {
                    let listener = tokio::net::TcpListener::bind(address).await.expect("the port");
                    let _ = ready.send(());
                    let away = serve_grpc(listener, identity.clone(), &shared, &script).await;
                    tokio::time::sleep(away).await;
                }
            });
        });
        is_ready.recv().expect("it starts");
        Self { address, log }
    }
}

fn unpacked(attempt: &Attempt) -> Vec<u8> {
    if !attempt.head.to_ascii_lowercase().contains("content-encoding: gzip") {
        return attempt.body.clone();
    }
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(attempt.body.as_slice()).read_to_end(&mut out).expect("gzip");
    out
}

fn note(log: &Log, head: String, body: Vec<u8>, script: &Script) -> Answer {
    let mut log = log.lock().expect("no panic");
    let answer = script(log.len());
    let is_taken = matches!(answer, Answer::Take | Answer::TakeAndLeave(_) | Answer::TakeAndSay(_));
    log.push(Attempt { at: Instant::now(), head, body, is_taken });
    answer
}

/// Serves a connection until it ends; how long the receiver is away then.
fn serve(mut stream: TcpStream, log: &Log, script: &Script, listener: &mut Option<TcpListener>) -> Duration {
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = read_request(&mut stream, &mut buffer) else { return Duration::ZERO };
        let answer = note(log, head, body, script);
        let (status, headers, body) = match &answer {
            Answer::Take | Answer::TakeAndLeave(_) => (200, "", Vec::new()),
            Answer::TakeAndSay(body) => (200, "content-type: application/x-protobuf\r\n", body.clone()),
            Answer::Refuse(status, headers) => (*status, *headers, b"not now".to_vec()),
            Answer::RefuseGrpc(status) => panic!("{status} over HTTP"),
        };
        let away = match answer {
            Answer::TakeAndLeave(away) => {
                *listener = None;
                Some(away)
            }
            _ => None,
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() || away.is_some() {
            return away.unwrap_or_default();
        }
    }
}

fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut piece = [0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).expect("a text head");
            let length = head.lines().find_map(|l| {
                let (name, value) = l.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
            });
            let length = length.expect("a length").expect("a number");
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
        buffer.extend_from_slice(&piece[..n]);
    }
}

/// The services of gRPC.
#[derive(Clone)]
struct Services {
    log: Log,
    script: Arc<Script>,
    leave: tokio::sync::mpsc::UnboundedSender<Duration>,
}

async fn serve_grpc(
    listener: tokio::net::TcpListener,
    identity: Option<tonic::transport::Identity>,
    log: &Log,
    script: &Arc<Script>,
) -> Duration {
    let (leave, mut leaving) = tokio::sync::mpsc::unbounded_channel();
    let services = Services { log: Arc::clone(log), script: Arc::clone(script), leave };
    let mut builder = GrpcServer::builder();
    if let Some(identity) = identity {
        let tls = tonic::transport::ServerTlsConfig::new().identity(identity);
        builder = builder.tls_config(tls).expect("a certificate");
    }
    let router = builder
        .add_service(MetricsServiceServer::new(services.clone()).accept_compressed(CompressionEncoding::Gzip))
        .add_service(TraceServiceServer::new(services).accept_compressed(CompressionEncoding::Gzip));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let mut away = Duration::ZERO;
    let served = router.serve_with_incoming_shutdown(incoming, async {
        away = leaving.recv().await.unwrap_or_default();
    });
    served.await.expect("it serves");
    away
}

impl Services {
    fn answer<M: prost::Message, R: Default>(&self, request: &Request<M>) -> Result<Response<R>, Status> {
        let head = format!("{:?}", request.metadata());
        match note(&self.log, head, request.get_ref().encode_to_vec(), &*self.script) {
            Answer::Take => Ok(Response::new(R::default())),
            Answer::TakeAndLeave(away) => {
                self.leave.send(away).expect("the server runs");
                Ok(Response::new(R::default()))
            }
            Answer::RefuseGrpc(status) => Err(status),
            other => panic!("{other:?} over gRPC"),
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Services {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.answer(&request)
    }
}

#[tonic::async_trait]
impl TraceService for Services {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.answer(&request)
    }
}
