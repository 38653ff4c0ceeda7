//! What is the same as Prometheus' to the last bit and letter: elementary functions, and annotations with positions.

#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/random.rs"]
mod random;

use assay_promql::{Annotation, Engine, QueryValue, Severity, parse, promqltest::MemStorage};
use assay_tsdb::{Database, OpenOptions};
use serde_json::Value as Json;

/// Values from the answer to a range query from 1 to 3001 s, every 3 s.
fn theirs(server: &peers::Prometheus, query: &str) -> Vec<f64> {
    let form = [("query", query), ("start", "1"), ("end", "3001"), ("step", "3")];
    let (_, body) = server.post("/api/v1/query_range", &form);
    let reply: Json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{query}: {e}: {body}"));
    let values = reply["data"]["result"][0]["values"].as_array().unwrap_or_else(|| panic!("{query}: {body}"));
    values.iter().map(|v| v[1].as_str().and_then(|t| t.parse().ok()).expect("a number")).collect()
}

fn ours(query: &str) -> Vec<f64> {
    let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    let found = Engine::default().range(&MemStorage::new(), &expr, 1_000, 3_001_000, 3_000).expect(query);
    let QueryValue::Matrix(mut series) = found.value else { panic!("{query}: no matrix") };
    series.remove(0).samples.values
}

#[test]
fn elementary_functions() {
    let Some(server) = peers::Prometheus::start(None) else { return };
    for query in [
        "ln(vector(time() * 0.37e-3 + 1e-9))",
        "ln(vector(time() * 7.1e12))",
        "log2(vector(time() * 0.37e-3))",
        "log10(vector(time() * 7.1e5))",
        "log10(vector(time() * 0.37e-3))",
        "vector(time() * 0.013) ^ 3",
        "vector(time() * -0.013) ^ 101",
        "vector(time() * 0.013) ^ -7",
        "vector(time()) ^ 0.5",
        "vector(1.0001) ^ vector(floor(time()))",
        "vector(time() * 0.013) ^ 0.37",
        "vector(time() * 0.013) ^ -1.81",
        "vector(1.37) ^ vector(time() * 0.001)",
        "exp(vector(time() * 0.037 - 50))",
        "exp(vector(time() * -0.2))",
    ] {
        let query = query.replace("vector(floor(time()))", "floor(vector(time()))");
        let (got, want) = (ours(&query), theirs(&server, &query));
        let differ = got.iter().zip(&want).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!((got.len(), differ), (want.len(), 0), "{query}");
    }
}

/// The floats of an answer by series and time, as bits.
type Floats = std::collections::BTreeMap<(String, i64), u64>;

fn floats_here(source: &Database, query: &str, (start_ms, end_ms): (i64, i64)) -> Floats {
    let expr = parse(query).unwrap_or_else(|e| panic!("{query}: {e}"));
    let found = Engine::default().range(source, &expr, start_ms, end_ms, 60_000).expect(query);
    let QueryValue::Matrix(list) = found.value else { panic!("{query}: no matrix") };
    let mut out = Floats::new();
    for s in &list {
        let labels: std::collections::BTreeMap<_, _> = s.labels.iter().collect();
        let key = serde_json::json!(labels).to_string();
        let values = s.samples.times.iter().zip(&s.samples.values);
        out.extend(values.map(|(t, v)| ((key.clone(), *t), v.to_bits())));
    }
    out
}

fn floats_there(server: &peers::Prometheus, query: &str, (start_ms, end_ms): (i64, i64)) -> Floats {
    let time = |t: i64| format!("{}.{:03}", t / 1000, t % 1000);
    let form = [("query", query), ("start", &time(start_ms)), ("end", &time(end_ms)), ("step", "60")];
    let (_, body) = server.post("/api/v1/query_range", &form);
    let reply: Json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{query}: {e}: {body}"));
    let mut out = Floats::new();
    for s in reply["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {body}")) {
        for v in s["values"].as_array().into_iter().flatten() {
            let t_ms = (v[0].as_f64().expect("a time") * 1000.0).round() as i64;
            let value: f64 = v[1].as_str().and_then(|t| t.parse().ok()).expect("a number");
            out.insert((s["metric"].to_string(), t_ms), value.to_bits());
        }
    }
    out
}

