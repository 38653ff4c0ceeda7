//! HTTP/2 with prior knowledge.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

type Log = Arc<Mutex<Vec<String>>>;

async fn answer(request: Request<Incoming>, log: Log) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let line = format!("{:?} {} {} {}", head.version, head.method, head.uri, String::from_utf8_lossy(&body));
    log.lock().expect("no panic").push(line);
    Ok(Response::new(Full::from(r#"{"token":"t"}"#)))
}

fn serve() -> (SocketAddr, Log) {
    let log = Log::default();
    let (shared, (sender, receiver)) = (Arc::clone(&log), mpsc::channel());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            sender.send(listener.local_addr().expect("an address")).expect("heard");
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&shared);
                let service = service_fn(move |request| answer(request, Arc::clone(&log)));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (receiver.recv().expect("it listens"), log)
}

#[test]
fn requests_go_over_http2() {
    let (address, log) = serve();
    let text = format!(
        "scenario: t\ntarget: http://{address}\nhttp: 2\nhealth: /health\nflow:\n  - {{post: /a, json: {{x: 1}}, capture: {{token: $.token}}}}\n  - {{get: '/b/{{{{ token }}}}'}}\nphases: {{p: {{executor: per-vu-iterations, vus: 2, iterations: 2}}}}\n"
    );
    let scenario = loadgen::Scenario::from_text("s.yml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let options = loadgen::RunOptions::new(Arc::new(scenario));
    let summary =
        runtime.expect("a runtime").block_on(loadgen::run(options)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((summary.requests, summary.errors), (8, 0), "{}", summary.to_text());
    let mut log = log.lock().expect("no panic").clone();
    log.sort();
    let of = |what: &str| log.iter().filter(|l| l.as_str() == what).count();
    assert_eq!(of(&format!("HTTP/2.0 GET http://{address}/health ")), 1, "{log:?}");
    assert_eq!(of(&format!("HTTP/2.0 POST http://{address}/a {{\"x\":1}}")), 4);
    assert_eq!(of(&format!("HTTP/2.0 GET http://{address}/b/t ")), 4);
    for step in &summary.phases[0].steps {
        assert!(step.duration.min > 0.0 && step.duration.max < 1.0);
    }
}
