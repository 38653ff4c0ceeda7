//! Query results in the JSON of Prometheus' HTTP API (`web/api/v1/json_codec.go`, v3.13). Invariant: a sample's
//! value is text, its time a number of seconds.

use assay_model::{FloatHistogram, Labels, Value as Sample, is_stale, number::format_f};
use assay_promql::{Annotations, InstantSample, QueryValue, RangeSeries, Severity};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeTuple},
};
use serde_json::{Map, Number, Value, json};

/// The `data` of an answer to `query` and `query_range`.
#[must_use]
pub fn data(value: &QueryValue) -> Value {
    serde_json::to_value(Data(value)).unwrap_or_default()
}

/// The same as text, written without a tree of values in between: a matrix may have millions of samples.
#[must_use]
pub fn data_text(value: &QueryValue) -> String {
    serde_json::to_string(&Data(value)).unwrap_or_default()
}

/// A query's value as `data`. Keys are in alphabetical order, as in a [`Value`].
struct Data<'a>(&'a QueryValue);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut out = s.serialize_map(Some(2))?;
        let kind = match self.0 {
            QueryValue::Scalar(t_ms, v) => {
                out.serialize_entry("result", &Point(*t_ms, *v))?;
                "scalar"
            }
            QueryValue::String(t_ms, text) => {
                out.serialize_entry("result", &(seconds(*t_ms), text))?;
                "string"
            }
            QueryValue::Vector(list) => {
                out.serialize_entry("result", &Each(list.iter().map(Instant)))?;
                "vector"
            }
            QueryValue::Matrix(list) => {
                out.serialize_entry("result", &Each(list.iter().map(Ranged)))?;
                "matrix"
            }
        };
        out.serialize_entry("resultType", kind)?;
        out.end()
    }
}

/// A list of what an iterator yields.
struct Each<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Each<I> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.clone())
    }
}

/// One series of a vector.
struct Instant<'a>(&'a InstantSample);

impl Serialize for Instant<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let sample = self.0;
        let mut out = s.serialize_map(Some(2))?;
        match &sample.value {
            Sample::Float(v) => {
                out.serialize_entry("metric", &labels(&sample.labels))?;
                out.serialize_entry("value", &Point(sample.t_ms, *v))?;
            }
            Sample::Histogram(h) => {
                out.serialize_entry("histogram", &(seconds(sample.t_ms), histogram(h)))?;
                out.serialize_entry("metric", &labels(&sample.labels))?;
            }
        }
        out.end()
    }
}

/// One series of a matrix; stale markers are left out.
struct Ranged<'a>(&'a RangeSeries);

impl Serialize for Ranged<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let samples = &self.0.samples;
        let floats = samples.times.iter().zip(&samples.values).filter(|(_, v)| !is_stale(**v));
        let histograms =
            samples.histogram_times.iter().zip(&samples.histograms).filter(|(_, h)| !is_stale(h.sum));
        let mut out = s.serialize_map(None)?;
        if histograms.clone().next().is_some() {
            let list = histograms.map(|(t, h)| (seconds(*t), histogram(h)));
            out.serialize_entry("histograms", &Each(list))?;
        }
        out.serialize_entry("metric", &labels(&self.0.labels))?;
        if floats.clone().next().is_some() {
            out.serialize_entry("values", &Each(floats.map(|(t, v)| Point(*t, *v))))?;
        }
        out.end()
    }
}

/// A float at a time.
struct Point(i64, f64);

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut out = s.serialize_tuple(2)?;
        if self.0 % 1000 == 0 {
            out.serialize_element(&(self.0 / 1000))?;
        } else {
            out.serialize_element(&(self.0 as f64 / 1e3))?;
        }
        out.serialize_element(&Text(self.1))?;
        out.end()
    }
}

/// A number as text.
struct Text(f64);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Whole numbers are the usual case and far quicker to write as integers.
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 && self.0.to_bits() != (-0.0f64).to_bits() {
            s.collect_str(&(self.0 as i64))
        } else if self.0.is_finite() {
            s.collect_str(&self.0)
        } else {
            s.serialize_str(&format_f(self.0))
        }
    }
}

