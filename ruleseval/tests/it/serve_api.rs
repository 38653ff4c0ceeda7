//! What `serve` answers beyond queries, held to a real Prometheus on a copy of the run's data.

use std::process::Command;

use assay_model::expo::{MetricFamily, protobuf};
use assay_testkit::{Program, Prometheus, http};
use serde_json::{Value, json};

use crate::{
    clients::{FORM, ask, settled},
    peers::prometheus_over,
    recording::{Recording, T0_MS, Trouble, rules},
    serve::serve,
};

const END: i64 = T0_MS / 1000 + 130;

/// A request for an address, with encoded parameters.
fn at(path: &str, parameters: &[(&str, &str)]) -> String {
    let list: Vec<_> = parameters.iter().map(|(n, v)| format!("{n}={}", http::encode(v))).collect();
    format!("/api/v1/{path}?{}", list.join("&"))
}

/// Addresses that are answered with the same status and the same JSON.
fn addresses() -> Vec<String> {
    let (start, end) = (format!("{}", T0_MS / 1000), END.to_string());
    let span = [("start", start.as_str()), ("end", end.as_str())];
    let outside = [("start", "1"), ("end", "1000")];
    let min_max = [("start", "-292273086-05-16T16:47:06Z"), ("end", "292277025-08-18T07:12:54.999999999Z")];
    let name = "label/__name__/values";
    let query =
        |more: &[(&str, &str)]| at("query", &[&[("query", "load_users"), ("time", &end)], more].concat());
    let range =
        |more: &[(&str, &str)]| at("query_range", &[&[("query", "load_users")], &span[..], more].concat());
    let later = (END + 120).to_string();
    vec![
        at("labels", &span),
        at("labels", &outside),
        at("labels", &min_max),
        at("labels", &[("limit", "3")]),
        at("labels", &[("limit", "3000")]),
        at("labels", &[("match[]", "up"), ("match[]", "load_users")]),
        at("labels", &[("match[]", "{job=~\".*\"}")]),
        at("labels", &[("match[]", "{}")]),
        at("labels", &[("limit", "x")]),
        at("labels", &[("limit", "-1")]),
        at("labels", &[("limit", "99999999999999999999")]),
        at("labels", &[("start", "yesterday")]),
        at(name, &span),
        at(name, &outside),
        at(name, &[("limit", "2")]),
        at(name, &[("match[]", "{job=\"loadgen\"}"), ("limit", "2")]),
        at("label/U__load__phase/values", &[]),
        at("label/U__load_5f_phase/values", &[]),
        at("label/U__load_zz/values", &[]),
        at("label/no_such/values", &[]),
        at("label/job/values", &[("label_name", "instance")]),
        at("series", &[("match[]", "up")]),
        at("series", &[&[("match[]", "up")], &outside[..]].concat()),
        at("series", &[("match[]", "{job=\"loadgen\"}"), ("limit", "1000000")]),
        at("series", &[]),
        at("series", &[("match[]", "{a=~\".*\"}")]),
        at("series", &[("match[]", "up"), ("end", "later")]),
        query(&[("limit", "1")]),
        query(&[("limit", "-1")]),
        query(&[("lookback_delta", "x")]),
        query(&[("timeout", "x")]),
        query(&[("timeout", "1e300")]),
        at("query", &[("query", "load_users"), ("time", &later), ("lookback_delta", "1m")]),
        at("query", &[("query", "load_users"), ("time", &later), ("lookback_delta", "1h")]),
        at("query", &[("query", "load_users"), ("time", "noon")]),
        range(&[("step", "30"), ("lookback_delta", "0.001")]),
        range(&[("step", "30"), ("limit", "1")]),
        range(&[("step", "0")]),
        range(&[("step", "-5s")]),
        range(&[("step", "0.001")]),
        range(&[("step", "x")]),
        range(&[]),
        at("query_range", &[("query", "up"), ("start", "5"), ("end", "4"), ("step", "1")]),
        at("query_range", &[("query", "up"), ("end", "4"), ("step", "1")]),
        at("query_exemplars", &[("query", "up"), ("start", "5"), ("end", "4")]),
        at("query_exemplars", &[("query", "1")]),
        at("query_exemplars", &[("query", "up"), ("start", "x")]),
        at("format_query", &[("query", "sum by(job)(rate(http_requests_total{code=~\"5..\"}[5m]))/sum(up)")]),
        at("metadata", &[("limit", "x")]),
        at("metadata", &[("limit_per_metric", "x")]),
        at("status/tsdb", &[("limit", "0")]),
        at("alertmanagers", &[]),
        at("targets", &[]),
    ]
}

