//! Records as bytes, the counterpart of [`super::record`]. Invariant: custom buckets go into records of their
//! own, which versions of Prometheus before them skip.

use assay_model::{
    CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, MetricMetadata, MetricType, Span,
    histogram::CUSTOM_BUCKETS_SCHEMA,
};

use super::record::{RefSample, kind};
use crate::{
    buf::{put_be64, put_float, put_str, put_uvarint, put_varint},
    chunk::Stored,
};

/// A record of new series.
pub(crate) fn series(list: &[(u64, Labels)]) -> Vec<u8> {
    let mut out = vec![kind::SERIES];
    for (id, labels) in list {
        put_be64(&mut out, *id);
        put_labels(&mut out, labels);
    }
    out
}

/// The records that hold these samples: one for each kind that occurs.
pub(crate) fn samples(list: &[RefSample]) -> Vec<Vec<u8>> {
    let kinds = [
        kind::SAMPLES,
        kind::HISTOGRAMS,
        kind::CUSTOM_HISTOGRAMS,
        kind::FLOAT_HISTOGRAMS,
        kind::CUSTOM_FLOAT_HISTOGRAMS,
    ];
    kinds.into_iter().filter_map(|kind| samples_of(kind, list)).collect()
}

fn samples_of(wanted: u8, list: &[RefSample]) -> Option<Vec<u8>> {
    let mut chosen = list.iter().filter(|s| kind_of(&s.value) == wanted).peekable();
    let (base_series, base_t) = chosen.peek().map(|s| (s.series, s.t))?;
    let mut out = vec![wanted];
    put_be64(&mut out, base_series);
    put_be64(&mut out, base_t as u64);
    for s in chosen {
        put_varint(&mut out, s.series.wrapping_sub(base_series) as i64);
        put_varint(&mut out, s.t.wrapping_sub(base_t));
        match &s.value {
            Stored::Float(v) => put_float(&mut out, *v),
            Stored::Histogram(h) => put_histogram(&mut out, h),
            Stored::FloatHistogram(h) => put_float_histogram(&mut out, h),
        }
    }
    Some(out)
}

fn kind_of(value: &Stored) -> u8 {
    match value {
        Stored::Float(_) => kind::SAMPLES,
        Stored::Histogram(h) if h.schema == CUSTOM_BUCKETS_SCHEMA => kind::CUSTOM_HISTOGRAMS,
        Stored::Histogram(_) => kind::HISTOGRAMS,
        Stored::FloatHistogram(h) if h.schema == CUSTOM_BUCKETS_SCHEMA => kind::CUSTOM_FLOAT_HISTOGRAMS,
        Stored::FloatHistogram(_) => kind::FLOAT_HISTOGRAMS,
    }
}

/// A record of exemplars, all of which have a time.
pub(crate) fn exemplars(list: &[(u64, Exemplar)]) -> Vec<u8> {
    let mut out = vec![kind::EXEMPLARS];
    let Some((base_series, first)) = list.first() else { return out };
    let base_t = first.t_ms.unwrap_or(0);
    put_be64(&mut out, *base_series);
    put_be64(&mut out, base_t as u64);
    for (series, exemplar) in list {
        put_varint(&mut out, series.wrapping_sub(*base_series) as i64);
        put_varint(&mut out, exemplar.t_ms.unwrap_or(0).wrapping_sub(base_t));
        put_float(&mut out, exemplar.value);
        put_labels(&mut out, &exemplar.labels);
    }
    out
}

/// A record of metadata.
pub(crate) fn metadata(list: &[(u64, MetricMetadata)]) -> Vec<u8> {
    let mut out = vec![kind::METADATA];
    for (series, meta) in list {
        put_uvarint(&mut out, *series);
        out.push(metric_type(meta.metric_type));
        put_uvarint(&mut out, 2);
        for (name, value) in [("UNIT", &meta.unit), ("HELP", &meta.help)] {
            put_str(&mut out, name);
            put_str(&mut out, value);
        }
    }
    out
}

fn metric_type(of: MetricType) -> u8 {
    match of {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    put_uvarint(out, labels.len() as u64);
    for (name, value) in labels {
        put_str(out, name);
        put_str(out, value);
    }
}

fn hint(of: CounterResetHint) -> u8 {
    match of {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_uvarint(out, spans.len() as u64);
    for s in spans {
        put_varint(out, i64::from(s.offset));
        put_uvarint(out, u64::from(s.length));
    }
}

fn put_histogram(out: &mut Vec<u8>, h: &Histogram) {
    out.push(hint(h.counter_reset_hint));
    put_varint(out, i64::from(h.schema));
    put_float(out, h.zero_threshold);
    put_uvarint(out, h.zero_count);
    put_uvarint(out, h.count);
    put_float(out, h.sum);
    put_spans(out, &h.positive_spans);
    put_spans(out, &h.negative_spans);
    for buckets in [&h.positive_buckets, &h.negative_buckets] {
        put_uvarint(out, buckets.len() as u64);
        for b in buckets {
            put_varint(out, *b);
        }
    }
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        put_floats(out, &h.custom_values);
    }
}

fn put_float_histogram(out: &mut Vec<u8>, h: &FloatHistogram) {
    out.push(hint(h.counter_reset_hint));
    put_varint(out, i64::from(h.schema));
    for v in [h.zero_threshold, h.zero_count, h.count, h.sum] {
        put_float(out, v);
    }
    put_spans(out, &h.positive_spans);
    put_spans(out, &h.negative_spans);
    put_floats(out, &h.positive_buckets);
    put_floats(out, &h.negative_buckets);
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        put_floats(out, &h.custom_values);
    }
}

fn put_floats(out: &mut Vec<u8>, list: &[f64]) {
    put_uvarint(out, list.len() as u64);
    for v in list {
        put_float(out, *v);
    }
}