/// What rules are made of, over series with gaps and resets.
#[test]
fn common_functions_over_data() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    corpus::write(dir.path(), 0x00c0_ffee);
    let source = Database::open(dir.path(), OpenOptions::default()).expect("a data directory");
    let Some(server) = peers::Prometheus::start(Some(dir.path())) else { return };
    let check = |query: &str, span_ms: (i64, i64)| {
        let want = floats_there(&server, query, span_ms);
        assert!(!want.is_empty(), "{query}");
        assert_eq!(floats_here(&source, query, span_ms), want, "{query}");
    };
    let (start_ms, end_ms) = (corpus::START_MS + 600_000, corpus::START_MS + 3_000_000);
    for query in [
        "rate(requests_total[5m])",
        "increase(requests_total[3m])",
        "irate(requests_total[5m])",
        "delta(temperature[5m])",
        "deriv(temperature[5m])",
        "predict_linear(temperature[5m], 600)",
        "sum_over_time(temperature[5m])",
        "quantile_over_time(0.9, temperature[5m])",
        "avg(temperature)",
        "sum by (job) (rate(requests_total[5m]))",
        "stddev(temperature)",
        "stdvar by (job) (temperature)",
        "quantile(0.37, temperature)",
        "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))",
        "histogram_quantile(0.37, rate(latency_seconds_bucket[5m]))",
        "round(temperature, 0.1)",
        "temperature % 3.7",
    ] {
        check(query, (start_ms, end_ms));
    }
    // Over many steps these slide, and may differ in the last place; what a rule sees at a time is the same.
    for query in [
        "avg_over_time(temperature[5m])",
        "stddev_over_time(temperature[5m])",
        "stdvar_over_time(temperature[5m])",
    ] {
        for t_ms in (start_ms..end_ms).step_by(240_000) {
            check(query, (t_ms, t_ms));
        }
    }
}

#[test]
fn annotations_with_their_positions() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    corpus::write(dir.path(), 0x00c0_ffee);
    let source = Database::open(dir.path(), OpenOptions::default()).expect("a data directory");
    let Some(server) = peers::Prometheus::start(Some(dir.path())) else { return };
    let at_ms = corpus::START_MS + 1_800_000;
    for query in [
        "rate(temperature[5m])",
        "1 +\n  sum(rate(temperature[5m]))",
        "quantile(2, temperature)",
        "quantile_over_time(-1, temperature[5m])",
        "é_not_a_name or quantile(3, temperature)",
        "histogram_quantile(1.5, duration_seconds)",
        "histogram_quantile(0.5, temperature)",
        "sum(\n\n\thistogram_quantile(0.5, temperature))",
        "duration_seconds + temperature",
        "duration_seconds > on () group_left () sum(temperature)",
        "sum(mixed)",
        "avg_over_time(mixed[1h])",
        "rate(sizes[5m])",
        "topk(1, duration_seconds)",
        "max(duration_seconds)",
        "quantile(0.5, duration_seconds)",
        "deriv(duration_seconds[5m])",
        "stddev_over_time(mixed[1h])",
    ] {
        let Ok(expr) = parse(query) else { continue };
        let found =
            Engine::default().instant(&source, &expr, at_ms).unwrap_or_else(|e| panic!("{query}: {e}"));
        let texts = |severity: Severity| {
            let those = found.annotations.iter().filter(|a: &&Annotation| a.severity == severity);
            let mut list: Vec<String> = those.map(|a| a.text(query)).collect();
            list.sort();
            list
        };
        let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
        let (_, body) = server.post("/api/v1/query", &[("query", query), ("time", &time)]);
        let reply: Json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{query}: {e}: {body}"));
        for (key, severity) in [("warnings", Severity::Warning), ("infos", Severity::Info)] {
            let list = reply[key].as_array().cloned().unwrap_or_default();
            let mut want: Vec<String> = list.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect();
            want.sort();
            assert_eq!(texts(severity), want, "{query}");
        }
    }
}
