//! What we expose, record and import is what Prometheus makes of the same.

#[path = "../../tsdb/tests/common/mod.rs"]
mod common;
mod support;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use assay_model::{
    Exemplar, Histogram, Labels, MetricType, Span,
    expo::{Format, HistogramValue, Metric, MetricFamily, MetricValue, Quantile, SummaryValue},
    sample::NORMAL_NAN_BITS,
    stale_nan,
};
use assay_run::{
    Manifest, Outcome, Recorder, RecorderOptions, Run, Target,
    export::to_openmetrics,
    import::{ImportOptions, import},
    pull::{PullOptions, pull},
    time,
};
use assay_testkit::{Program, http, wait::wait_for_some};
use common::{
    Data, assert_same,
    peer::{Sent, Server, peer, promtool},
    read_all, series,
};

/// One family of every kind, with what makes formats differ.
fn families() -> Vec<MetricFamily> {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let mut requests = MetricFamily::counter("api_requests_total", "Requests \\ with \"quotes\"\nand lines.");
    let mut metric = Metric::new(labels(&[("path", "C:\\x\n\"y\"")]), MetricValue::Float(1e9));
    metric.exemplars.push(Exemplar { labels: labels(&[("trace_id", "abc")]), value: 0.5, t_ms: None });
    requests.push(metric).add([("path", "/ü"), ("job", "clash")], 0.1);
    let mut duration = MetricFamily::histogram("api_duration_seconds", "Durations.");
    let classic = HistogramValue::classic(&[0.1, 1.0, 10.0], &[1, 2, 3, 4], 55.5);
    duration.push(Metric::new(labels(&[("code", "200")]), MetricValue::Histogram(classic)));
    let mut native = MetricFamily::histogram("api_native_seconds", "Durations, native.");
    let histogram = Histogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1,
        count: 7,
        sum: 12.25,
        positive_spans: vec![Span { offset: -4, length: 2 }, Span { offset: 3, length: 1 }],
        positive_buckets: vec![1, 1, 1],
        ..Histogram::default()
    };
    native.push(Metric::new(labels(&[]), MetricValue::Histogram(HistogramValue::native(histogram))));
    let mut summary = MetricFamily::new(MetricType::Summary, "api_size_bytes", "Sizes.");
    let quantiles = vec![Quantile { quantile: 0.5, value: 3.0 }, Quantile { quantile: 1.0, value: f64::NAN }];
    let value = MetricValue::Summary(SummaryValue { count: 3.0, sum: 9.0, quantiles });
    summary.push(Metric::new(labels(&[]), value));
    let mut gauge = MetricFamily::gauge("api_temperature_celsius", "Temperatures.");
    gauge.add([("le", "1"), ("quantile", "2")], f64::NEG_INFINITY).add([("instance", "other")], -2.5);
    let info = MetricFamily::new(MetricType::Info, "api_build_info", "The build.").with(1.0);
    vec![
        requests,
        duration,
        native,
        summary,
        gauge,
        info,
        MetricFamily::untyped("api_thing", "A thing.").with(2.0),
    ]
}