/// Whether all of `theirs` is in `ours`: later versions have added keys.
fn contains(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            theirs.iter().all(|(key, value)| ours.get(key).is_some_and(|mine| contains(mine, value)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| contains(a, b))
        }
        // The words of messages have changed in their first letters.
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

#[test]
fn parameters_and_lists_are_those_of_prometheus() {
    let recording = Recording::new(Trouble::default());
    let Some(theirs) = prometheus_over(&recording) else { return };
    let ours = serve(&recording, &[]);
    let (mut refused, mut cut) = (0, 0);
    for path in addresses() {
        let (status, answer) = ask(&ours.address, "GET", &path, FORM, "");
        let (their_status, their_answer) = ask(theirs.address(), "GET", &path, FORM, "");
        let (answer, their_answer) = (settled(answer), settled(their_answer));
        assert_eq!(status, their_status, "{path}: {answer}, {their_answer}");
        assert!(contains(&answer, &their_answer), "{path}:\n{answer}\n{their_answer}");
        refused += usize::from(status == 400);
        cut += usize::from(answer["warnings"] == json!(["results truncated due to limit"]));
    }
    assert!(refused >= 20 && cut >= 3, "{refused} {cut}");
    // What expired has no time left, there as here.
    let expired = at("query", &[("query", "vector(1)"), ("timeout", "0")]);
    let (status, answer) = ask(&ours.address, "GET", &expired, FORM, "");
    assert_eq!((status, answer["errorType"].as_str()), (503, Some("timeout")), "{answer}");
}

#[test]
fn trees_and_statuses_have_the_keys_of_prometheus() {
    let recording = Recording::new(Trouble::default());
    let Some(theirs) = prometheus_over(&recording) else { return };
    let ours = serve(&recording, &[]);
    for query in [
        "sum without (job) (rate(up{a=\"b\", c!~\"d\"}[5m] offset 1m))",
        "histogram_quantile(0.9, x) / on (a) group_left (b) y > bool -1",
        "a and b unless ignoring (c) d or (e @ end())",
        "topk(3, x @ 1.5) ^ 2",
        "max_over_time(x[5m:1m] @ start() offset -3m)",
        "label_replace(x, \"a\", \"b\", \"c\", \"d\") + time() - round(x)",
        "count_values(\"v\", {__name__=\"a.b\", \"c d\"=\"e\"}) % -(x)",
    ] {
        let path = at("parse_query", &[("query", query)]);
        let (status, answer) = ask(&ours.address, "GET", &path, FORM, "");
        let (_, their_answer) = ask(theirs.address(), "GET", &path, FORM, "");
        assert!(status == 200 && contains(&answer, &their_answer), "{query}:\n{answer}\n{their_answer}");
        let (_, posted) =
            ask(&ours.address, "POST", "/api/v1/parse_query", FORM, &path["/api/v1/parse_query?".len()..]);
        assert_eq!(posted, answer);
    }
    for path in ["buildinfo", "config", "runtimeinfo", "tsdb", "walreplay"] {
        let path = format!("/api/v1/status/{path}");
        let keys = |address: &str| {
            let (status, answer) = ask(address, "GET", &path, FORM, "");
            let keys = answer["data"].as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
            assert_eq!(status, 200, "{path}: {answer}");
            keys.unwrap_or_else(|| panic!("{path}: {answer}"))
        };
        let ours = keys(&ours.address);
        assert!(keys(theirs.address()).iter().all(|key| ours.contains(key)), "{path}: {ours:?}");
    }
    let (_, flags) = ask(&ours.address, "GET", "/api/v1/status/flags", FORM, "");
    let (_, their_flags) = ask(theirs.address(), "GET", "/api/v1/status/flags", FORM, "");
    for (flag, value) in
        flags["data"].as_object().expect("flags").iter().filter(|(f, _)| f.starts_with("query."))
    {
        assert_eq!(&their_flags["data"][flag], value, "{flag}");
    }
}

#[test]
fn native_histograms_agree_to_the_last_digit() {
    let recording = Recording::new(Trouble { slow_peak: true, ..Trouble::default() });
    let Some(theirs) = prometheus_over(&recording) else { return };
    let ours = serve(&recording, &[]);
    let name = "http_client_request_duration_seconds";
    let mut compared = 0;
    for query in [
        name.to_owned(),
        format!("histogram_quantile(0.37, {name})"),
        format!("histogram_quantile(0.99, sum({name}))"),
        format!("histogram_fraction(0.1, 0.7, {name})"),
        format!("histogram_fraction(0.33, 1.9, sum by (load_phase) ({name}))"),
        format!("histogram_avg({name})"),
        format!("histogram_stddev({name})"),
        format!("histogram_stdvar(sum({name}))"),
        format!("exp(histogram_avg({name})) ^ 0.37"),
    ] {
        let path = at(
            "query_range",
            &[
                ("query", &query),
                ("start", &(T0_MS / 1000).to_string()),
                ("end", &END.to_string()),
                ("step", "5"),
            ],
        );
        let (_, answer) = ask(&ours.address, "GET", &path, FORM, "");
        let (_, their_answer) = ask(theirs.address(), "GET", &path, FORM, "");
        let (answer, their_answer) = (settled(answer), settled(their_answer));
        assert_eq!(answer["data"], their_answer["data"], "{query}");
        compared += answer["data"]["result"].as_array().map_or(0, Vec::len);
    }
    assert!(compared > 20, "{compared} series");
}

/// The families of a scrape of `/federate`, and its content type.
fn federated(address: &str, accept: &str) -> (String, Vec<u8>) {
    let path = format!("/federate?match[]={}", http::encode("{__name__=~\"up|load_.*|http_.*\"}"));
    let headers = format!("Accept: {accept}\r\n");
    let answer = http::request(address, "GET", &path, &headers, b"").expect("answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.head.lines().find_map(|l| {
        let (name, value) = l.split_once(": ")?;
        name.eq_ignore_ascii_case("content-type").then(|| value.to_owned())
    });
    (kind.unwrap_or_default(), answer.body)
}

