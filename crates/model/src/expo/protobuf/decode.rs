//! Bytes to families. Invariant: nothing is allocated by a length that the bytes do not bear out.

use super::super::{
    Bucket, HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, ParseError, ParseErrors,
    Position, Quantile, SummaryValue,
    wire::{Field, Reader, WireError, unzigzag},
};
use crate::{CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, LabelsBuilder, MetricType, Span};

/// Reads length-delimited families.
///
/// # Errors
/// Where the bytes are not such messages; the position is that of the family which fails.
pub fn decode(bytes: &[u8]) -> Result<Vec<MetricFamily>, ParseErrors> {
    let mut reader = Reader::new(bytes);
    let mut families = Vec::new();
    while !reader.is_empty() {
        let start = reader.offset();
        let family = reader.delimited().and_then(read_family).map_err(|e| {
            let at = Position::Byte((start + e.at) as u64);
            ParseErrors(vec![ParseError { at, message: format!("not a metric family: {}", e.message) }])
        })?;
        families.push(family);
    }
    Ok(families)
}

/// Calls `each` with the fields of a message.
fn fields<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(u64, Field<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.field()? {
        each(number, field)?;
    }
    Ok(())
}

/// A field's content, or an error that says that it has another wire type than it should.
fn want<T>(value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError { at: 0, message: "a field is not of its type, or not valid UTF-8" })
}

fn read_family(bytes: &[u8]) -> Result<MetricFamily, WireError> {
    let mut family = MetricFamily { metric_type: MetricType::Counter, ..MetricFamily::default() };
    fields(bytes, |number, field| {
        match number {
            1 => family.name = want(field.text())?.to_owned(),
            2 => family.help = want(field.text())?.to_owned(),
            3 => {
                family.metric_type = match want(field.varint())? {
                    0 => MetricType::Counter,
                    1 => MetricType::Gauge,
                    2 => MetricType::Summary,
                    4 => MetricType::Histogram,
                    5 => MetricType::GaugeHistogram,
                    _ => MetricType::Unknown,
                }
            }
            4 => family.metrics.push(read_metric(want(field.bytes())?)?),
            5 => family.unit = want(field.text())?.to_owned(),
            _ => {}
        }
        Ok(())
    })?;
    if family.metric_type == MetricType::GaugeHistogram {
        family.metrics.iter_mut().for_each(mark_gauge);
    }
    Ok(family)
}

fn mark_gauge(metric: &mut Metric) {
    if let MetricValue::Histogram(HistogramValue { native: Some(native), .. }) = &mut metric.value {
        match native {
            NativeHistogram::Integer(h) => h.counter_reset_hint = CounterResetHint::Gauge,
            NativeHistogram::Float(h) => h.counter_reset_hint = CounterResetHint::Gauge,
        }
    }
}

fn read_metric(bytes: &[u8]) -> Result<Metric, WireError> {
    let mut metric = Metric::new(Labels::empty(), MetricValue::Float(0.0));
    let mut labels = LabelsBuilder::new();
    fields(bytes, |number, field| {
        match number {
            1 => read_label(want(field.bytes())?, &mut labels)?,
            2 | 3 | 5 => read_float(want(field.bytes())?, &mut metric)?,
            4 => read_summary(want(field.bytes())?, &mut metric)?,
            7 => read_histogram(want(field.bytes())?, &mut metric)?,
            6 => metric.t_ms = Some(want(field.varint())? as i64),
            _ => {}
        }
        Ok(())
    })?;
    metric.labels = labels.build();
    Ok(metric)
}

fn read_label(bytes: &[u8], labels: &mut LabelsBuilder) -> Result<(), WireError> {
    let (mut name, mut value) = ("", "");
    fields(bytes, |number, field| {
        match number {
            1 => name = want(field.text())?,
            2 => value = want(field.text())?,
            _ => {}
        }
        Ok(())
    })?;
    labels.set(name, value);
    Ok(())
}