#[test]
fn promtool_has_nothing_to_say_about_our_text() {
    let Some(program) = peer("promtool") else { return };
    let mut families = families();
    // The linter finds the label le on a gauge, and it is right; the rest is as it should be.
    families.retain(|f| f.name != "api_temperature_celsius");
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child.stdin.take().expect("is piped").write_all(&Format::Text.encode(&families)).expect("writes");
    let output = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

/// The values of the first scrape that was answered, without what is a matter of the clock. On a busy machine
/// some may time out before.
fn first_answer(data: &Data) -> Option<BTreeMap<String, String>> {
    let one = format!("{:016x}", 1f64.to_bits());
    let (_, up) = data.iter().find(|(name, _)| name.starts_with("up{"))?;
    let (t_ms, _) = up.iter().find(|(_, v)| *v == one)?;
    let values = data.iter().filter(|(name, _)| !name.starts_with("scrape_duration_seconds"));
    let at = |samples: &[(i64, String)]| samples.iter().find(|(t, _)| t == t_ms).map(|(_, v)| v.clone());
    Some(values.filter_map(|(name, samples)| Some((name.clone(), at(samples)?))).collect())
}

/// Prometheus and our recorder scrape the same target, which insists on one format.
fn scrape_with_both(format: Format) {
    let (url, scrapes) =
        support::serve(move |_, request| support::exposition(request, Some(format), &families()));
    let address = url.trim_start_matches("http://").to_owned();
    let dir = tempfile::tempdir().expect("a directory");
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: api\n  \
         scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]\n  \
         static_configs: [{{targets: [\"{address}\"]}}]\n"
    );
    std::fs::create_dir(dir.path().join("theirs")).expect("makes");
    let server = Server::start(&dir.path().join("theirs"), &config, &[]).expect("the caller asked for peers");
    server.wait("has scraped", |s| first_answer(&s.read_all()).is_some());
    let theirs = first_answer(&server.read_all()).expect("was answered");
    server.stop();
    while scrapes.try_recv().is_ok() {}

    let run = dir.path().join("ours");
    let recorder = Recorder::create(&run, Manifest::new("demo", time::now_ms()), &RecorderOptions::default())
        .expect("begins");
    let mut target = Target::new("api", &url).expect("a target");
    target.timeout = Duration::from_secs(10);
    recorder.scrape(target).expect("scrapes");
    // The answer to a scrape is on record when the next but one has been asked for.
    for _ in 0..2 {
        scrapes.recv_timeout(Duration::from_secs(60)).expect("is scraped");
    }
    recorder.finish(Outcome::Finished).expect("finishes");
    let ours = read_all(&Run::open(&run).expect("opens").database);
    let first = first_answer(&ours).expect("was answered");
    assert_eq!(first.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{format:?}");
    let differ: Vec<_> = first.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
    assert!(differ.is_empty(), "{format:?}: {differ:#?}");

    // And what we recorded is what a Prometheus finds in it.
    let server = Server::start(&run.join("data"), "", &[]).expect("the caller asked for peers");
    assert_same(&server.read_all(), &ours, &format!("{format:?}: our recording in Prometheus"));
    server.stop();
}

#[test]
fn a_scrape_is_stored_as_prometheus_stores_it() {
    if peer("prometheus").is_none() {
        return;
    }
    // Prometheus looks for targets every five seconds alone; side by side, the three wait once.
    std::thread::scope(|scope| {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            scope.spawn(move || scrape_with_both(format));
        }
    });
}

/// A minute of floats and histograms in a real Prometheus.
fn filled_server(data: &Path) -> Server {
    std::fs::create_dir(data).expect("makes");
    let config = "storage: {tsdb: {out_of_order_time_window: 1h}}\n";
    let server = Server::start(data, config, &[]).expect("the caller asked for peers");
    let start_ms = 1_700_000_000_000;
    let mut samples = Vec::new();
    for i in 0..60i64 {
        let t_ms = start_ms + i * 1000;
        for path in ["/a", "/b\"\\\n", "ü"] {
            samples.push((series("requests_total", &[("path", path)]), t_ms, Sent::Float(i as f64 * 0.1)));
        }
        samples.push((series("odd", &[]), t_ms, Sent::Float(if i % 7 == 0 { f64::INFINITY } else { 1e-9 })));
        samples.push((
            series("duration_seconds", &[]),
            t_ms,
            Sent::Histogram(common::histogram(i as u64 + 4)),
        ));
        let ends = if i == 30 { stale_nan() } else { 1.0 };
        samples.extend((i <= 30).then(|| (series("ends", &[]), t_ms, Sent::Float(ends))));
    }
    server.push(&samples);
    server
}

#[test]
fn a_server_is_fetched_whole() {
    if peer("prometheus").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = filled_server(&dir.path().join("theirs"));
    let want = server.read_all();
    let (start_ms, end_ms) = (1_700_000_000_000, 1_700_000_059_000);
    let url = format!("http://{}", server.address());
    let out = dir.path().join("run");
    let stats = pull(&PullOptions::new(&url, start_ms, end_ms), &out).expect("fetches").stats;
    assert_eq!((stats.series, stats.samples, stats.duplicates), (6, 331, 0));
    assert_same(&read_all(&Run::open(&out).expect("opens").database), &want, "fetched");

    // The answer to a query with a range, saved to a file, says the same.
    let (status, answer) = server.get("/api/v1/query?query=%7B__name__!=%22%22%7D%5B1h%5D&time=1700000059");
    assert_eq!(status, 200, "{answer}");
    let file = dir.path().join("answer.json");
    std::fs::write(&file, answer).expect("writes");
    let out = dir.path().join("from_file");
    import(&[file], &out, &ImportOptions::default()).expect("imports");
    let mut without_markers = want.clone();
    without_markers.get_mut("ends").expect("is there").pop();
    assert_same(&read_all(&Run::open(&out).expect("opens").database), &without_markers, "saved and imported");
    server.stop();

    // With external labels remote read would change the series; the query API does not.
    let config = "global: {external_labels: {cluster: x}}\n";
    let server = Server::start(&dir.path().join("theirs"), config, &[]).expect("the caller asked for peers");
    let out = dir.path().join("queried");
    let options = PullOptions::new(format!("http://{}", server.address()), start_ms, end_ms);
    pull(&options, &out).expect("fetches");
    assert_same(&read_all(&Run::open(&out).expect("opens").database), &without_markers, "queried");
    server.stop();
}

#[test]
fn text_goes_both_ways_with_promtool() {
    if peer("promtool").is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let theirs = dir.path().join("theirs");
    filled_server(&theirs).stop();
    let original = Run::open(&theirs).expect("opens");
    let mut want = read_all(&original.database);
    want.retain(|name, _| name != "duration_seconds");
    // Text has one NaN for all.
    want.get_mut("ends").expect("is there")[30].1 = format!("{NORMAL_NAN_BITS:016x}");

    // Their text, our block.
    let dump = promtool(&["tsdb", "dump-openmetrics", &theirs.display().to_string()]);
    let file = dir.path().join("dump.om");
    std::fs::write(&file, dump).expect("writes");
    let out = dir.path().join("run");
    import(&[file], &out, &ImportOptions::default()).expect("imports");
    assert_same(&read_all(&Run::open(&out).expect("opens").database), &want, "their text");

    // Our text, their blocks.
    let mut text = Vec::new();
    let stats = to_openmetrics(&original.database, &[], i64::MIN, i64::MAX, &mut text).expect("exports");
    assert_eq!((stats.samples, stats.histograms_left_out), (271, 60));
    let (file, blocks) = (dir.path().join("export.om"), dir.path().join("blocks"));
    std::fs::write(&file, text).expect("writes");
    let paths = [file.display().to_string(), blocks.display().to_string()];
    promtool(&["tsdb", "create-blocks-from", "openmetrics", &paths[0], &paths[1]]);
    assert_same(&read_all(&Run::open(&blocks).expect("opens").database), &want, "our text");
}

#[test]
fn lines_of_a_real_victoria_metrics() {
    let Some(program) = peer("victoria-metrics") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let victoria = Program::at_free_port(
        |address| {
            let mut command = Command::new(&program);
            command
                .arg(format!("-storageDataPath={}", dir.path().join("theirs").display()))
                .arg(format!("-httpListenAddr={address}"))
                .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]);
            command
        },
        "/health",
    );
    let address = &victoria.address;
    let wait = |method: &str, path: &str, body: &str, good: &dyn Fn(u16, &str) -> bool| {
        wait_for_some(path, || {
            let answer = http::request(address, method, path, "", body.as_bytes()).ok()?;
            good(answer.status, &answer.text()).then(|| answer.text())
        })
    };
    let text =
        "a{x=\"y\\\"z\"} 1.5 1700000000000\na{x=\"y\\\"z\"} +Inf 1700000001000\nb 1e-09 1700000000500\n";
    wait("POST", "/api/v1/import/prometheus", text, &|status, _| status == 204);
    wait("GET", "/internal/force_flush", "", &|status, _| status == 200);
    let export = "/api/v1/export?match%5B%5D=%7B__name__!=%22%22%7D";
    let lines = wait("GET", export, "", &|status, answer| status == 200 && answer.lines().count() == 2);
    let file = dir.path().join("export.jsonl");
    std::fs::write(&file, lines).expect("writes");
    let out = dir.path().join("run");
    import(&[file], &out, &ImportOptions::default()).expect("imports");
    let run = Run::open(&out).expect("opens");
    let mut exported = Vec::new();
    to_openmetrics(&run.database, &[], i64::MIN, i64::MAX, &mut exported).expect("exports");
    let want =
        "a{x=\"y\\\"z\"} 1.5 1700000000\na{x=\"y\\\"z\"} +Inf 1700000001\nb 1e-09 1700000000.500\n# EOF\n";
    assert_eq!(String::from_utf8(exported).expect("text"), want);

    // Its query API is one that runs are fetched from.
    let out = dir.path().join("fetched");
    let options = PullOptions::new(format!("http://{address}"), 1_700_000_000_000, 1_700_000_001_000);
    let fetched = pull(&options, &out).expect("fetches");
    assert_eq!(fetched.stats.samples, 3);
    let fetched = read_all(&Run::open(&out).expect("opens").database);
    assert_same(&fetched, &read_all(&run.database), "fetched");
}
