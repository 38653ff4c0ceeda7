//! The messages of remote write 1.0 (`prompb/remote.proto`, `prompb/types.proto` of Prometheus).

use assay_model::{Labels, MetricType, expo::MetricFamily};
use prost::Message;

/// What a request holds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<Metadata>,
}

/// A series with a sample.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A value at a time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// A family's type and help.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(int32, tag = "1")]
    metric_type: i32,
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "4")]
    help: String,
}

impl TimeSeries {
    pub(super) fn new(labels: &Labels, sample: Sample) -> Self {
        let labels =
            labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() });
        Self { labels: labels.collect(), samples: vec![sample] }
    }
}

impl Metadata {
    pub(super) fn of(family: &MetricFamily) -> Self {
        let metric_type = match family.metric_type {
            MetricType::Unknown => 0,
            MetricType::Counter => 1,
            MetricType::Gauge => 2,
            MetricType::Histogram => 3,
            MetricType::GaugeHistogram => 4,
            MetricType::Summary => 5,
            MetricType::Info => 6,
            MetricType::StateSet => 7,
        };
        Self { metric_type, metric_family_name: family.name.clone(), help: family.help.clone() }
    }
}

impl WriteRequest {
    /// Encoded, in snappy's block format.
    pub(super) fn compressed(&self) -> Vec<u8> {
        let message = self.encode_to_vec();
        // The only error is a message beyond 4 GiB, which a host's metrics are not.
        snap::raw::Encoder::new().compress_vec(&message).unwrap_or_default()
    }
}
