//! VictoriaMetrics' export: `{"metric": {…}, "values": […], "timestamps": […]}` on each line, times in
//! milliseconds, `null` for NaN and infinities in quotes.
//!
//! Source: "How to export data in JSON line format" of its documentation. Invariant: one line is in memory
//! at a time.

use std::{fmt, fs::File, io::BufReader, path::Path};

use assay_model::sample::NORMAL_NAN_BITS;
use assay_prom_api::read::{JsonError, MetricLabels};
use serde::{Deserialize, Deserializer, de::Visitor};

use super::{ImportError, Store};

#[derive(Deserialize)]
struct ExportLine {
    metric: MetricLabels,
    values: Vec<Value>,
    timestamps: Vec<i64>,
}

/// Reads a whole file into the store.
pub(super) fn read(path: &Path, file: File, store: &mut Store) -> Result<(), ImportError> {
    let json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 18, file));
    for (line, number) in json.into_iter::<ExportLine>().zip(1..) {
        let line = line.map_err(|e| ImportError::json(path, JsonError::from(&e)))?;
        if line.values.len() != line.timestamps.len() {
            let (values, times) = (line.values.len(), line.timestamps.len());
            let message = format!("{} has {values} values and {times} timestamps", line.metric.0);
            return Err(ImportError::Json { path: path.to_owned(), line: number, column: 1, message });
        }
        let series = store.series(&line.metric.0)?;
        for (t_ms, value) in line.timestamps.iter().zip(&line.values) {
            store.push(series, *t_ms, value.0)?;
        }
    }
    Ok(())
}

struct Value(f64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
                Ok(Value(v))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
                Ok(Value(v as f64))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value(v as f64))
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value(f64::from_bits(NORMAL_NAN_BITS)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                match text.parse::<f64>() {
                    Ok(v) if v.is_nan() => self.visit_unit(),
                    Ok(v) => Ok(Value(v)),
                    Err(_) => Err(E::custom(format!("{text:?} is not a number"))),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}
