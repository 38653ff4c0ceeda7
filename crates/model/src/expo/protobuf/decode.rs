//! Bytes to families. Invariant: nothing is allocated by a length that the bytes do not bear out.

use super::super::{
    Bucket, HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, ParseError, ParseErrors,
    Position, Quantile, SummaryValue,
};
use crate::{
    CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, LabelsBuilder, MetricType, Span,
    wire::{Field, Reader, WireError, fields, unzigzag},
};

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

fn read_family(bytes: &[u8]) -> Result<MetricFamily, WireError> {
    let mut family = MetricFamily { metric_type: MetricType::Counter, ..MetricFamily::default() };
    fields(bytes, |number, field| {
        match number {
            1 => family.name = field.text()?.to_owned(),
            2 => family.help = field.text()?.to_owned(),
            3 => {
                family.metric_type = match field.varint()? {
                    0 => MetricType::Counter,
                    1 => MetricType::Gauge,
                    2 => MetricType::Summary,
                    4 => MetricType::Histogram,
                    5 => MetricType::GaugeHistogram,
                    _ => MetricType::Unknown,
                }
            }
            4 => family.metrics.push(read_metric(field.bytes()?)?),
            5 => family.unit = field.text()?.to_owned(),
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
        match native.as_mut() {
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
            1 => {
                let (name, value) = field.label()?;
                labels.set(name, value);
            }
            2 | 3 | 5 => read_float(field.bytes()?, &mut metric)?,
            4 => read_summary(field.bytes()?, &mut metric)?,
            7 => read_histogram(field.bytes()?, &mut metric)?,
            6 => metric.t_ms = Some(field.varint()? as i64),
            _ => {}
        }
        Ok(())
    })?;
    metric.labels = labels.build();
    Ok(metric)
}

/// A gauge, a counter or an untyped value: the same fields as far as they have them.
fn read_float(bytes: &[u8], metric: &mut Metric) -> Result<(), WireError> {
    let mut value = 0.0;
    fields(bytes, |number, field| {
        match number {
            1 => value = field.double()?,
            2 => metric.exemplars.push(read_exemplar(field.bytes()?)?),
            3 => metric.start_ms = Some(read_time(field.bytes()?)?),
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
            1 => t_ms = t_ms.saturating_add((field.varint()? as i64).saturating_mul(1000)),
            2 => t_ms = t_ms.saturating_add(field.varint()? as i64 / 1_000_000),
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
            1 => {
                let (name, value) = field.label()?;
                labels.set(name, value);
            }
            2 => value = field.double()?,
            3 => t_ms = Some(read_time(field.bytes()?)?),
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
            1 => summary.count = field.varint()? as f64,
            2 => summary.sum = field.double()?,
            3 => {
                let mut q = Quantile { quantile: 0.0, value: 0.0 };
                fields(field.bytes()?, |number, field| {
                    match number {
                        1 => q.quantile = field.double()?,
                        2 => q.value = field.double()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                summary.quantiles.push(q);
            }
            4 => metric.start_ms = Some(read_time(field.bytes()?)?),
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
            3 => raw.buckets.push(read_bucket(field.bytes()?)?),
            15 => metric.start_ms = Some(read_time(field.bytes()?)?),
            16 => metric.exemplars.push(read_exemplar(field.bytes()?)?),
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
            1 => integer.count = field.varint()?,
            2 => integer.sum = field.double()?,
            4 => float.count = field.double()?,
            5 => integer.schema = unzigzag(field.varint()?) as i32,
            6 => integer.zero_threshold = field.double()?,
            7 => integer.zero_count = field.varint()?,
            8 => float.zero_count = field.double()?,
            9 => integer.negative_spans.push(field.span()?),
            10 => field.sints(&mut integer.negative_buckets)?,
            11 => field.doubles(&mut float.negative_buckets)?,
            12 => integer.positive_spans.push(field.span()?),
            13 => field.sints(&mut integer.positive_buckets)?,
            14 => field.doubles(&mut float.positive_buckets)?,
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
        Ok(HistogramValue { count, sum, buckets, native: native.map(Box::new) })
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
            1 => bucket.cumulative_count = field.varint()? as f64,
            2 => bucket.le = field.double()?,
            3 => bucket.exemplar = Some(read_exemplar(field.bytes()?)?),
            4 => bucket.cumulative_count = field.double()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(bucket)
}
