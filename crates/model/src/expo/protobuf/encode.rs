//! Families to bytes. Invariant: each message stands behind its length.

use super::super::{HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, SummaryValue};
use crate::{Exemplar, FloatHistogram, Histogram, Labels, MetricType, Span, wire::Writer};

/// The families as length-delimited messages.
#[must_use]
pub fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut out = Writer::default();
    for family in families {
        let mut message = Writer::default();
        write_family(&mut message, family);
        out.varint(message.out.len() as u64);
        out.out.append(&mut message.out);
    }
    out.out
}

fn write_family(w: &mut Writer, family: &MetricFamily) {
    w.text(1, &family.name);
    w.text(2, &family.help);
    let number = match family.metric_type {
        MetricType::Counter => 0,
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => 1,
        MetricType::Summary => 2,
        MetricType::Unknown => 3,
        MetricType::Histogram => 4,
        MetricType::GaugeHistogram => 5,
    };
    w.uint(3, number);
    for metric in &family.metrics {
        w.message(4, |w| write_metric(w, metric, number));
    }
    w.text(5, &family.unit);
}

fn write_metric(w: &mut Writer, metric: &Metric, type_number: u64) {
    write_labels(w, &metric.labels);
    if let Some(name) = metric.empty_label {
        w.message(1, |w| w.text(1, name));
    }
    match &metric.value {
        // The format is proto2, whose writers put down a zero too; Prometheus (3.5) leaves the value of the metric
        // before where an untyped one has none.
        MetricValue::Float(v) => match type_number {
            0 => w.message(3, |w| {
                w.present_double(1, *v);
                if let Some(exemplar) = metric.exemplars.first() {
                    write_exemplar(w, 2, exemplar);
                }
                write_time(w, 3, metric.start_ms);
            }),
            1 => w.message(2, |w| w.present_double(1, *v)),
            _ => w.message(5, |w| w.present_double(1, *v)),
        },
        MetricValue::Summary(summary) => w.message(4, |w| write_summary(w, summary, metric.start_ms)),
        MetricValue::Histogram(histogram) => w.message(7, |w| write_histogram(w, histogram, metric)),
    }
    if let Some(t_ms) = metric.t_ms {
        w.uint(6, t_ms as u64);
    }
}

fn write_labels(w: &mut Writer, labels: &Labels) {
    for (name, value) in labels {
        w.message(1, |w| {
            w.text(1, name);
            w.text(2, value);
        });
    }
}

fn write_exemplar(w: &mut Writer, number: u64, exemplar: &Exemplar) {
    w.message(number, |w| {
        write_labels(w, &exemplar.labels);
        w.double(2, exemplar.value);
        write_time(w, 3, exemplar.t_ms);
    });
}

/// A `google.protobuf.Timestamp`, whose nanoseconds count forward from the second before.
fn write_time(w: &mut Writer, number: u64, t_ms: Option<i64>) {
    let Some(t_ms) = t_ms else { return };
    w.message(number, |w| {
        w.uint(1, t_ms.div_euclid(1000) as u64);
        w.uint(2, t_ms.rem_euclid(1000) as u64 * 1_000_000);
    });
}

fn write_summary(w: &mut Writer, summary: &SummaryValue, start_ms: Option<i64>) {
    w.uint(1, summary.count as u64);
    w.double(2, summary.sum);
    for q in &summary.quantiles {
        w.message(3, |w| {
            w.double(1, q.quantile);
            w.double(2, q.value);
        });
    }
    write_time(w, 4, start_ms);
}

fn write_histogram(w: &mut Writer, histogram: &HistogramValue, metric: &Metric) {
    match histogram.native.as_deref() {
        Some(NativeHistogram::Float(native)) => {
            w.double(4, native.count);
            w.double(2, native.sum);
            write_float_native(w, native);
        }
        Some(NativeHistogram::Integer(native)) => {
            w.uint(1, native.count);
            w.double(2, native.sum);
            write_native(w, native);
        }
        None => {
            write_count(w, 1, 4, histogram.count);
            w.double(2, histogram.sum);
        }
    }
    for bucket in &histogram.buckets {
        w.message(3, |w| {
            write_count(w, 1, 4, bucket.cumulative_count);
            w.double(2, bucket.le);
            if let Some(exemplar) = &bucket.exemplar {
                write_exemplar(w, 3, exemplar);
            }
        });
    }
    write_time(w, 15, metric.start_ms);
    for exemplar in &metric.exemplars {
        write_exemplar(w, 16, exemplar);
    }
}

/// A count in the integer field where it is whole, else in the float field.
fn write_count(w: &mut Writer, integer: u64, float: u64, count: f64) {
    if count.fract() == 0.0 && (0.0..u64::MAX as f64).contains(&count) {
        w.uint(integer, count as u64);
    } else {
        w.double(float, count);
    }
}

fn write_native(w: &mut Writer, h: &Histogram) {
    w.sint(5, i64::from(h.schema));
    w.double(6, h.zero_threshold);
    w.uint(7, h.zero_count);
    write_spans(w, 9, &h.negative_spans);
    w.packed_sint(10, &h.negative_buckets);
    write_spans(w, 12, &h.positive_spans);
    w.packed_sint(13, &h.positive_buckets);
    let bare = h.zero_threshold == 0.0 && h.zero_count == 0;
    mark_native(w, bare && h.positive_spans.is_empty() && h.negative_spans.is_empty());
}

fn write_float_native(w: &mut Writer, h: &FloatHistogram) {
    w.sint(5, i64::from(h.schema));
    w.double(6, h.zero_threshold);
    w.double(8, h.zero_count);
    write_spans(w, 9, &h.negative_spans);
    w.packed_double(11, &h.negative_buckets);
    write_spans(w, 12, &h.positive_spans);
    w.packed_double(14, &h.positive_buckets);
    let bare = h.zero_threshold == 0.0 && h.zero_count == 0.0;
    mark_native(w, bare && h.positive_spans.is_empty() && h.negative_spans.is_empty());
}

/// A native histogram without observations differs from a classic one by a span of no length.
fn mark_native(w: &mut Writer, needed: bool) {
    if needed {
        write_spans(w, 12, &[Span::default()]);
    }
}

fn write_spans(w: &mut Writer, number: u64, spans: &[Span]) {
    for span in spans {
        w.message(number, |w| {
            w.sint(1, i64::from(span.offset));
            w.uint(2, u64::from(span.length));
        });
    }
}
