//! The same run seen three ways: recorded by us, pushed over OTLP into VictoriaMetrics, scraped by Prometheus.
//! The series, their labels and their counts are the same.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use assay_model::{Column, Labels, Queryable as _};
use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Run};
use loadgen::sink::{
    exposition::Exposition,
    otlp::{OtlpSink, Protocol, Settings, Signal},
    recorder::RecorderSink,
};

use crate::server::{Server, respond, run_with};

const SCENARIO: &str = "
scenario: t
flow:
  - {name: good, get: /good, check: {status: 200}}
  - {name: bad, get: /bad, check: {status: 200}}
phases:
  warm: {executor: per-vu-iterations, vus: 2, iterations: 5, warmup: true}
  main: {executor: constant-arrival-rate, rate: 100/s, duration: 1s}
";

/// By name and labels, without `job` and `instance`: the last value, of a histogram its count.
type Seen = BTreeMap<String, f64>;

fn server() -> Server {
    Server::start(|seen| respond(if seen.line() == "GET /bad" { 503 } else { 200 }, "", "ok"))
}

fn key(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> String {
    const LEFT_OUT: [&str; 7] =
        ["__name__", "job", "instance", "service_name", "service_instance_id", "service_version", "le"];
    let labels: BTreeMap<String, String> = labels
        .into_iter()
        .filter(|(n, _)| !LEFT_OUT.contains(&n.as_str()) && !n.starts_with("scope_"))
        .collect();
    format!("{name}{labels:?}")
}

fn recorded(dir: &Path) -> (Seen, Vec<(Labels, Column)>) {
    let run = Run::open(dir).unwrap_or_else(|e| panic!("{e}"));
    let series = run.database.select(&[], i64::MIN, i64::MAX).expect("readable");
    let (mut seen, mut columns) = (Seen::new(), Vec::new());
    for s in series {
        let mut column = Column::default();
        s.read(i64::MIN, i64::MAX, &mut column).expect("readable");
        let labels = s.labels();
        assert_eq!((labels.get("job"), labels.get("instance")), (Some("loadgen"), Some("here")));
        let last = match column.histograms.last() {
            Some(h) => h.count,
            None => *column.values.last().expect("a sample"),
        };
        let pairs = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
        seen.insert(key(labels.metric_name(), pairs), last);
        columns.push((labels.clone(), column));
    }
    (seen, columns)
}

/// Records a run into `dir` and gives what the record says.
fn record(
    dir: &Path,
    sinks: Vec<Box<dyn loadgen::sink::MetricsSink>>,
) -> (loadgen::Summary, Seen, Vec<(Labels, Column)>) {
    let recorder =
        Recorder::create(dir, Manifest::new("t", assay_run::time::now_ms()), &RecorderOptions::default());
    let recorder = Arc::new(recorder.unwrap_or_else(|e| panic!("{e}")));
    let server = server();
    let sink = RecorderSink::new(Arc::clone(&recorder), "here");
    let summary = run_with(&server, SCENARIO, |o| {
        o.sinks = sinks;
        o.sinks.push(Box::new(sink));
    });
    let recorder = Arc::try_unwrap(recorder).unwrap_or_else(|_| panic!("the run let go of its sinks"));
    recorder.finish(Outcome::Finished).unwrap_or_else(|e| panic!("{e}"));
    let (seen, columns) = recorded(dir);
    (summary, seen, columns)
}

#[test]
fn the_record_has_every_request_and_begins_at_zero() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path().join("run");
    let (summary, seen, columns) = record(&dir, Vec::new());
    assert_eq!((summary.requests, summary.errors), (220, 110));
    let count = |parts: &[&str]| -> f64 {
        let of = |k: &&String| parts.iter().all(|p| k.contains(p));
        seen.iter().filter(|(k, _)| of(k)).map(|(_, v)| v).sum()
    };
    let durations = "http_client_request_duration_seconds";
    assert_eq!(count(&[durations, r#""load_phase": "main""#, r#""load_step": "good""#]), 100.0);
    assert_eq!(count(&[durations, r#""error_type": "503""#, r#""http_response_status_code": "503""#]), 110.0);
    assert_eq!(count(&["load_request_latency_seconds"]), 220.0);
    assert_eq!(count(&["load_checks_total", r#""result": "fail""#]), 110.0);
    assert_eq!(count(&["load_iterations_total"]), 110.0);
    // A series that can be foreseen is at zero before the first phase; one that cannot gets a zero when it
    // appears, so that an increase over the phase has all of it.
    let manifest = Manifest::read(&dir).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(manifest.phases.len(), 2);
    assert!(manifest.phases[0].warmup && manifest.phases[1].end_ms.is_some());
    for (labels, column) in &columns {
        if labels.metric_name() == durations {
            assert_eq!(column.histograms[0].count, 0.0, "{labels}");
            if labels.get("error_type").is_none() {
                assert!(column.histogram_times[0] <= manifest.phases[0].start_ms, "{labels}");
            }
        }
    }
    // In a phase's window lie all of its requests, and none of another's.
    let phase = &manifest.phases[1];
    for (labels, column) in columns.iter().filter(|(l, _)| l.get("load_phase") == Some("main")) {
        for (t, h) in column.histogram_times.iter().zip(&column.histograms) {
            assert!(*t > phase.start_ms + 1 || h.count == 0.0, "{labels} at {t}");
            assert!(
                *t < phase.end_ms.unwrap_or(0) || h.count == column.histograms.last().expect("one").count
            );
        }
    }
}

fn peers() -> Option<PathBuf> {
    match std::env::var_os("ASSAY_PEERS") {
        Some(dir) => Some(dir.into()),
        None if std::env::var_os("CI").is_some() => panic!("ASSAY_PEERS is not set"),
        None => {
            eprintln!("left out: ASSAY_PEERS is not set");
            None
        }
    }
}

/// A peer that is ended with the test.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(program: &Path, arguments: impl FnOnce(SocketAddr) -> Vec<String>, ready: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut command = Command::new(program);
        command.args(arguments(address)).stdout(Stdio::null()).stderr(Stdio::null());
        let peer = Self { child: command.spawn().expect("the peer starts"), address };
        wait_for(|| peer.get(ready).is_some());
        peer
    }

    /// The body of a successful answer.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// The last values of the series that a selector names.
    fn series(&self, selector: &str) -> Seen {
        let query: String = url::form_urlencoded::byte_serialize(selector.as_bytes()).collect();
        let Some(body) = self.get(&format!("/api/v1/query?query={query}")) else { return Seen::new() };
        let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let mut seen = Seen::new();
        for series in answer["data"]["result"].as_array().into_iter().flatten() {
            let metric = series["metric"].as_object().expect("labels");
            let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
            let name = metric.get("__name__").map(text).unwrap_or_default();
            let value = match &series["histogram"] {
                serde_json::Value::Null => text(&series["value"][1]),
                histogram => text(&histogram[1]["count"]),
            };
            let labels = metric.iter().map(|(n, v)| (n.clone(), text(v)));
            seen.insert(key(&name, labels), value.parse().expect("a number"));
        }
        seen
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "the peer did not get there in time");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn assert_same(ours: &Seen, theirs: &Seen) {
    let missing: Vec<_> = ours.keys().filter(|k| !theirs.contains_key(*k)).collect();
    let more: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).collect();
    assert!(missing.is_empty() && more.is_empty(), "they lack {missing:#?}\nwe lack {more:#?}");
    for (k, v) in ours {
        assert!((theirs[k] - v).abs() < 1e-9, "{k}: {v} and {}", theirs[k]);
    }
}

#[test]
fn prometheus_scrapes_the_same_series() {
    let Some(peers) = peers() else { return };
    let temporary = tempfile::tempdir().expect("a directory");
    let exposition = Exposition::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let config = temporary.path().join("prometheus.yml");
    let scrape = format!(
        "scrape_configs:\n- job_name: scraped\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs: [{{targets: ['{}']}}]\n",
        exposition.address()
    );
    std::fs::write(&config, scrape).expect("written");
    let prometheus = Peer::start(
        &peers.join("prometheus"),
        |address| {
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", temporary.path().join("tsdb").display()),
                format!("--web.listen-address={address}"),
                "--enable-feature=native-histograms".to_owned(),
            ]
        },
        "/-/ready",
    );
    let (_, ours, _) = record(&temporary.path().join("run"), vec![Box::new(exposition)]);
    assert!(ours.len() > 60, "{}", ours.len());
    let last = "sum(load_iterations_total)";
    wait_for(|| prometheus.series(last).values().eq(&[110.0]));
    assert_same(&ours, &prometheus.series("{__name__=~\"load_.*|http_client_.*|gen_ai_.*\"}"));
}

#[test]
fn victoria_metrics_sees_the_same_series_over_otlp() {
    let Some(peers) = peers() else { return };
    let temporary = tempfile::tempdir().expect("a directory");
    let victoria = Peer::start(
        &peers.join("victoria-metrics"),
        |address| {
            vec![
                format!("-httpListenAddr={address}"),
                format!("-storageDataPath={}", temporary.path().join("vm").display()),
                "-opentelemetry.usePrometheusNaming".to_owned(),
                "-search.latencyOffset=0s".to_owned(),
            ]
        },
        "/health",
    );
    let endpoint = format!("http://{}/opentelemetry", victoria.address);
    let settings = Settings::new(Signal::Metrics, Protocol::HttpProtobuf, &endpoint);
    let otlp = OtlpSink::start(&settings.unwrap_or_else(|e| panic!("{e}")), "here").expect("a sender");
    let (_, ours, _) = record(&temporary.path().join("run"), vec![Box::new(otlp)]);
    // VictoriaMetrics keeps a histogram's count as a series of its own.
    let is_histogram = |k: &str| k.split('{').next().is_some_and(|n| n.ends_with("_seconds"));
    let want: Seen = ours
        .iter()
        .map(|(k, v)| (if is_histogram(k) { k.replacen('{', "_count{", 1) } else { k.clone() }, *v))
        .collect();
    victoria.get("/internal/force_flush");
    let selector = "{__name__=~\"load_.*|http_client_.*\",__name__!~\".*_(bucket|sum)\"}";
    wait_for(|| victoria.series(selector).len() >= want.len());
    assert_same(&want, &victoria.series(selector));
}
