//! One run seen three ways: recorded by us, pushed over OTLP into VictoriaMetrics, scraped by Prometheus. The
//! series have the same names, labels and values, over all families.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use assay_model::MetricType;
use assay_testkit::{Program, Prometheus, http, peer};
use loadgen::{
    measure::names::INSTRUMENTS,
    sink::{
        exposition::Exposition,
        otlp::{OtlpSink, Protocol, Settings, Signal},
    },
};

use crate::{
    record::{finish, recorded, recorder},
    server::{Server, raw, respond, run_with},
};

/// Every instrument has something to say in this: a stream, a status that is not expected, a request that is sent
/// again, a check that fails, arrivals for which no user is free.
const SCENARIO: &str = "
scenario: t
timeout: 5s
flow:
  - {name: good, get: /good, check: {status: 200, body: {contains: k}}}
  - {name: ask, post: /ask, json: {q: 1}, stream: sse}
  - {name: bad, get: /bad, retries: 1, check: {status: 200}}
phases:
  warm: {executor: per-vu-iterations, vus: 2, iterations: 5, warmup: true}
  main: {executor: constant-arrival-rate, rate: 200/s, duration: 1s, pre_allocated_vus: 1, max_vus: 1}
";

/// By name and labels, without those that say who looked: the last value; of a histogram `_count` and `_sum`.
type Seen = BTreeMap<String, f64>;

fn server() -> Server {
    Server::start(|seen| match seen.line() {
        "GET /bad" => respond(503, "", "no"),
        "POST /ask" => {
            let body = "data: {\"token\":\"a\"}\n\ndata: {\"token\":\"b\"}\n\ndata: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            vec![raw(head), crate::server::Do::Wait(Duration::from_millis(8)), raw(body)]
        }
        _ => respond(200, "", "ok"),
    })
}

fn key(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> String {
    const LEFT_OUT: [&str; 7] =
        ["__name__", "job", "instance", "service_name", "service_instance_id", "service_version", "vmrange"];
    let labels: BTreeMap<String, String> = labels
        .into_iter()
        .filter(|(n, _)| !LEFT_OUT.contains(&n.as_str()) && !n.starts_with("scope_"))
        .collect();
    format!("{name}{labels:?}")
}

/// What the record says, and the names of its families.
fn of_record(dir: &Path) -> (Seen, BTreeSet<String>) {
    let (mut seen, mut families) = (Seen::new(), BTreeSet::new());
    for (labels, column) in recorded(dir) {
        let name = labels.metric_name();
        families.insert(name.to_owned());
        let pairs = || labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
        match column.histograms.last() {
            Some(h) => {
                seen.insert(key(&format!("{name}_count"), pairs()), h.count);
                seen.insert(key(&format!("{name}_sum"), pairs()), h.sum);
            }
            None => {
                seen.insert(key(name, pairs()), *column.values.last().expect("a sample"));
            }
        }
    }
    (seen, families)
}

/// What a server's query API gives for a selector: a native histogram as its count and sum. Series that are the
/// same but for a label that is left out add up.
fn of_server(address: &str, selector: &str) -> Seen {
    let path = format!("/api/v1/query?query={}", http::encode(selector));
    let Ok(answer) = http::get(address, &path) else { return Seen::new() };
    let answer = answer.json();
    let mut seen = Seen::new();
    for series in answer["data"]["result"].as_array().into_iter().flatten() {
        let metric = series["metric"].as_object().expect("labels");
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let name = metric.get("__name__").map(text).unwrap_or_default();
        let mut add = |suffix: &str, value: &serde_json::Value| {
            let labels = metric.iter().map(|(n, v)| (n.clone(), text(v)));
            let value: f64 = text(value).parse().expect("a number");
            *seen.entry(key(&format!("{name}{suffix}"), labels)).or_default() += value;
        };
        match &series["histogram"] {
            serde_json::Value::Null => add("", &series["value"][1]),
            histogram => {
                add("_count", &histogram[1]["count"]);
                add("_sum", &histogram[1]["sum"]);
            }
        }
    }
    seen
}

fn difference(ours: &Seen, theirs: &Seen) -> Option<String> {
    let missing: Vec<_> = ours.keys().filter(|k| !theirs.contains_key(*k)).collect();
    let more: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).collect();
    let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    let other: Vec<_> = ours
        .iter()
        .filter_map(|(k, v)| theirs.get(k).filter(|t| !is_near(*v, **t)).map(|t| format!("{k}: {v} and {t}")))
        .collect();
    let is_same = missing.is_empty() && more.is_empty() && other.is_empty();
    (!is_same).then(|| format!("they lack {missing:#?}\nwe lack {more:#?}\ndifferent {other:#?}"))
}

