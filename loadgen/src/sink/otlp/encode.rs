//! From families to an OTLP message. Invariant: a series keeps its value and its start; only names, units and
//! bucket indices are written OTLP's way.

use assay_model::{
    Histogram, Labels, MetricType, Span,
    expo::{Metric, MetricFamily, MetricValue, NativeHistogram},
};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Metric as OtlpMetric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    },
};
use prost::Message as _;

use super::resource;
use crate::measure::names::{ATTRIBUTES, INSTRUMENTS};

/// An export of all families at `t_ms`.
pub(super) fn request(t_ms: i64, families: &[MetricFamily], instance: &str) -> Vec<u8> {
    let metrics = families.iter().filter_map(|f| family(t_ms, f)).collect();
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource::resource(instance)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(resource::scope()),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec()
}

fn family(t_ms: i64, family: &MetricFamily) -> Option<OtlpMetric> {
    let instrument = INSTRUMENTS.iter().find(|i| i.prometheus == family.name)?;
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match family.metric_type {
        MetricType::Histogram => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: family.metrics.iter().filter_map(|m| histogram(t_ms, m)).collect(),
            aggregation_temporality: cumulative,
        }),
        MetricType::Counter => Data::Sum(Sum {
            data_points: family.metrics.iter().filter_map(|m| number(t_ms, m)).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        _ => Data::Gauge(Gauge {
            data_points: family.metrics.iter().filter_map(|m| number(t_ms, m)).collect(),
        }),
    };
    Some(OtlpMetric {
        name: instrument.otlp.to_owned(),
        description: instrument.help.to_owned(),
        unit: instrument.unit.to_owned(),
        data: Some(data),
        ..OtlpMetric::default()
    })
}

fn number(t_ms: i64, metric: &Metric) -> Option<NumberDataPoint> {
    let MetricValue::Float(value) = metric.value else { return None };
    Some(NumberDataPoint {
        attributes: attributes(&metric.labels),
        start_time_unix_nano: metric.start_ms.map_or(0, nanos),
        time_unix_nano: nanos(t_ms),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

fn histogram(t_ms: i64, metric: &Metric) -> Option<ExponentialHistogramDataPoint> {
    let MetricValue::Histogram(value) = &metric.value else { return None };
    let Some(NativeHistogram::Integer(h)) = value.native.as_deref() else { return None };
    Some(ExponentialHistogramDataPoint {
        attributes: attributes(&metric.labels),
        start_time_unix_nano: metric.start_ms.map_or(0, nanos),
        time_unix_nano: nanos(t_ms),
        count: h.count,
        sum: Some(h.sum),
        scale: h.schema,
        zero_count: h.zero_count,
        zero_threshold: h.zero_threshold,
        positive: Some(positive(h)),
        ..ExponentialHistogramDataPoint::default()
    })
}

/// Prometheus' bucket `i` has the upper bound `base^i`; OTLP's bucket `i` has the lower bound `base^i`.
fn positive(h: &Histogram) -> Buckets {
    let first = h.positive_spans.first().map_or(0, |s| s.offset);
    let mut counts = Vec::new();
    let (mut current, mut deltas) = (0i64, h.positive_buckets.iter());
    for (i, Span { offset, length }) in h.positive_spans.iter().enumerate() {
        if i > 0 {
            counts.extend(std::iter::repeat_n(0, usize::try_from(*offset).unwrap_or(0)));
        }
        for delta in deltas.by_ref().take(*length as usize) {
            current += delta;
            counts.push(u64::try_from(current).unwrap_or(0));
        }
    }
    Buckets { offset: first - 1, bucket_counts: counts }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|(name, value)| {
            let key = ATTRIBUTES.iter().find(|(_, label)| *label == name).map_or(name, |(key, _)| key);
            match (key, value.parse()) {
                // The semantic conventions have these as numbers.
                ("http.response.status_code" | "server.port", Ok(number)) => resource::number(key, number),
                _ => resource::text(key, value),
            }
        })
        .collect()
}

fn nanos(t_ms: i64) -> u64 {
    u64::try_from(t_ms).unwrap_or(0) * 1_000_000
}

#[cfg(test)]
mod tests {
    use assay_model::{expo::HistogramValue, histogram::ExponentialHistogram as Recorded};

    use super::*;

    #[test]
    fn buckets_keep_their_bounds() {
        let mut h = Recorded::new(160);
        // At the finest schema 1.0 is in the bucket (2^(-1/256), 1], 2.0 in (2^(255/256), 2].
        [1.0, 1.0, 2.0, 0.0].into_iter().for_each(|v| h.record(v));
        let metric = Metric::new(
            Labels::from_pairs([("load_phase", "p"), ("server_port", "80"), ("error_type", "503")]),
            MetricValue::Histogram(HistogramValue::native(h.snapshot())),
        );
        let point = histogram(7, &metric.since(3)).expect("a point");
        let buckets = point.positive.expect("buckets");
        assert_eq!((point.scale, point.zero_count, point.count), (8, 1, 4));
        assert_eq!((buckets.offset, buckets.bucket_counts.len()), (-1, 257));
        assert_eq!((buckets.bucket_counts[0], buckets.bucket_counts[256]), (2, 1));
        assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 3);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (3_000_000, 7_000_000));
        let keys: Vec<_> = point.attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(keys, ["error.type", "load.phase", "server.port"]);
    }
}