/// A label set as an object.
#[must_use]
pub fn labels(of: &Labels) -> Value {
    Value::Object(of.iter().map(|(n, v)| (n.to_owned(), Value::String(v.to_owned()))).collect())
}

/// A time in seconds as a parameter: `1700000000.500`.
#[must_use]
pub fn time_text(t_ms: i64) -> String {
    format!("{}{}.{:03}", if t_ms < 0 { "-" } else { "" }, t_ms.abs() / 1000, t_ms.abs() % 1000)
}

/// A time in seconds; whole seconds without a fraction, as Prometheus writes them.
#[must_use]
pub fn seconds(t_ms: i64) -> Value {
    if t_ms % 1000 == 0 {
        return Value::from(t_ms / 1000);
    }
    Number::from_f64(t_ms as f64 / 1e3).map_or(Value::Null, Value::Number)
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

/// A whole successful answer, with remarks under `warnings` and `infos`.
#[must_use]
pub fn success(data: Value, remarks: &Remarks) -> Value {
    let mut out = Map::new();
    out.insert("status".to_owned(), Value::from("success"));
    out.insert("data".to_owned(), data);
    for (key, texts) in remarks.lists() {
        out.insert(key.to_owned(), json!(texts));
    }
    Value::Object(out)
}

/// What is to be said of an answer.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    /// Warnings.
    pub warnings: Vec<String>,
    /// Infos.
    pub infos: Vec<String>,
}

impl Remarks {
    /// The lists that are not empty, with their keys.
    fn lists(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let both = [("warnings", self.warnings.as_slice()), ("infos", self.infos.as_slice())];
        both.into_iter().filter(|(_, texts)| !texts.is_empty())
    }
}

impl Remarks {
    /// Those of a query's result, with their positions in the query.
    #[must_use]
    pub fn of(annotations: &Annotations, query: &str) -> Self {
        let of = |severity: Severity| {
            annotations.iter().filter(|a| a.severity == severity).map(|a| a.text(query)).collect()
        };
        Self { warnings: of(Severity::Warning), infos: of(Severity::Info) }
    }
}

/// How many samples of a series are one piece of an answer.
const SAMPLES: usize = 1 << 10;

