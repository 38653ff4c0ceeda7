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
