//! Query results in the JSON of Prometheus' HTTP API (`web/api/v1/json_codec.go`, v3.13). Invariant: a sample's
//! value is text, its time a number of seconds.

use assay_model::{Column, FloatHistogram, Labels, Value as Sample, is_stale, number::format_f};
use assay_promql::{Annotations, QueryValue, Severity};
use serde_json::{Map, Number, Value, json};

/// The `data` of an answer to `query` and `query_range`.
#[must_use]
pub fn data(value: &QueryValue) -> Value {
    match value {
        QueryValue::Scalar(t_ms, v) => json!({"resultType": "scalar", "result": point(*t_ms, *v)}),
        QueryValue::String(t_ms, text) => {
            json!({"resultType": "string", "result": [seconds(*t_ms), text]})
        }
        QueryValue::Vector(list) => {
            let result: Vec<_> = list
                .iter()
                .map(|s| match &s.value {
                    Sample::Float(v) => json!({"metric": labels(&s.labels), "value": point(s.t_ms, *v)}),
                    Sample::Histogram(h) => json!({
                        "metric": labels(&s.labels),
                        "histogram": [seconds(s.t_ms), histogram(h)],
                    }),
                })
                .collect();
            json!({"resultType": "vector", "result": result})
        }
        QueryValue::Matrix(list) => {
            let result: Vec<_> = list.iter().map(|s| series(&s.labels, &s.samples)).collect();
            json!({"resultType": "matrix", "result": result})
        }
    }
}

fn series(of: &Labels, samples: &Column) -> Value {
    let mut out = Map::new();
    out.insert("metric".to_owned(), labels(of));
    let values: Vec<_> = samples
        .times
        .iter()
        .zip(&samples.values)
        .filter(|(_, v)| !is_stale(**v))
        .map(|(t, v)| point(*t, *v))
        .collect();
    if !values.is_empty() {
        out.insert("values".to_owned(), Value::Array(values));
    }
    let histograms: Vec<_> = samples
        .histogram_times
        .iter()
        .zip(&samples.histograms)
        .filter(|(_, h)| !is_stale(h.sum))
        .map(|(t, h)| json!([seconds(*t), histogram(h)]))
        .collect();
    if !histograms.is_empty() {
        out.insert("histograms".to_owned(), Value::Array(histograms));
    }
    Value::Object(out)
}

/// A label set as an object.
#[must_use]
pub fn labels(of: &Labels) -> Value {
    Value::Object(of.iter().map(|(n, v)| (n.to_owned(), Value::String(v.to_owned()))).collect())
}

/// A time in seconds; whole seconds without a fraction, as Prometheus writes them.
#[must_use]
pub fn seconds(t_ms: i64) -> Value {
    if t_ms % 1000 == 0 {
        return Value::from(t_ms / 1000);
    }
    Number::from_f64(t_ms as f64 / 1e3).map_or(Value::Null, Value::Number)
}

fn point(t_ms: i64, v: f64) -> Value {
    json!([seconds(t_ms), format_f(v)])
}

/// Count, sum and the buckets that are not empty, each with a code for its boundaries: 0 the upper is in it, 1
/// the lower, 2 neither, 3 both.
fn histogram(h: &FloatHistogram) -> Value {
    let buckets: Vec<_> = h
        .all_buckets()
        .iter()
        .filter(|b| b.count != 0.0)
        .map(|b| {
            let code = match (b.lower_inclusive, b.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            json!([code, format_f(b.lower), format_f(b.upper), format_f(b.count)])
        })
        .collect();
    let mut out = Map::new();
    out.insert("count".to_owned(), Value::String(format_f(h.count)));
    out.insert("sum".to_owned(), Value::String(format_f(h.sum)));
    if !buckets.is_empty() {
        out.insert("buckets".to_owned(), Value::Array(buckets));
    }
    Value::Object(out)
}

/// A whole successful answer, with the expression's remarks under `warnings` and `infos`.
#[must_use]
pub fn success(data: Value, remarks: &Annotations) -> Value {
    let mut out = Map::new();
    out.insert("status".to_owned(), Value::from("success"));
    out.insert("data".to_owned(), data);
    for (key, severity) in [("warnings", Severity::Warning), ("infos", Severity::Info)] {
        let texts: Vec<_> = remarks
            .iter()
            .filter(|a| a.severity == severity)
            .map(|a| Value::from(format!("{}{}", a.message, a.details)))
            .collect();
        if !texts.is_empty() {
            out.insert(key.to_owned(), Value::Array(texts));
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_promql::{InstantSample, RangeSeries};
    use std::sync::Arc;

    #[test]
    fn shapes_are_those_of_the_api() {
        let up = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let check = |value: QueryValue, want: &str| assert_eq!(data(&value).to_string(), want);
        check(QueryValue::Scalar(1_000, f64::INFINITY), r#"{"result":[1,"+Inf"],"resultType":"scalar"}"#);
        check(
            QueryValue::Vector(vec![InstantSample {
                labels: up.clone(),
                t_ms: 1_500,
                value: Sample::Float(0.5),
            }]),
            r#"{"result":[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"0.5"]}],"resultType":"vector"}"#,
        );
        let samples = Column { times: vec![0, 1000], values: vec![1.0, f64::NAN], ..Column::default() };
        check(
            QueryValue::Matrix(vec![RangeSeries { labels: up, samples }]),
            r#"{"result":[{"metric":{"__name__":"up","job":"a"},"values":[[0,"1"],[1,"NaN"]]}],"resultType":"matrix"}"#,
        );
    }

    #[test]
    fn histograms_list_their_buckets() {
        let h = FloatHistogram {
            count: 3.0,
            sum: 4.5,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![assay_model::Span { offset: 1, length: 2 }],
            positive_buckets: vec![2.0, 0.0],
            ..FloatHistogram::default()
        };
        let value = QueryValue::Vector(vec![InstantSample {
            labels: Labels::empty(),
            t_ms: 0,
            value: Sample::Histogram(Arc::new(h)),
        }]);
        let want = r#"[0,{"buckets":[[3,"-0.001","0.001","1"],[0,"1","2","2"]],"count":"3","sum":"4.5"}]"#;
        assert_eq!(data(&value)["result"][0]["histogram"].to_string(), want);
    }
}
