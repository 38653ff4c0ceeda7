//! What Prometheus scrapes over protobuf reads the same as it answers: native histograms, exemplars, metadata.

mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use assay_model::{MetricType, Queryable};
use assay_tsdb::{Database, OpenOptions};
use common::{assert_same, histogram, peer::Server, peer::peer, proto::Message, read_all};

/// A delimited `io.prometheus.client.MetricFamily`.
fn family(name: &str, kind: u64, metric: &Message) -> Vec<u8> {
    let family = Message::default()
        .bytes(1, name.as_bytes())
        .bytes(2, b"Help, with \"quotes\".")
        .int(3, kind)
        .bytes(4, &metric.0);
    let mut out = Message::default().bytes(0, &family.0).0;
    // Without its key a length-delimited field is a delimited message.
    out.remove(0);
    out
}

fn exposition(n: u64) -> Vec<u8> {
    let label = Message::default().bytes(1, b"path").bytes(2, b"/search");
    let trace = Message::default().bytes(1, b"trace_id").bytes(2, format!("{n:032x}").as_bytes());
    let exemplar = Message::default().bytes(1, &trace.0).double(2, n as f64 / 2.0);
    let counter = Message::default().double(1, n as f64).bytes(2, &exemplar.0);
    let h = histogram(n);
    let native = Message::default()
        .int(1, h.count)
        .double(2, h.sum)
        .signed(5, i64::from(h.schema))
        .double(6, h.zero_threshold)
        .int(7, h.zero_count)
        .spans(9, &h.negative_spans)
        .packed_signed(10, &h.negative_buckets)
        .spans(12, &h.positive_spans)
        .packed_signed(13, &h.positive_buckets);
    let gauge = Message::default().double(1, f64::NAN);
    [
        family("requests_total", 0, &Message::default().bytes(1, &label.0).bytes(3, &counter.0)),
        family("duration_seconds", 4, &Message::default().bytes(1, &label.0).bytes(7, &native.0)),
        family("temperature", 1, &Message::default().bytes(2, &gauge.0)),
    ]
    .concat()
}

fn answer(mut stream: TcpStream, scrapes: &AtomicU64) -> std::io::Result<()> {
    let mut request = [0; 4096];
    while stream.read(&mut request)? > 0 {
        let body = exposition(scrapes.fetch_add(1, Ordering::Relaxed) + 1);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/vnd.google.protobuf; \
             proto=io.prometheus.client.MetricFamily; encoding=delimited\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat())?;
    }
    Ok(())
}

#[test]
fn scraped_over_protobuf() {
    if peer("prometheus").is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let target = listener.local_addr().expect("has an address");
    let scrapes = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&scrapes);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A scrape that is broken off is the scraper's business.
            answer(stream, &counter).ok();
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let config = format!(
        "global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\n\
         scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let flags = ["--enable-feature=exemplar-storage,metadata-wal-records"];
    let server = Server::start(&data, &config, &flags).expect("has peers");
    server.wait("scrapes", |_| scrapes.load(Ordering::Relaxed) > 140);
    std::fs::write(dir.path().join("prometheus.yml"), "global: {}\n").expect("writes");
    server.post("/-/reload");
    let (mut want, mut same) = (server.read_all(), 0);
    server.wait("has stopped scraping", |s| {
        let now = s.read_all();
        same = if now == want { same + 1 } else { 0 };
        want = now;
        same == 20
    });
    let db = Database::open(&data, OpenOptions::default()).expect("opens");
    assert_same(&read_all(&db), &want, "live");
    let (_, api) = server.get("/api/v1/query_exemplars?query=requests_total&start=0&end=9999999999");
    server.stop();
    let db = Database::open(&data, OpenOptions::default()).expect("opens");
    assert_eq!(db.warnings(), []);
    assert_same(&read_all(&db), &want, "stopped");
    let histograms = want.iter().find(|(name, _)| name.starts_with("duration_seconds{")).expect("is there").1;
    assert!(histograms.len() > 100 && histograms[5].1.contains("schema 3"), "{:?}", histograms[5]);
    let exemplars = db.exemplars(&[], i64::MIN, i64::MAX).expect("reads");
    assert_eq!(exemplars.len(), 1);
    assert!(exemplars[0].1.len() > 100);
    for e in &exemplars[0].1 {
        let trace = e.labels.get("trace_id").expect("has a trace");
        assert!(
            api.contains(&format!(r#"{{"labels":{{"trace_id":"{trace}"}},"value":"{}""#, e.value)),
            "{trace}"
        );
    }
    let meta = db.metadata("duration_seconds").expect("is known");
    assert_eq!((meta.metric_type, meta.help.as_str()), (MetricType::Histogram, "Help, with \"quotes\"."));
}
