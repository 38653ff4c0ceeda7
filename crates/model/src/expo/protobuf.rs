//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each behind its length as a varint.
//!
//! Source: `prometheus/client_model` `io/prometheus/client/metrics.proto`. The messages are few and settled,
//! so they are read and written by hand over a small reader of the wire format. Invariant: a native histogram
//! that was decoded has as many buckets as its spans say.

mod decode;
mod encode;

pub use decode::decode;
pub use encode::encode;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CounterResetHint, Exemplar, FloatHistogram, Histogram, Labels, MetricType, Span,
        expo::{HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, Quantile, SummaryValue},
    };

    fn integer() -> Histogram {
        Histogram {
            schema: 3,
            zero_threshold: 1e-128,
            zero_count: 2,
            count: 9,
            sum: 18.5,
            positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 4, length: 1 }],
            positive_buckets: vec![1, 2, -1],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            negative_buckets: vec![1],
            ..Histogram::default()
        }
    }

    /// One family of every kind.
    fn families() -> Vec<MetricFamily> {
        let labels = Labels::from_pairs([("job", "a\nb"), ("ü", "é")]);
        let exemplar = Exemplar {
            labels: Labels::from_pairs([("trace_id", "abc")]),
            value: 0.25,
            t_ms: Some(1_700_000_000_123),
        };
        let one = |metric_type, name: &str, value: MetricValue| {
            let mut family = MetricFamily::new(metric_type, name, "Help.");
            family.push(Metric::new(labels.clone(), value));
            family
        };
        let mut counter = one(MetricType::Counter, "c_total", MetricValue::Float(5.0));
        counter.unit = "seconds".into();
        counter.metrics[0].start_ms = Some(1_700_000_000_001);
        counter.metrics[0].t_ms = Some(-5);
        counter.metrics[0].exemplars = vec![exemplar.clone()];
        let mut classic = HistogramValue::classic(&[0.5, 1.0], &[1, 0, 2], 7.5);
        classic.buckets[0].exemplar = Some(exemplar.clone());
        let mut native =
            one(MetricType::Histogram, "n", MetricValue::Histogram(HistogramValue::native(integer())));
        native.metrics[0].exemplars = vec![exemplar];
        let float = FloatHistogram {
            counter_reset_hint: CounterResetHint::Gauge,
            count: 3.5,
            sum: 2.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            positive_buckets: vec![1.5, 2.0],
            ..FloatHistogram::default()
        };
        let quantiles = vec![Quantile { quantile: 0.5, value: f64::NAN }];
        vec![
            counter,
            one(MetricType::Gauge, "g", MetricValue::Float(-0.0)),
            one(MetricType::Unknown, "u", MetricValue::Float(f64::INFINITY)),
            one(
                MetricType::Summary,
                "s",
                MetricValue::Summary(SummaryValue { count: 1.0, sum: 2.0, quantiles }),
            ),
            one(MetricType::Histogram, "h", MetricValue::Histogram(classic)),
            native,
            one(
                MetricType::GaugeHistogram,
                "f",
                MetricValue::Histogram(HistogramValue {
                    count: 3.5,
                    sum: 2.0,
                    buckets: Vec::new(),
                    native: Some(Box::new(NativeHistogram::Float(float))),
                }),
            ),
        ]
    }

    #[test]
    fn every_kind_survives_the_round_trip() {
        let want = families();
        let got = decode(&encode(&want)).expect("decodes");
        // A NaN equals nothing, so the families are compared as they print.
        assert_eq!(format!("{got:#?}"), format!("{want:#?}"));
    }

    #[test]
    fn an_empty_native_histogram_stays_native() {
        let mut family = MetricFamily::histogram("n", "");
        family.push(Metric::new(
            Labels::empty(),
            MetricValue::Histogram(HistogramValue::native(Histogram::default())),
        ));
        let got = decode(&encode(&[family])).expect("decodes");
        let MetricValue::Histogram(h) = &got[0].metrics[0].value else { panic!("a histogram") };
        assert!(h.native.is_some(), "{h:?}");
    }

    #[test]
    fn a_cut_message_is_an_error_at_every_byte() {
        let whole = encode(&families()[..1]);
        for end in 1..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn spans_that_disagree_with_buckets_are_an_error() {
        let mut histogram = integer();
        histogram.positive_spans[0].length = u32::MAX;
        let mut family = MetricFamily::histogram("n", "");
        family.push(Metric::new(Labels::empty(), MetricValue::Histogram(HistogramValue::native(histogram))));
        let errors = decode(&encode(&[family])).expect_err("refused");
        assert!(errors.to_string().contains("buckets"), "{errors}");
    }
}
