//! Answers of Prometheus' HTTP API: matrices and vectors, floats and native histograms.
//!
//! Invariant: one series is in memory at a time, whatever the answer's size.

use std::{fmt, io::Read, path::Path};

use assay_model::{Labels, sample::NORMAL_NAN_BITS};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    ImportError, Store,
    histogram::{Shown, ShownBucket, rebuild},
};

/// Reads a whole answer into the store. `path` is what errors name.
pub(crate) fn read_answer(path: &Path, answer: impl Read, store: &mut Store) -> Result<(), ImportError> {
    let mut failure = None;
    let mut json = serde_json::Deserializer::from_reader(answer);
    let result = Answer { store, failure: &mut failure }.deserialize(&mut json).and_then(|()| json.end());
    match (failure, result) {
        (Some(failure), _) => Err(failure),
        (None, Err(e)) => Err(json_error(path, &e)),
        (None, Ok(())) => Ok(()),
    }
}

pub(super) fn json_error(path: &Path, error: &serde_json::Error) -> ImportError {
    let text = error.to_string();
    // The position is said in front already.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    ImportError::Json { path: path.to_owned(), line: error.line(), column: error.column(), message }
}

/// Seconds as the API writes times, in milliseconds.
fn ms<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    if seconds.is_finite() && seconds.abs() < 9e12 {
        return Ok((seconds * 1000.0).round() as i64);
    }
    Err(E::custom(format!("{seconds} is not a time in seconds since 1970-01-01")))
}

/// The whole answer.
struct Answer<'s> {
    store: &'s mut Store,
    /// What the store said; the JSON is not to blame for it.
    failure: &'s mut Option<ImportError>,
}

impl<'de> DeserializeSeed<'de> for Answer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Answer<'_> {
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
                    map.next_value_seed(Data { store: &mut *self.store, failure: &mut *self.failure })?;
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
struct Data<'s> {
    store: &'s mut Store,
    failure: &'s mut Option<ImportError>,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
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
                    map.next_value_seed(Series { store: &mut *self.store, failure: &mut *self.failure })?;
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
struct Series<'s> {
    store: &'s mut Store,
    failure: &'s mut Option<ImportError>,
}

impl<'de> DeserializeSeed<'de> for Series<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Series<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(series) = seq.next_element::<ShownSeries>()? {
            if let Err(error) = series.store(self.store) {
                *self.failure = Some(error);
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

impl ShownSeries {
    fn store(self, store: &mut Store) -> Result<(), ImportError> {
        let series = store.series(&self.metric.0)?;
        for point in self.values.iter().chain(&self.value) {
            store.push(series, point.t_ms, point.value.0)?;
        }
        let points = self.histograms.into_iter().chain(self.histogram);
        let (times, shown): (Vec<_>, Vec<_>) = points.map(|p| (p.t_ms, p.value)).unzip();
        for (t_ms, value) in times.into_iter().zip(rebuild(&shown)) {
            store.push_value(series, t_ms, &value)?;
        }
        Ok(())
    }
}

/// The labels of a series.
pub(super) struct MetricLabels(pub(super) Labels);

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