#[test]
fn federation_is_that_of_prometheus() {
    let recording = Recording::new(Trouble::default());
    let data = recording.place("copy");
    assay_testkit::files::copy(&recording.path().join("data"), &data).expect("copies");
    // It looks back from now, and the run is old.
    let far = "--query.lookback-delta=100y";
    let Some(theirs) = Prometheus::start(&data, "global: {scrape_interval: 1h}\n", &[far]) else { return };
    let ours = serve(&recording, &["--query.lookback-delta", "100y"]);
    let text = |address: &str, accept: &str| {
        let (kind, body) = federated(address, accept);
        (kind, String::from_utf8(body).expect("text"))
    };
    // Families of one name come in the order of storage there.
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for accept in ["", "text/plain;version=0.0.4;escaping=allow-utf-8", "application/openmetrics-text"] {
        let ((kind, body), (their_kind, their_body)) =
            (text(&ours.address, accept), text(theirs.address(), accept));
        assert_eq!(kind, their_kind, "{accept}");
        assert_eq!(lines(&body), lines(&their_body), "{accept}");
        assert!(body.contains("# TYPE up untyped"), "{body}");
    }
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8";
    let families = |address: &str| -> Vec<MetricFamily> {
        let (kind, body) = federated(address, accept);
        assert!(kind.starts_with("application/vnd.google.protobuf"), "{kind}");
        let mut families = protobuf::decode(&body).expect("families");
        for family in &mut families {
            family.metrics.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        families
    };
    let (found, theirs) = (families(&ours.address), families(theirs.address()));
    assert_eq!(found, theirs);
    let native = found.iter().filter(|f| f.metric_type == assay_model::MetricType::Histogram).count();
    assert!(native > 0, "no native histogram among {} families", found.len());
}

/// A Prometheus without data that reads what `serve` has.
fn reading_from(recording: &Recording, ours: &Program) -> Option<Prometheus> {
    let data = recording.place("empty");
    std::fs::create_dir(&data).expect("a directory");
    let config = format!(
        "global: {{scrape_interval: 1h}}\nremote_read: [{{url: \"http://{}/api/v1/read\", read_recent: true}}]\n",
        ours.address
    );
    Prometheus::start(&data, &config, &[])
}

#[test]
fn prometheus_reads_from_it() {
    let recording = Recording::new(Trouble::default());
    let ours = serve(&recording, &["--rules", &rules()]);
    let Some(theirs) = reading_from(&recording, &ours) else { return };
    let span = format!("&start={}&end={END}&step=10", T0_MS / 1000);
    let mut found = 0;
    for query in [
        "up",
        "load_users",
        "rate(load_iterations_total[1m])",
        "{job=\"loadgen\",__name__!~\"http_.*|gen_ai_.*\"}",
        "histogram_count(http_client_request_duration_seconds)",
        "histogram_quantile(0.5, http_client_request_duration_seconds)",
        "load_step:http_client_request_duration_seconds:p99_rate1m",
    ] {
        let path = format!("/api/v1/query_range?query={}{span}", http::encode(query));
        let (status, answer) = ask(&ours.address, "GET", &path, FORM, "");
        let (their_status, their_answer) = ask(theirs.address(), "GET", &path, FORM, "");
        assert_eq!((status, their_status), (200, 200), "{query}: {answer} {their_answer}");
        assert_eq!(settled(answer.clone())["data"], settled(their_answer)["data"], "{query}");
        found += answer["data"]["result"].as_array().map_or(0, Vec::len);
    }
    assert!(found >= 15, "{found} series");
}

#[test]
fn samples_are_read_by_an_export() {
    let recording = Recording::new(Trouble::default());
    let ours = serve(&recording, &[]);
    let out = recording.place("exported");
    let run = |arguments: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_ruleseval")).args(arguments).output().expect("starts");
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let (start, end) = ((T0_MS / 1000 - 10).to_string(), (END + 10).to_string());
    let url = format!("http://{}", ours.address);
    let path = out.display().to_string();
    run(&["export", "--prometheus", &url, "--start", &start, "--end", &end, "--out", &path]);
    let end = END.to_string();
    for query in [
        "sum(load_users)",
        "count({job=~\".+\"})",
        "histogram_count(sum(http_client_request_duration_seconds))",
    ] {
        let of = |run_path: &str| run(&["query", run_path, query, "--time", &end]);
        let (exported, recorded) = (of(&path), of(&recording.path().display().to_string()));
        assert!(!recorded.trim().is_empty() && exported == recorded, "{query}: {exported} {recorded}");
    }
}

#[test]
fn scripts_of_other_origins_read_only_what_was_allowed() {
    let recording = Recording::new(Trouble::default());
    let check = |flags: &[&str], origin: &str, want: Option<&str>| {
        let ours = serve(&recording, flags);
        for method in ["GET", "OPTIONS"] {
            let headers = format!("Origin: {origin}\r\n");
            let answer = http::request(&ours.address, method, "/api/v1/status/buildinfo", &headers, b"");
            let head = answer.expect("answers").head.to_lowercase();
            let allowed = head.lines().find_map(|l| l.strip_prefix("access-control-allow-origin: "));
            assert_eq!(allowed, want, "{flags:?} {method} {origin}: {head}");
        }
    };
    check(&[], "http://a.example", None);
    check(&["--web.cors.origin", ".*"], "http://a.example", Some("*"));
    let some = ["--web.cors.origin", "https?://(a|b)\\.example"];
    check(&some, "http://a.example", Some("http://a.example"));
    check(&some, "http://a.example.org", None);
}
