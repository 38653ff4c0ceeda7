//! Answers of the API, read: matrices and vectors series by series, floats and native histograms.
//!
//! Invariant: [`read_series`] holds one series in memory at a time, whatever the answer's size, and no reading takes many
//! times the memory of the answer itself.

use std::{fmt, io::Read};

use assay_model::{Column, FloatHistogram, Labels, Value, expo::ScrapeValue, sample::NORMAL_NAN_BITS};
use assay_promql::{Annotation, InstantSample, QueryResult, QueryValue, RangeSeries, Severity};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

mod histogram;

use histogram::{Shown, ShownBucket, rebuild};

/// A series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiSeries {
    /// Its labels, the metric's name among them.
    pub labels: Labels,
    /// Times in milliseconds since the Unix epoch, and values.
    pub floats: Vec<(i64, f64)>,
    /// The same of native histograms. They are apart because a histogram's place is ten times that of a float.
    pub histograms: Vec<(i64, ScrapeValue)>,
}

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// It is not an answer of the API, or it is an error.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The receiver of the series refused one.
    #[error("{0}")]
    Taken(E),
}

/// What is wrong with JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct JsonError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl From<&serde_json::Error> for JsonError {
    fn from(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The position has fields of its own.
        let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
        Self { line: error.line(), column: error.column(), message }
    }
}

/// Hands each series of an answer to `take`.
///
/// # Errors
/// If the answer is not one of the API with series in it, is an error, or `take` fails.
pub fn read_series<E>(
    answer: impl Read,
    mut take: impl FnMut(ApiSeries) -> Result<(), E>,
) -> Result<(), ReadError<E>> {
    let mut failure = None;
    let mut json = serde_json::Deserializer::from_reader(answer);
    let mut each = |series: ApiSeries| match take(series) {
        Ok(()) => true,
        Err(e) => {
            failure = Some(e);
            false
        }
    };
    let result = Answer { take: &mut each }.deserialize(&mut json).and_then(|()| json.end());
    match (failure, result) {
        (Some(failure), _) => Err(ReadError::Taken(failure)),
        (None, Err(e)) => Err(ReadError::Json(JsonError::from(&e))),
        (None, Ok(())) => Ok(()),
    }
}

/// The answer to a query, with its warnings and infos.
///
/// # Errors
/// If it is not one.
pub fn read_query(answer: &[u8]) -> Result<QueryResult, JsonError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: Option<Data<'a>>,
        error: Option<String>,
        #[serde(default)]
        warnings: Vec<String>,
        #[serde(default)]
        infos: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(rename = "resultType")]
        kind: String,
        /// As it was sent: a tree of values would take fifty times as much.
        #[serde(borrow)]
        result: &'a RawValue,
    }
    let envelope: Envelope<'_> = serde_json::from_slice(answer).map_err(|e| JsonError::from(&e))?;
    let fail = |message: String| JsonError { line: 1, column: 1, message };
    if let Some(error) = envelope.error {
        return Err(fail(format!("the answer is an error: {error}")));
    }
    let Some(Data { kind, result }) = envelope.data else {
        return Err(fail("the answer has no \"data\"".to_owned()));
    };
    let value = query_value(&kind, result.get()).map_err(|e| fail(format!("not a {kind}: {e}")))?;
    let remark =
        |severity| move |message| Annotation { severity, message, span: 0..0, details: String::new() };
    let warnings = envelope.warnings.into_iter().map(remark(Severity::Warning));
    let annotations = warnings.chain(envelope.infos.into_iter().map(remark(Severity::Info))).collect();
    Ok(QueryResult { value, annotations })
}

fn query_value(kind: &str, result: &str) -> Result<QueryValue, serde_json::Error> {
    let list = || -> Result<Vec<ShownSeries>, serde_json::Error> { serde_json::from_str(result) };
    Ok(match kind {
        "scalar" => {
            let point: Point<Number> = serde_json::from_str(result)?;
            QueryValue::Scalar(point.t_ms, point.value.0)
        }
        "string" => {
            let point: Point<String> = serde_json::from_str(result)?;
            QueryValue::String(point.t_ms, point.value)
        }
        "vector" => QueryValue::Vector(list()?.into_iter().filter_map(instant).collect()),
        "matrix" => QueryValue::Matrix(list()?.into_iter().map(range).collect()),
        other => return Err(serde_json::Error::custom(format!("unknown resultType {other:?}"))),
    })
}

/// The one sample of a vector's series.
fn instant(series: ShownSeries) -> Option<InstantSample> {
    let ApiSeries { labels, floats, histograms } = series.into();
    let float = floats.into_iter().next().map(|(t_ms, v)| (t_ms, Value::Float(v)));
    let histogram = || {
        let (t_ms, h) = histograms.into_iter().next()?;
        Some((t_ms, Value::Histogram(float_histogram(h)?.into())))
    };
    let (t_ms, value) = float.or_else(histogram)?;
    Some(InstantSample { labels, t_ms, value })
}

fn range(series: ShownSeries) -> RangeSeries {
    let ApiSeries { labels, floats, histograms } = series.into();
    let (times, values) = floats.into_iter().unzip();
    let histograms = histograms.into_iter().filter_map(|(t_ms, h)| Some((t_ms, float_histogram(h)?.into())));
    let (histogram_times, histograms) = histograms.unzip();
    RangeSeries {
        labels,
        samples: Column { times, values, histogram_times, histograms, ..Column::default() },
    }
}

fn float_histogram(value: ScrapeValue) -> Option<FloatHistogram> {
    match value {
        ScrapeValue::Float(_) => None,
        ScrapeValue::Histogram(h) => Some(h.to_float()),
        ScrapeValue::FloatHistogram(h) => Some(h),
    }
}

