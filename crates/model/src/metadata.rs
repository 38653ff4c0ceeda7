//! What is known of a metric next to its samples: type, unit, help, exemplars.

use crate::Labels;

/// A metric's type, under the names of the HTTP API's `metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// Not said.
    #[default]
    Unknown,
    /// A cumulative count.
    Counter,
    /// A value that goes both ways.
    Gauge,
    /// A histogram, classic or native.
    Histogram,
    /// A histogram of current state.
    GaugeHistogram,
    /// Quantiles computed by the client.
    Summary,
    /// Labels with value 1.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricType {
    /// All types.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::GaugeHistogram,
        Self::Summary,
        Self::Info,
        Self::StateSet,
    ];

    /// The name in exposition formats and the HTTP API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// A metric's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MetricMetadata {
    /// The type.
    pub metric_type: MetricType,
    /// The unit, or empty.
    pub unit: String,
    /// The help text, or empty.
    pub help: String,
}

/// A single observation kept as an example, with the labels of its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Usually `trace_id` and `span_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When, in milliseconds since the Unix epoch; `None` where the source did not say.
    pub t_ms: Option<i64>,
}