/// A gauge, a counter or an untyped value: the same fields as far as they have them.
fn read_float(bytes: &[u8], metric: &mut Metric) -> Result<(), WireError> {
    let mut value = 0.0;
    fields(bytes, |number, field| {
        match number {
            1 => value = want(field.double())?,
            2 => metric.exemplars.push(read_exemplar(want(field.bytes())?)?),
            3 => metric.start_ms = Some(read_time(want(field.bytes())?)?),
            _ => {}
        }
        Ok(())
    })?;
    metric.value = MetricValue::Float(value);
    Ok(())
}

fn read_time(bytes: &[u8]) -> Result<i64, WireError> {
    let mut t_ms = 0i64;
    fields(bytes, |number, field| {
        match number {
            1 => t_ms = t_ms.saturating_add((want(field.varint())? as i64).saturating_mul(1000)),
            2 => t_ms = t_ms.saturating_add(want(field.varint())? as i64 / 1_000_000),
            _ => {}
        }
        Ok(())
    })?;
    Ok(t_ms)
}

fn read_exemplar(bytes: &[u8]) -> Result<Exemplar, WireError> {
    let (mut labels, mut value, mut t_ms) = (LabelsBuilder::new(), 0.0, None);
    fields(bytes, |number, field| {
        match number {
            1 => read_label(want(field.bytes())?, &mut labels)?,
            2 => value = want(field.double())?,
            3 => t_ms = Some(read_time(want(field.bytes())?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Exemplar { labels: labels.build(), value, t_ms })
}

fn read_summary(bytes: &[u8], metric: &mut Metric) -> Result<(), WireError> {
    let mut summary = SummaryValue::default();
    fields(bytes, |number, field| {
        match number {
            1 => summary.count = want(field.varint())? as f64,
            2 => summary.sum = want(field.double())?,
            3 => {
                let mut q = Quantile { quantile: 0.0, value: 0.0 };
                fields(want(field.bytes())?, |number, field| {
                    match number {
                        1 => q.quantile = want(field.double())?,
                        2 => q.value = want(field.double())?,
                        _ => {}
                    }
                    Ok(())
                })?;
                summary.quantiles.push(q);
            }
            4 => metric.start_ms = Some(read_time(want(field.bytes())?)?),
            _ => {}
        }
        Ok(())
    })?;
    metric.value = MetricValue::Summary(summary);
    Ok(())
}

/// A histogram's fields, both kinds of counts side by side until all have been read.
#[derive(Default)]
struct Raw {
    integer: Histogram,
    float: FloatHistogram,
    buckets: Vec<Bucket>,
}

fn read_histogram(bytes: &[u8], metric: &mut Metric) -> Result<(), WireError> {
    let mut raw = Raw::default();
    fields(bytes, |number, field| {
        match number {
            3 => raw.buckets.push(read_bucket(want(field.bytes())?)?),
            15 => metric.start_ms = Some(read_time(want(field.bytes())?)?),
            16 => metric.exemplars.push(read_exemplar(want(field.bytes())?)?),
            _ => raw.read(number, field)?,
        }
        Ok(())
    })?;
    metric.value = MetricValue::Histogram(raw.finish()?);
    Ok(())
}

impl Raw {
    fn read(&mut self, number: u64, field: Field<'_>) -> Result<(), WireError> {
        let (integer, float) = (&mut self.integer, &mut self.float);
        match number {
            1 => integer.count = want(field.varint())?,
            2 => integer.sum = want(field.double())?,
            4 => float.count = want(field.double())?,
            5 => integer.schema = unzigzag(want(field.varint())?) as i32,
            6 => integer.zero_threshold = want(field.double())?,
            7 => integer.zero_count = want(field.varint())?,
            8 => float.zero_count = want(field.double())?,
            9 => integer.negative_spans.push(read_span(want(field.bytes())?)?),
            10 => read_sints(field, &mut integer.negative_buckets)?,
            11 => read_doubles(field, &mut float.negative_buckets)?,
            12 => integer.positive_spans.push(read_span(want(field.bytes())?)?),
            13 => read_sints(field, &mut integer.positive_buckets)?,
            14 => read_doubles(field, &mut float.positive_buckets)?,
            _ => {}
        }
        Ok(())
    }

    /// Source for what makes a histogram native, and a native one a float one: Prometheus
    /// `model/textparse/protobufparse.go` v3.5.
    fn finish(self) -> Result<HistogramValue, WireError> {
        let Self { integer, mut float, buckets } = self;
        let is_float = float.count > 0.0 || float.zero_count > 0.0;
        let is_native = integer.zero_threshold > 0.0
            || integer.zero_count > 0
            || float.zero_count > 0.0
            || !integer.positive_spans.is_empty()
            || !integer.negative_spans.is_empty();
        let count = if is_float { float.count } else { integer.count as f64 };
        let sum = integer.sum;
        let native = match (is_native, is_float) {
            (false, _) => None,
            (true, true) => {
                float.schema = integer.schema;
                float.zero_threshold = integer.zero_threshold;
                float.sum = sum;
                float.positive_spans = drop_mark(integer.positive_spans);
                float.negative_spans = drop_mark(integer.negative_spans);
                check_spans(&float.positive_spans, float.positive_buckets.len())?;
                check_spans(&float.negative_spans, float.negative_buckets.len())?;
                Some(NativeHistogram::Float(float))
            }
            (true, false) => {
                let positive_spans = drop_mark(integer.positive_spans);
                let negative_spans = drop_mark(integer.negative_spans);
                check_spans(&positive_spans, integer.positive_buckets.len())?;
                check_spans(&negative_spans, integer.negative_buckets.len())?;
                Some(NativeHistogram::Integer(Histogram { positive_spans, negative_spans, ..integer }))
            }
        };
        Ok(HistogramValue { count, sum, buckets, native })
    }
}

/// A span of no length only says that the histogram is native.
fn drop_mark(mut spans: Vec<Span>) -> Vec<Span> {
    if spans.iter().all(|s| s.length == 0) {
        spans.clear();
    }
    spans
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), WireError> {
    let wanted: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if wanted == buckets as u64 {
        return Ok(());
    }
    Err(WireError { at: 0, message: "a native histogram has not as many buckets as its spans say" })
}

fn read_bucket(bytes: &[u8]) -> Result<Bucket, WireError> {
    let mut bucket = Bucket { le: 0.0, cumulative_count: 0.0, exemplar: None };
    fields(bytes, |number, field| {
        match number {
            1 => bucket.cumulative_count = want(field.varint())? as f64,
            2 => bucket.le = want(field.double())?,
            3 => bucket.exemplar = Some(read_exemplar(want(field.bytes())?)?),
            4 => bucket.cumulative_count = want(field.double())?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(bucket)
}

fn read_span(bytes: &[u8]) -> Result<Span, WireError> {
    let mut span = Span::default();
    fields(bytes, |number, field| {
        match number {
            1 => span.offset = unzigzag(want(field.varint())?) as i32,
            2 => span.length = want(field.varint())? as u32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

/// Numbers that stand packed in one field, or each in a field of its own: writers do either.
fn read_sints(field: Field<'_>, out: &mut Vec<i64>) -> Result<(), WireError> {
    match field {
        Field::Varint(v) => out.push(unzigzag(v)),
        Field::Bytes(bytes) => {
            let mut reader = Reader::new(bytes);
            while !reader.is_empty() {
                out.push(unzigzag(reader.varint()?));
            }
        }
        Field::Fixed64(_) | Field::Fixed32 => want(None)?,
    }
    Ok(())
}

fn read_doubles(field: Field<'_>, out: &mut Vec<f64>) -> Result<(), WireError> {
    match field {
        Field::Fixed64(v) => out.push(f64::from_bits(v)),
        Field::Bytes(bytes) => {
            let mut reader = Reader::new(bytes);
            while !reader.is_empty() {
                out.push(f64::from_bits(reader.fixed64()?));
            }
        }
        Field::Varint(_) | Field::Fixed32 => want(None)?,
    }
    Ok(())
}