/// Seconds as the API writes times, in milliseconds.
fn ms<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    if seconds.is_finite() && seconds.abs() < 9e12 {
        return Ok((seconds * 1000.0).round() as i64);
    }
    Err(E::custom(format!("{seconds} is not a time in seconds since 1970-01-01")))
}

/// Takes a series in; false ends the reading.
type Take<'s> = dyn FnMut(ApiSeries) -> bool + 's;

/// The whole answer.
struct Answer<'a, 's> {
    take: &'a mut Take<'s>,
}

impl<'de> DeserializeSeed<'de> for Answer<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an answer of the HTTP API, {\"status\": …, \"data\": {\"resultType\": …, \"result\": …}}",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut has_data, mut error) = (false, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "data" => {
                    has_data = true;
                    map.next_value_seed(Data { take: &mut *self.take })?;
                }
                "error" => error = Some(map.next_value::<String>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match error {
            Some(error) => Err(A::Error::custom(format!("the answer is an error: {error}"))),
            None if !has_data => Err(A::Error::custom("the answer has no \"data\"")),
            None => Ok(()),
        }
    }
}

/// The value of `data`.
struct Data<'a, 's> {
    take: &'a mut Take<'s>,
}

impl<'de> DeserializeSeed<'de> for Data<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Data<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a query, {\"resultType\": \"matrix\", \"result\": […]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_result = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resultType" => {
                    let kind = map.next_value::<String>()?;
                    if !matches!(kind.as_str(), "matrix" | "vector") {
                        return Err(A::Error::custom(format!(
                            "resultType is {kind:?}, which has no series; ask for a matrix or a vector"
                        )));
                    }
                }
                "result" => {
                    has_result = true;
                    map.next_value_seed(Series { take: &mut *self.take })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_result { Ok(()) } else { Err(A::Error::custom("the data have no \"result\"")) }
    }
}

/// The value of `result`: a list of series.
struct Series<'a, 's> {
    take: &'a mut Take<'s>,
}

impl<'de> DeserializeSeed<'de> for Series<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Series<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(series) = seq.next_element::<ShownSeries>()? {
            if !(self.take)(series.into()) {
                return Err(A::Error::custom("the sample could not be stored"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct ShownSeries {
    metric: MetricLabels,
    #[serde(default)]
    values: Vec<Point<Number>>,
    #[serde(default)]
    value: Option<Point<Number>>,
    #[serde(default)]
    histograms: Vec<Point<Shown>>,
    #[serde(default)]
    histogram: Option<Point<Shown>>,
}

impl From<ShownSeries> for ApiSeries {
    fn from(shown: ShownSeries) -> Self {
        let floats = shown.values.into_iter().chain(shown.value).map(|p| (p.t_ms, p.value.0)).collect();
        let points = shown.histograms.into_iter().chain(shown.histogram);
        let (times, shapes): (Vec<_>, Vec<_>) = points.map(|p| (p.t_ms, p.value)).unzip();
        let histograms = times.into_iter().zip(rebuild(&shapes)).collect();
        Self { labels: shown.metric.0, floats, histograms }
    }
}

/// The labels of a series, as an object in JSON.
pub struct MetricLabels(pub Labels);

impl<'de> Deserialize<'de> for MetricLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self(Labels::from_pairs(pairs)))
    }
}

/// `[time in seconds, value]`.
struct Point<V> {
    t_ms: i64,
    value: V,
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Point<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seconds, value) = <(f64, V)>::deserialize(deserializer)?;
        Ok(Self { t_ms: ms(seconds)?, value })
    }
}

/// A float in quotes, such as `"0.5"` or `"+Inf"`.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl Visitor<'_> for Quoted {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                match text.parse::<f64>() {
                    Ok(v) if v.is_nan() => Ok(Number(f64::from_bits(NORMAL_NAN_BITS))),
                    Ok(v) => Ok(Number(v)),
                    Err(_) => Err(E::custom(format!("{text:?} is not a number"))),
                }
            }
        }
        deserializer.deserialize_str(Quoted)
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            count: Number,
            sum: Number,
            #[serde(default)]
            buckets: Vec<(u8, Number, Number, Number)>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let bucket = |(boundaries, lower, upper, count): (u8, Number, Number, Number)| ShownBucket {
            boundaries,
            lower: lower.0,
            upper: upper.0,
            count: count.0,
        };
        Ok(Self {
            count: raw.count.0,
            sum: raw.sum.0,
            buckets: raw.buckets.into_iter().map(bucket).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_writes_is_read_back() {
        let samples = Column { times: vec![0, 1_500], values: vec![1.0, f64::INFINITY], ..Column::default() };
        let series = RangeSeries { labels: Labels::from_pairs([("a", "b")]), samples };
        let data = crate::json::data_text(&QueryValue::Matrix(vec![series.clone()]));
        let answer = format!("{{\"status\":\"success\",\"warnings\":[\"w\"],\"data\":{data}}}");
        let read = read_query(answer.as_bytes()).expect("reads");
        let QueryValue::Matrix(list) = read.value else { panic!("{:?}", read.value) };
        assert_eq!(list, [series]);
        assert_eq!(read.annotations.len(), 1);
        for (bad, want) in [
            ("{\"status\":\"error\",\"error\":\"no\"}", "the answer is an error: no"),
            ("{}", "has no \"data\""),
            ("{\"data\":{\"resultType\":\"vector\",\"result\":[{}]}}", "missing field `metric`"),
        ] {
            let error = read_query(bad.as_bytes()).expect_err(bad).to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
