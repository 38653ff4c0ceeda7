//! What the records of a log say. Invariant: a record is taken whole or not at all, and no count in it is
//! believed before the bytes for it are seen.
//!
//! Types: 1 series, 2 samples, 3 tombstones, 4 exemplars, 5 markers of mapped chunks (`wbl/` only),
//! 6 metadata, 7 and 8 integer and float histograms, 9 and 10 the same with custom buckets. Source: Prometheus
//! `tsdb/docs/format/wal.md`, `tsdb/record/record.go` v3.5.3.

use std::sync::Arc;

use assay_model::{
    CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, MetricMetadata, MetricType, Span,
    histogram::CUSTOM_BUCKETS_SCHEMA,
};

use crate::{
    buf::Decoder,
    chunk::{Stored, layout::bucket_count},
    error::Damage,
};

type Decoded<T> = Result<T, Damage>;

/// The type bytes.
pub(crate) mod kind {
    pub(crate) const SERIES: u8 = 1;
    pub(crate) const SAMPLES: u8 = 2;
    pub(crate) const TOMBSTONES: u8 = 3;
    pub(crate) const EXEMPLARS: u8 = 4;
    pub(crate) const METADATA: u8 = 6;
    pub(crate) const HISTOGRAMS: u8 = 7;
    pub(crate) const FLOAT_HISTOGRAMS: u8 = 8;
    pub(crate) const CUSTOM_HISTOGRAMS: u8 = 9;
    pub(crate) const CUSTOM_FLOAT_HISTOGRAMS: u8 = 10;
}

/// A sample of a series.
#[derive(Clone, Debug)]
pub(crate) struct RefSample {
    pub(crate) series: u64,
    pub(crate) t: i64,
    pub(crate) value: Stored,
}

/// A record, decoded.
#[derive(Debug)]
pub(crate) enum Record {
    Series(Vec<(u64, Labels)>),
    Samples(Vec<RefSample>),
    /// Series, first and last time, both in.
    Tombstones(Vec<(u64, i64, i64)>),
    Exemplars(Vec<(u64, Exemplar)>),
    Metadata(Vec<(u64, MetricMetadata)>),
    /// A kind that holds no data that we need, or that a later version added.
    Other,
}

/// Decodes a record.
pub(crate) fn decode(data: &[u8]) -> Decoded<Record> {
    let mut d = Decoder::new(data);
    if d.is_empty() {
        return Ok(Record::Other);
    }
    Ok(match d.u8()? {
        kind::SERIES => Record::Series(all(&mut d, |d| Ok((d.be64()?, labels(d)?)))?),
        kind::SAMPLES => Record::Samples(samples(&mut d, |d| Ok(Stored::Float(d.float()?)))?),
        kind::TOMBSTONES => Record::Tombstones(all(&mut d, |d| Ok((d.be64()?, d.varint()?, d.varint()?)))?),
        kind::EXEMPLARS => Record::Exemplars(exemplars(&mut d)?),
        kind::METADATA => Record::Metadata(all(&mut d, metadata)?),
        kind::HISTOGRAMS | kind::CUSTOM_HISTOGRAMS => {
            Record::Samples(samples(&mut d, |d| Ok(Stored::Histogram(Arc::new(histogram(d)?))))?)
        }
        kind::FLOAT_HISTOGRAMS | kind::CUSTOM_FLOAT_HISTOGRAMS => {
            Record::Samples(samples(&mut d, |d| Ok(Stored::FloatHistogram(Arc::new(float_histogram(d)?))))?)
        }
        _ => Record::Other,
    })
}

fn all<'a, T>(d: &mut Decoder<'a>, mut one: impl FnMut(&mut Decoder<'a>) -> Decoded<T>) -> Decoded<Vec<T>> {
    let mut out = Vec::new();
    while !d.is_empty() {
        out.push(one(d)?);
    }
    Ok(out)
}

/// Entries of series and time, both relative to the base at the start of the record, and a value.
fn samples<'a>(
    d: &mut Decoder<'a>,
    mut value: impl FnMut(&mut Decoder<'a>) -> Decoded<Stored>,
) -> Decoded<Vec<RefSample>> {
    if d.is_empty() {
        return Ok(Vec::new());
    }
    let (base_series, base_t) = (d.be64()?, d.be64_signed()?);
    all(d, |d| {
        let series = base_series.wrapping_add_signed(d.varint()?);
        let t = base_t.wrapping_add(d.varint()?);
        Ok(RefSample { series, t, value: value(d)? })
    })
}