/// A whole successful answer to a query, piece by piece, so that its text is never in memory as a whole: a piece for
/// the beginning, one for each series or some samples of it, one for the end.
pub fn pieces(value: QueryValue, remarks: &Remarks) -> impl Iterator<Item = String> + Send + use<> {
    let begin = |kind: &str| format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
    let mut end = "}".to_owned();
    for (key, texts) in remarks.lists() {
        end += &format!(r#","{key}":{}"#, json!(texts));
    }
    end += "}";
    let (first, list): (String, Box<dyn Iterator<Item = String> + Send>) = match value {
        QueryValue::Vector(list) => {
            let comma = |i: usize| if i > 0 { "," } else { "" };
            let series = list.into_iter().enumerate();
            (
                begin("vector"),
                Box::new(series.map(move |(i, s)| format!("{}{}", comma(i), text(&Instant(&s))))),
            )
        }
        QueryValue::Matrix(list) => {
            let series = list.into_iter().enumerate();
            (begin("matrix"), Box::new(series.flat_map(|(i, s)| series_pieces(s, i > 0))))
        }
        QueryValue::Scalar(t_ms, v) => {
            (begin("scalar"), Box::new(std::iter::once(format!("{},{}", t(t_ms), text(&Text(v))))))
        }
        QueryValue::String(t_ms, v) => {
            (begin("string"), Box::new(std::iter::once(format!("{},{}", t(t_ms), text(&v)))))
        }
    };
    std::iter::once(first).chain(list).chain([format!("]{end}")])
}

/// The pieces of one series of a matrix, `,` before them if it follows another.
fn series_pieces(series: RangeSeries, follows: bool) -> impl Iterator<Item = String> + Send {
    let comma = if follows { "," } else { "" };
    let floats = series.samples.times.len();
    let many = if series.samples.histograms.is_empty() && floats > SAMPLES { floats } else { 0 };
    let whole = (many == 0).then(|| format!("{comma}{}", text(&Ranged(&series))));
    let begin = (many > 0).then(|| format!(r#"{comma}{{"metric":{},"values":["#, labels(&series.labels)));
    let mut is_first = true;
    let parts = (0..many).step_by(SAMPLES).map(move |from| {
        let part = from..many.min(from + SAMPLES);
        let floats = series.samples.times[part.clone()].iter().zip(&series.samples.values[part]);
        let points = Each(floats.filter(|(_, v)| !is_stale(**v)).map(|(t, v)| Point(*t, *v)));
        let list = text(&points);
        let points = list.get(1..list.len() - 1).unwrap_or_default();
        let comma = if is_first || points.is_empty() { "" } else { "," };
        is_first &= points.is_empty();
        format!("{comma}{points}")
    });
    whole.into_iter().chain(begin).chain(parts).chain((many > 0).then(|| "]}".to_owned()))
}

fn text(of: &impl Serialize) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

/// A time as JSON.
fn t(t_ms: i64) -> String {
    seconds(t_ms).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::Column;
    use std::sync::Arc;

    #[test]
    fn shapes_are_those_of_the_api() {
        let up = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let check = |value: QueryValue, want: &str| {
            assert_eq!(data(&value).to_string(), want);
            assert_eq!(data_text(&value), want);
            let remarks = Remarks { warnings: vec!["a \"b\"".to_owned()], infos: Vec::new() };
            let whole: String = pieces(value.clone(), &remarks).collect();
            let whole: Value = serde_json::from_str(&whole).expect("JSON");
            assert_eq!(whole, success(data(&value), &remarks));
        };
        check(QueryValue::Scalar(1_000, f64::INFINITY), r#"{"result":[1,"+Inf"],"resultType":"scalar"}"#);
        check(
            QueryValue::Vector(vec![InstantSample {
                labels: up.clone(),
                t_ms: 1_500,
                value: Sample::Float(0.5),
            }]),
            r#"{"result":[{"metric":{"__name__":"up","job":"a"},"value":[1.5,"0.5"]}],"resultType":"vector"}"#,
        );
        check(QueryValue::Scalar(0, -0.0), r#"{"result":[0,"-0"],"resultType":"scalar"}"#);
        let samples = Column { times: vec![0, 1000], values: vec![1.0, f64::NAN], ..Column::default() };
        check(
            QueryValue::Matrix(vec![RangeSeries { labels: up, samples }]),
            r#"{"result":[{"metric":{"__name__":"up","job":"a"},"values":[[0,"1"],[1,"NaN"]]}],"resultType":"matrix"}"#,
        );
    }

    #[test]
    fn long_series_come_in_pieces_that_are_one_text() {
        for count in [SAMPLES, SAMPLES + 1, 3 * SAMPLES] {
            // The samples of one whole piece are stale, and one more.
            let stale = |i: usize| i < SAMPLES || i == 2 * SAMPLES + 5;
            let value = |i: usize| if stale(i) { assay_model::stale_nan() } else { i as f64 };
            let samples = Column {
                times: (0..count as i64).collect(),
                values: (0..count).map(value).collect(),
                ..Column::default()
            };
            let series = RangeSeries { labels: Labels::from_pairs([("a", "\"")]), samples };
            let value = QueryValue::Matrix(vec![series.clone(), series]);
            let whole: String = pieces(value.clone(), &Remarks::default()).collect();
            let whole: Value = serde_json::from_str(&whole).expect("JSON");
            let want = success(data(&value), &Remarks::default());
            for i in 0..2 {
                let (of, want) = (&whole["data"]["result"][i], &want["data"]["result"][i]);
                assert_eq!(of["metric"], want["metric"]);
                let none = Value::Array(Vec::new());
                assert_eq!(of.get("values").unwrap_or(&none), want.get("values").unwrap_or(&none), "{count}");
            }
            assert!(pieces(value, &Remarks::default()).all(|piece| piece.len() < SAMPLES * 64));
        }
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