/// Waits until they have what we have: they take it in at their own pace.
#[track_caller]
fn assert_same(ours: &Seen, theirs: impl Fn() -> Seen) {
    let until = Instant::now() + Duration::from_secs(30);
    while let Some(difference) = difference(ours, &theirs()) {
        assert!(Instant::now() < until, "{difference}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn prometheus(dir: &Path, exposition: &Exposition) -> Option<Prometheus> {
    let config = format!(
        "scrape_configs:\n- job_name: scraped\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs: [{{targets: ['{}']}}]\n",
        exposition.address()
    );
    Prometheus::start(&dir.join("tsdb"), &config, &[])
}

fn victoria_metrics(program: &Path, dir: &Path) -> Program {
    let command = |address: &str| {
        let mut command = Command::new(program);
        command
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-storageDataPath={}", dir.join("vm").display()))
            .args(["-opentelemetry.usePrometheusNaming", "-search.latencyOffset=0s"]);
        command
    };
    Program::at_free_port(command, "/health")
}

const OURS: &str = "load_.*|http_client_.*|gen_ai_.*";

#[test]
fn the_record_a_scrape_and_otlp_have_the_same_series() {
    let Some(program) = peer("victoria-metrics") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let exposition = Exposition::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let prometheus = prometheus(dir.path(), &exposition).expect("there are peers");
    let victoria = victoria_metrics(&program, dir.path());
    let endpoint = format!("http://{}/opentelemetry", victoria.address);
    let settings = Settings::new(Signal::Metrics, Protocol::HttpProtobuf, &endpoint);
    let otlp = OtlpSink::start(&settings.unwrap_or_else(|e| panic!("{e}")), "here").expect("a sender");
    let (recorder, sink) = recorder(&dir.path().join("run"));
    let server = server();
    let summary = run_with(&server, SCENARIO, |o| {
        o.outputs.sinks = vec![Box::new(sink), Box::new(exposition), Box::new(otlp)];
    });
    finish(recorder);
    assert!(summary.errors > 0 && summary.dropped_iterations > 0 && summary.export_failures == 0);

    let (ours, families) = of_record(&dir.path().join("run"));
    let all: BTreeSet<String> = INSTRUMENTS.iter().map(|i| i.prometheus.to_owned()).collect();
    assert_eq!(families, all, "every instrument is on record");
    assert!(ours.len() > 120, "{}", ours.len());
    assert_same(&ours, || of_server(prometheus.address(), &format!("{{__name__=~\"{OURS}\"}}")));

    // VictoriaMetrics has no native histograms: it keeps count and sum as series of their own, with our labels,
    // and a series for each bucket in use.
    http::get(&victoria.address, "/internal/force_flush").expect("answers");
    let selector = format!("{{__name__=~\"{OURS}\",__name__!~\".*_bucket\"}}");
    assert_same(&ours, || of_server(&victoria.address, &selector));
    let histograms = INSTRUMENTS.iter().filter(|i| i.kind == MetricType::Histogram);
    let counts: BTreeSet<String> = histograms.map(|i| format!("{}_count", i.prometheus)).collect();
    let buckets: Seen = ours
        .iter()
        .filter(|(k, v)| k.split('{').next().is_some_and(|n| counts.contains(n)) && **v > 0.0)
        .map(|(k, v)| (k.replacen("_count{", "_bucket{", 1), *v))
        .collect();
    assert!(buckets.len() > 20, "{}", buckets.len());
    assert_same(&buckets, || of_server(&victoria.address, &format!("{{__name__=~\"({OURS})_bucket\"}}")));
}