/// The exemplars of a record, whose type byte is consumed.
pub(crate) fn exemplars(d: &mut Decoder<'_>) -> Decoded<Vec<(u64, Exemplar)>> {
    if d.is_empty() {
        return Ok(Vec::new());
    }
    let (base_series, base_t) = (d.be64()?, d.be64_signed()?);
    all(d, |d| {
        let series = base_series.wrapping_add_signed(d.varint()?);
        let t_ms = Some(base_t.wrapping_add(d.varint()?));
        let value = d.float()?;
        Ok((series, Exemplar { labels: labels(d)?, value, t_ms }))
    })
}

/// A label set as logs and snapshots write it: sorted in what Prometheus writes, but not believed to be.
pub(crate) fn labels(d: &mut Decoder<'_>) -> Decoded<Labels> {
    let n = d.count(2)?;
    let mut pairs = Vec::with_capacity(n);
    for _ in 0..n {
        pairs.push((d.str()?, d.str()?));
    }
    let ordered = pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, v)| !v.is_empty());
    Ok(if ordered { Labels::from_sorted(pairs) } else { Labels::from_pairs(pairs) })
}

fn metadata(d: &mut Decoder<'_>) -> Decoded<(u64, MetricMetadata)> {
    let series = d.uvarint()?;
    let mut meta = MetricMetadata { metric_type: metric_type(d.u8()?), ..MetricMetadata::default() };
    for _ in 0..d.count(2)? {
        match (d.str()?, d.str()?) {
            ("UNIT", value) => value.clone_into(&mut meta.unit),
            ("HELP", value) => value.clone_into(&mut meta.help),
            _ => {}
        }
    }
    Ok((series, meta))
}

/// Numbers of `record.go`, `MetricType`.
fn metric_type(byte: u8) -> MetricType {
    match byte {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

fn hint(byte: u8) -> CounterResetHint {
    match byte {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn spans(d: &mut Decoder<'_>) -> Decoded<Vec<Span>> {
    let n = d.count(2)?;
    (0..n)
        .map(|_| {
            let offset = d.varint()? as i32;
            match u32::try_from(d.uvarint()?) {
                Ok(length) => Ok(Span { offset, length }),
                Err(_) => d.fail("a span of more than 4294967295 buckets"),
            }
        })
        .collect()
}

fn list<'a, T>(
    d: &mut Decoder<'a>,
    least: usize,
    mut one: impl FnMut(&mut Decoder<'a>) -> Decoded<T>,
) -> Decoded<Vec<T>> {
    let n = d.count(least)?;
    (0..n).map(|_| one(d)).collect()
}

fn check_buckets(d: &Decoder<'_>, spans: &[Span], buckets: usize) -> Decoded<()> {
    let covered = bucket_count(spans);
    if covered == buckets as u64 {
        return Ok(());
    }
    d.fail(format!("a histogram with {buckets} buckets in spans of {covered}"))
}

fn histogram(d: &mut Decoder<'_>) -> Decoded<Histogram> {
    let mut h = Histogram {
        counter_reset_hint: hint(d.u8()?),
        schema: d.varint()? as i32,
        zero_threshold: d.float()?,
        zero_count: d.uvarint()?,
        count: d.uvarint()?,
        sum: d.float()?,
        positive_spans: spans(d)?,
        negative_spans: spans(d)?,
        positive_buckets: list(d, 1, Decoder::varint)?,
        negative_buckets: list(d, 1, Decoder::varint)?,
        custom_values: Vec::new(),
    };
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        h.custom_values = list(d, 8, Decoder::float)?;
    }
    check_buckets(d, &h.positive_spans, h.positive_buckets.len())?;
    check_buckets(d, &h.negative_spans, h.negative_buckets.len())?;
    Ok(h)
}

fn float_histogram(d: &mut Decoder<'_>) -> Decoded<FloatHistogram> {
    let mut h = FloatHistogram {
        counter_reset_hint: hint(d.u8()?),
        schema: d.varint()? as i32,
        zero_threshold: d.float()?,
        zero_count: d.float()?,
        count: d.float()?,
        sum: d.float()?,
        positive_spans: spans(d)?,
        negative_spans: spans(d)?,
        positive_buckets: list(d, 8, Decoder::float)?,
        negative_buckets: list(d, 8, Decoder::float)?,
        custom_values: Vec::new(),
    };
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        h.custom_values = list(d, 8, Decoder::float)?;
    }
    check_buckets(d, &h.positive_spans, h.positive_buckets.len())?;
    check_buckets(d, &h.negative_spans, h.negative_buckets.len())?;
    Ok(h)
}
