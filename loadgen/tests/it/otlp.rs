//! OTLP over both transports: receivers that go away, refuse, throttle, and what the summary says of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use assay_model::expo::MetricFamily;
use loadgen::{
    Summary,
    sink::{
        MetricsSink, SinkError,
        otlp::{Given, OtlpSink, Protocol, Settings, Signal},
    },
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    },
    metrics::v1::{metric::Data, number_data_point::Value},
};
use prost::Message as _;
use tonic::{Code, Status};

use crate::{
    receiver::{Answer, Receiver},
    server::{Do, Server, ok, raw, respond, run_with, tls_server},
};

fn settings(protocol: Protocol, url: &str) -> Settings {
    Settings::new(Signal::Metrics, protocol, url).unwrap_or_else(|e| panic!("{e}"))
}

fn sink(protocol: Protocol, receiver: &Receiver) -> OtlpSink {
    OtlpSink::start(&settings(protocol, &receiver.url()), "here").expect("a sender")
}

/// Counts what the run pushes.
struct Pushes(Arc<AtomicUsize>);

impl MetricsSink for Pushes {
    fn push(&mut self, _t_ms: i64, _families: &[MetricFamily]) -> Result<(), SinkError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A run of three seconds that pushes to a receiver; the summary, and how often it pushed.
fn run_against(protocol: Protocol, receiver: &Receiver) -> (Summary, usize) {
    let server = Server::start(|_| ok());
    let text = "scenario: t\nflow: [{name: q, get: /}, {think: 20ms}]\nphases: {p: {executor: constant-vus, vus: 2, duration: 3s}}\n";
    let pushes = Arc::new(AtomicUsize::new(0));
    let summary = run_with(&server, text, |o| {
        o.outputs.sinks = vec![Box::new(sink(protocol, receiver)), Box::new(Pushes(Arc::clone(&pushes)))];
    });
    (summary, pushes.load(Ordering::Relaxed))
}

/// The value of a counter in an export, over all its series.
fn counter(export: &ExportMetricsServiceRequest, name: &str) -> f64 {
    let metrics = export.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let sums = metrics.filter(|m| m.name == name).filter_map(|m| match &m.data {
        Some(Data::Sum(sum)) => Some(&sum.data_points),
        _ => None,
    });
    sums.flatten()
        .map(|p| match p.value {
            Some(Value::AsDouble(v)) => v,
            _ => panic!("not a float"),
        })
        .sum()
}

#[track_caller]
fn assert_nothing_is_lost(receiver: &Receiver, summary: &Summary, pushes: usize, problem: &str) {
    let exports = receiver.metrics();
    assert_eq!(exports.len(), pushes, "{:?}", summary.notes);
    let good: Vec<f64> = exports.iter().map(|e| counter(e, "load.requests.good")).collect();
    assert!(good.is_sorted(), "in order: {good:?}");
    assert_eq!(good.last(), Some(&(summary.requests as f64)), "the last export has all");
    assert_eq!((summary.errors, summary.export_failures), (0, 0));
    assert_eq!(summary.notes.len(), 1, "{:?}", summary.notes);
    let note = &summary.notes[0];
    assert!(note.contains("exports went out late, none was lost") && note.contains(problem), "{note}");
    assert!(!note.contains("for 0.0 s") && !note.contains("; 0 exports"), "{note}");
    assert!(summary.to_text().contains(note), "{}", summary.to_text());
    assert!(summary.warnings.iter().all(|w| !w.contains("exports")), "{:?}", summary.warnings);
}

const AWAY: Duration = Duration::from_millis(1200);

#[test]
fn an_http_receiver_that_is_away_in_the_middle_loses_nothing() {
    let receiver = Receiver::http(|n| match n {
        1 => Answer::TakeAndLeave(AWAY),
        2..=4 => Answer::Refuse(503, ""),
        _ => Answer::Take,
    });
    let (summary, pushes) = run_against(Protocol::HttpProtobuf, &receiver);
    assert_nothing_is_lost(&receiver, &summary, pushes, "503");
    let attempts = receiver.attempts();
    assert_eq!(attempts.len(), pushes + 3);
    assert!(attempts[0].head.starts_with("POST /v1/metrics HTTP/1.1"), "{}", attempts[0].head);
    // A refused export comes again as it was.
    assert!(attempts[2..=5].windows(2).all(|w| w[0].body == w[1].body));
}

#[test]
fn a_grpc_receiver_that_is_away_in_the_middle_loses_nothing() {
    let receiver = Receiver::grpc(|n| match n {
        1 => Answer::TakeAndLeave(AWAY),
        2..=4 => Answer::RefuseGrpc(Status::unavailable("starting")),
        _ => Answer::Take,
    });
    let (summary, pushes) = run_against(Protocol::Grpc, &receiver);
    assert_nothing_is_lost(&receiver, &summary, pushes, "starting");
    assert_eq!(receiver.attempts().len(), pushes + 3);
}

/// Pushes `n` empty exports and finishes.
fn push(sink: &mut OtlpSink, n: i64) {
    (0..n).for_each(|t| sink.push(t, &[]).expect("queued"));
    sink.finish().expect("finished");
}

#[test]
fn what_is_refused_for_good_is_counted_and_not_tried_again() {
    let receiver = Receiver::http(|_| Answer::Refuse(400, ""));
    let mut refused = sink(Protocol::HttpProtobuf, &receiver);
    push(&mut refused, 3);
    assert_eq!((refused.failures(), receiver.attempts().len()), (3, 3));
    assert!(refused.notes()[0].contains("400") && refused.notes()[0].ends_with("3 were lost"));

    let receiver = Receiver::grpc(|n| {
        // Without a word of when, a receiver without resources is one that refuses.
        let code = if n == 0 { Code::InvalidArgument } else { Code::ResourceExhausted };
        Answer::RefuseGrpc(Status::new(code, "no"))
    });
    let mut refused = sink(Protocol::Grpc, &receiver);
    push(&mut refused, 2);
    assert_eq!((refused.failures(), receiver.attempts().len()), (2, 2));
}

#[test]
fn a_receiver_that_never_comes_is_given_up_in_bounded_time() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let mut sink = OtlpSink::start(&settings(protocol, &url), "here").expect("a sender");
        let began = std::time::Instant::now();
        push(&mut sink, 50);
        // Ten seconds for all of them, not for each.
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        assert_eq!(sink.failures(), 50);
        let note = sink.notes().concat();
        assert!(note.contains("50 were lost") && note.contains("refused"), "{note}");
    }
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_it() {
    let receiver = Receiver::http(|n| match n {
        0 => Answer::Refuse(429, "retry-after: 1\r\n"),
        _ => Answer::Take,
    });
    push(&mut sink(Protocol::HttpProtobuf, &receiver), 1);
    let attempts = receiver.attempts();
    assert!(attempts[1].at - attempts[0].at >= Duration::from_secs(1));

    // `google.rpc.Status` with a `RetryInfo` of 1 s in its details, byte by byte.
    let info = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01";
    let mut details = vec![0x1a, u8::try_from(info.len()).expect("short")];
    details.extend_from_slice(info);
    let receiver = Receiver::grpc(move |n| match n {
        0 => {
            Answer::RefuseGrpc(Status::with_details(Code::ResourceExhausted, "busy", details.clone().into()))
        }
        _ => Answer::Take,
    });
    let mut sink = sink(Protocol::Grpc, &receiver);
    push(&mut sink, 1);
    let attempts = receiver.attempts();
    assert_eq!((sink.failures(), attempts.len()), (0, 2));
    assert!(attempts[1].at - attempts[0].at >= Duration::from_secs(1));
}

