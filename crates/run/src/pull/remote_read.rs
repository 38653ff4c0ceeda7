//! Prometheus' remote read, answers of type "samples".
//!
//! Source: Prometheus `prompb/{remote,types}.proto`, v3.5. Invariant: an answer is decoded whole or refused, and
//! values keep their bits.

use assay_model::{
    CounterResetHint, FloatHistogram, Histogram, Labels, LabelsBuilder, MatchOp, Matcher,
    expo::ScrapeValue,
    histogram::CUSTOM_BUCKETS_SCHEMA,
    wire::{Field, WireError, Writer, fields, unzigzag},
};

use crate::import::{ImportError, Store};

/// An answer that unpacks to more than this is asked for in parts.
const MOST_BYTES: usize = 64 << 20;
/// So is one of more histograms than this: the shortest take two bytes in an answer and 200 in memory.
const MOST_HISTOGRAMS: usize = 1 << 20;

/// A series of an answer.
#[derive(Debug, Default)]
pub(super) struct ReadSeries {
    labels: Labels,
    floats: Vec<(i64, f64)>,
    histograms: Vec<(i64, ScrapeValue)>,
}

/// Why an answer was not taken.
#[derive(Debug)]
pub(super) enum DecodeError {
    /// There is too much of it.
    TooLarge(String),
    /// It cannot be used.
    Unusable(String),
}

/// The body of a request for the samples in `[start_ms, end_ms]`, both ends in.
pub(super) fn request(selector: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<u8>, String> {
    let mut request = Writer::default();
    request.message(1, |query| {
        query.uint(1, start_ms as u64);
        query.uint(2, end_ms as u64);
        for matcher in selector {
            query.message(3, |m| {
                m.uint(
                    1,
                    match matcher.op {
                        MatchOp::Equal => 0,
                        MatchOp::NotEqual => 1,
                        MatchOp::Regex => 2,
                        MatchOp::NotRegex => 3,
                    },
                );
                m.text(2, &matcher.name);
                m.text(3, &matcher.value);
            });
        }
    });
    snap::raw::Encoder::new().compress_vec(&request.out).map_err(|e| e.to_string())
}

/// The series of an answer.
///
/// # Errors
/// If it is too large or not an answer, or leaves out the bounds of custom buckets, as Prometheus 3.5 does; the query API
/// has them.
pub(super) fn decode(body: &[u8]) -> Result<Vec<ReadSeries>, DecodeError> {
    let unusable = |e: &dyn std::fmt::Display| DecodeError::Unusable(e.to_string());
    let length = snap::raw::decompress_len(body).map_err(|e| unusable(&e))?;
    if length > MOST_BYTES {
        return Err(DecodeError::TooLarge(format!("the response is {length} bytes long")));
    }
    let message = snap::raw::Decoder::new().decompress_vec(body).map_err(|e| unusable(&e))?;
    let (mut all, mut room) = (Vec::new(), MOST_HISTOGRAMS);
    fields(&message, |number, result| match number {
        1 => fields(result.bytes()?, |number, series| {
            if number == 1 {
                all.push(read_series(series, &mut room)?);
            }
            Ok(())
        }),
        _ => Ok(()),
    })
    .map_err(|e| unusable(&e))?;
    if room == 0 {
        return Err(DecodeError::TooLarge(format!("the response has {MOST_HISTOGRAMS} histograms or more")));
    }
    let lacks_bounds = |value: &ScrapeValue| match value {
        ScrapeValue::Float(_) => false,
        ScrapeValue::Histogram(h) => h.schema == CUSTOM_BUCKETS_SCHEMA && h.custom_values.is_empty(),
        ScrapeValue::FloatHistogram(h) => h.schema == CUSTOM_BUCKETS_SCHEMA && h.custom_values.is_empty(),
    };
    if all.iter().flat_map(|s: &ReadSeries| &s.histograms).any(|(_, value)| lacks_bounds(value)) {
        return Err(DecodeError::Unusable("the answer has custom buckets without their bounds".to_owned()));
    }
    Ok(all)
}

/// Puts an answer away.
pub(super) fn store(all: &[ReadSeries], store: &mut Store) -> Result<(), ImportError> {
    for ReadSeries { labels, floats, histograms } in all {
        let series = store.series(labels)?;
        store.push_all(series, floats)?;
        for (t_ms, value) in histograms {
            store.push_value(series, *t_ms, value)?;
        }
    }
    Ok(())
}

/// Reads a series with as many histograms as there is room for.
fn read_series(field: Field<'_>, room: &mut usize) -> Result<ReadSeries, WireError> {
    let mut labels = LabelsBuilder::new();
    let (mut floats, mut histograms) = (Vec::new(), Vec::new());
    fields(field.bytes()?, |number, field| {
        match number {
            1 => {
                let (name, value) = field.label()?;
                labels.set(name, value);
            }
            2 => floats.push(read_sample(field)?),
            4 if *room > 0 => {
                *room -= 1;
                histograms.push(read_histogram(field)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(ReadSeries { labels: labels.build(), floats, histograms })
}

fn read_sample(field: Field<'_>) -> Result<(i64, f64), WireError> {
    let (mut t_ms, mut value) = (0, 0.0);
    fields(field.bytes()?, |number, field| {
        match number {
            1 => value = field.double()?,
            2 => t_ms = field.varint()? as i64,
            _ => {}
        }
        Ok(())
    })?;
    Ok((t_ms, value))
}

fn read_histogram(field: Field<'_>) -> Result<(i64, ScrapeValue), WireError> {
    let (mut t_ms, mut is_float) = (0, false);
    let (mut h, mut float) = (Histogram::default(), FloatHistogram::default());
    fields(field.bytes()?, |number, field| {
        match number {
            1 => h.count = field.varint()?,
            2 => (float.count, is_float) = (field.double()?, true),
            3 => h.sum = field.double()?,
            4 => h.schema = unzigzag(field.varint()?) as i32,
            5 => h.zero_threshold = field.double()?,
            6 => h.zero_count = field.varint()?,
            7 => float.zero_count = field.double()?,
            8 => h.negative_spans.push(field.span()?),
            9 => field.sints(&mut h.negative_buckets)?,
            10 => field.doubles(&mut float.negative_buckets)?,
            11 => h.positive_spans.push(field.span()?),
            12 => field.sints(&mut h.positive_buckets)?,
            13 => field.doubles(&mut float.positive_buckets)?,
            14 => {
                h.counter_reset_hint = match field.varint()? {
                    1 => CounterResetHint::CounterReset,
                    2 => CounterResetHint::NotCounterReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => t_ms = field.varint()? as i64,
            16 => field.doubles(&mut h.custom_values)?,
            _ => {}
        }
        Ok(())
    })?;
    if !is_float {
        return Ok((t_ms, ScrapeValue::Histogram(h)));
    }
    let value = FloatHistogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        sum: h.sum,
        positive_spans: h.positive_spans,
        negative_spans: h.negative_spans,
        custom_values: h.custom_values,
        ..float
    };
    Ok((t_ms, ScrapeValue::FloatHistogram(value)))
}