#[test]
fn what_a_receiver_throws_away_is_said() {
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 7, error_message: "old".to_owned() };
    let body = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let receiver = Receiver::http(move |_| Answer::TakeAndSay(body.clone()));
    let mut sink = sink(Protocol::HttpProtobuf, &receiver);
    push(&mut sink, 2);
    assert_eq!((sink.failures(), receiver.attempts().len()), (0, 2));
    assert!(sink.notes().concat().contains("threw away 14 data points"), "{:?}", sink.notes());
}

#[test]
fn headers_and_compression_of_the_environment_reach_the_receiver() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-org=one%2Ctwo"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
    ];
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let receiver = match protocol {
            Protocol::Grpc => Receiver::grpc(|_| Answer::Take),
            Protocol::HttpProtobuf => Receiver::http(|_| Answer::Take),
        };
        let given = Given {
            endpoint: Some(receiver.url()),
            protocol: Some(Protocol::HttpProtobuf).filter(|p| *p == protocol),
            ..Given::default()
        };
        let settings = Settings::resolve(Signal::Metrics, &given, |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        });
        let settings = settings.unwrap_or_else(|e| panic!("{e}")).expect("an endpoint");
        let mut sink = OtlpSink::start(&settings, "here").expect("a sender");
        push(&mut sink, 1);
        assert_eq!(receiver.metrics().len(), 1);
        let head = &receiver.attempts()[0].head;
        assert!(head.contains("one,two") && head.contains("gzip"), "{head}");
    }
}

#[test]
fn http_over_tls_trusts_the_certificate_it_is_given_and_no_other() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a directory");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, own.cert.pem()).expect("written");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .expect("a configuration");
    let server = tls_server(config, |_| ok());
    let given = Given { endpoint: Some(format!("https://{}", server.address)), ..Given::default() };
    let resolved = |ca: Option<&std::path::Path>| {
        let settings = Settings::resolve(Signal::Metrics, &given, |name| {
            ca.filter(|_| name == "OTEL_EXPORTER_OTLP_CERTIFICATE").map(|p| p.display().to_string())
        });
        settings.unwrap_or_else(|e| panic!("{e}")).expect("an endpoint")
    };
    let mut trusting = OtlpSink::start(&resolved(Some(&ca)), "here").expect("a sender");
    push(&mut trusting, 1);
    assert_eq!((trusting.failures(), server.seen().len()), (0, 1), "{:?}", trusting.notes());
    assert_eq!(server.seen()[0].line(), "POST /v1/metrics");
    let mut doubting = OtlpSink::start(&resolved(None), "here").expect("a sender");
    push(&mut doubting, 1);
    assert_eq!((doubting.failures(), server.seen().len()), (1, 1));
    assert!(doubting.notes()[0].contains("certificate"), "{:?}", doubting.notes());
}

#[test]
fn grpc_over_tls_trusts_the_certificate_it_is_given() {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let dir = tempfile::tempdir().expect("a directory");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, own.cert.pem()).expect("written");
    let identity = tonic::transport::Identity::from_pem(own.cert.pem(), own.signing_key.serialize_pem());
    let receiver = Receiver::grpc_with(Some(identity), |_| Answer::Take);
    let given = Given {
        endpoint: Some(format!("https://{}", receiver.address)),
        protocol: Some(Protocol::Grpc),
        ..Given::default()
    };
    let settings = Settings::resolve(Signal::Metrics, &given, |name| {
        (name == "OTEL_EXPORTER_OTLP_CERTIFICATE").then(|| ca.display().to_string())
    });
    let settings = settings.unwrap_or_else(|e| panic!("{e}")).expect("an endpoint");
    let mut sink = OtlpSink::start(&settings, "here").expect("a sender");
    push(&mut sink, 1);
    assert_eq!((sink.failures(), receiver.metrics().len()), (0, 1), "{:?}", sink.notes());
    std::fs::remove_file(&ca).expect("removed");
    let e = OtlpSink::start(&settings, "here").map(drop).expect_err("the file is gone");
    assert!(e.to_string().contains("ca.pem"), "{e}");
}

/// What a receiver could write on one connection before the other side went away.
fn endless_receiver() -> (String, std::sync::mpsc::Receiver<usize>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (written, counts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n";
            let (block, mut bytes) = (vec![b'x'; 64 << 10], 0);
            stream.write_all(head.as_bytes()).expect("a reader");
            while stream.write_all(&block).is_ok() {
                bytes += block.len();
            }
            let _ = written.send(bytes);
        }
    });
    (url, counts)
}

#[test]
fn a_receiver_that_answers_without_end_is_not_listened_to() {
    let (url, counts) = endless_receiver();
    let mut sink = OtlpSink::start(&settings(Protocol::HttpProtobuf, &url), "here").expect("a sender");
    push(&mut sink, 3);
    assert_eq!(sink.failures(), 0, "{:?}", sink.notes());
    for bytes in counts.iter().take(3) {
        // What the kernel takes in for a reader that does not read.
        assert!(bytes < 32 << 20, "{bytes} bytes");
    }
}

#[test]
fn a_receiver_that_drips_does_not_hold_a_run() {
    let server = Server::start(|_| {
        let head = raw("HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n");
        let drop = [raw("1\r\nx\r\n"), Do::Wait(Duration::from_millis(100))];
        [head].into_iter().chain(drop.into_iter().cycle().take(10_000)).collect()
    });
    let began = std::time::Instant::now();
    let mut sink =
        OtlpSink::start(&settings(Protocol::HttpProtobuf, &server.url()), "here").expect("a sender");
    push(&mut sink, 20);
    // Ten seconds for all of them, not ten for each.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(sink.failures(), 20);
}

#[test]
fn a_redirect_takes_no_headers_to_another_receiver() {
    let other = Server::start(|_| ok());
    let to = format!("location: {}/v1/metrics\r\n", other.url());
    let server = Server::start(move |_| respond(308, &to, ""));
    let mut sink =
        OtlpSink::start(&settings(Protocol::HttpProtobuf, &server.url()), "here").expect("a sender");
    push(&mut sink, 1);
    assert!(sink.notes().concat().contains("redirects are not followed"), "{:?}", sink.notes());
    assert_eq!((sink.failures(), other.seen().len()), (1, 0));
}
