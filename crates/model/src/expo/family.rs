//! Metric families: the model that all exposition formats share.
//!
//! Invariant: a metric's labels lack the metric's name, and a classic histogram's buckets are cumulative and
//! ascending, the one up to +Inf among them or implied by `count`.

use crate::{Exemplar, FloatHistogram, Histogram, Labels, MetricType};

/// The metrics of one name.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MetricFamily {
    /// The name of the series, such as `http_requests_total`; for histograms and summaries without
    /// `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// The type.
    pub metric_type: MetricType,
    /// The unit, such as `seconds`, or empty.
    pub unit: String,
    /// The help text, or empty.
    pub help: String,
    /// The metrics; their label sets differ.
    pub metrics: Vec<Metric>,
}

/// One metric of a family: a label set with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The labels, without the metric's name.
    pub labels: Labels,
    /// The value.
    pub value: MetricValue,
    /// When it was so, in milliseconds since the Unix epoch; `None` means "now", which is usual.
    pub t_ms: Option<i64>,
    /// Since when it counts, in milliseconds since the Unix epoch: OpenMetrics' `_created`.
    pub start_ms: Option<i64>,
    /// The exemplar of a counter, or those of a native histogram.
    pub exemplars: Vec<Exemplar>,
    /// A label that is written without a value: a scraper that honours labels then adds none of that name.
    pub empty_label: Option<&'static str>,
}

/// A metric's value.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// A counter, a gauge, an info, a state, or of unknown type.
    Float(f64),
    /// Quantiles that the target computed.
    Summary(SummaryValue),
    /// A histogram: classic buckets, a native histogram, or both.
    Histogram(HistogramValue),
}

/// A summary.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SummaryValue {
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The quantiles, ascending.
    pub quantiles: Vec<Quantile>,
}

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Which one, 0 to 1.
    pub quantile: f64,
    /// Its value.
    pub value: f64,
}

/// A histogram as exposed.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct HistogramValue {
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The classic buckets, ascending; empty where there is a native histogram alone.
    pub buckets: Vec<Bucket>,
    /// The native histogram, which only the protobuf format can carry; apart, as most metrics have none.
    pub native: Option<Box<NativeHistogram>>,
}

/// A classic bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// The upper bound, itself in; +Inf for the last.
    pub le: f64,
    /// All observations up to the bound.
    pub cumulative_count: f64,
    /// An example of the observations in it.
    pub exemplar: Option<Exemplar>,
}

/// A native histogram of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeHistogram {
    /// Integer counts.
    Integer(Histogram),
    /// Float counts.
    Float(FloatHistogram),
}

impl MetricFamily {
    /// A family without metrics.
    #[must_use]
    pub fn new(metric_type: MetricType, name: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), metric_type, unit: String::new(), help: help.into(), metrics: Vec::new() }
    }

    /// A counter family without metrics. By convention the name ends in `_total`.
    #[must_use]
    pub fn counter(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(MetricType::Counter, name, help)
    }

    /// A gauge family without metrics.
    #[must_use]
    pub fn gauge(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(MetricType::Gauge, name, help)
    }

    /// A family of unknown type (`untyped`) without metrics.
    #[must_use]
    pub fn untyped(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(MetricType::Unknown, name, help)
    }

    /// A histogram family without metrics.
    #[must_use]
    pub fn histogram(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(MetricType::Histogram, name, help)
    }

    /// Adds a float with its labels, in any order: `family.add([("cpu", "0")], 1.5)`.
    pub fn add<N: AsRef<str>, V: AsRef<str>>(
        &mut self,
        labels: impl IntoIterator<Item = (N, V)>,
        value: f64,
    ) -> &mut Self {
        self.push(Metric::new(Labels::from_pairs(labels), MetricValue::Float(value)))
    }

    /// Adds a float without labels.
    pub fn add_plain(&mut self, value: f64) -> &mut Self {
        self.push(Metric::new(Labels::empty(), MetricValue::Float(value)))
    }

    /// Adds a metric.
    pub fn push(&mut self, metric: Metric) -> &mut Self {
        self.metrics.push(metric);
        self
    }

    /// The family with one float without labels added, for a family made in one expression.
    #[must_use]
    pub fn with(mut self, value: f64) -> Self {
        self.add_plain(value);
        self
    }
}

impl Metric {
    /// A metric without times and exemplars.
    #[must_use]
    pub fn new(labels: Labels, value: MetricValue) -> Self {
        Self { labels, value, t_ms: None, start_ms: None, exemplars: Vec::new(), empty_label: None }
    }

    /// The metric with the time since when it counts, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn since(mut self, start_ms: i64) -> Self {
        self.start_ms = Some(start_ms);
        self
    }

    /// The metric at a time of its own, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(mut self, t_ms: i64) -> Self {
        self.t_ms = Some(t_ms);
        self
    }
}

impl HistogramValue {
    /// A native histogram without classic buckets.
    #[must_use]
    pub fn native(histogram: Histogram) -> Self {
        Self {
            count: histogram.count as f64,
            sum: histogram.sum,
            buckets: Vec::new(),
            native: Some(Box::new(NativeHistogram::Integer(histogram))),
        }
    }

    /// Classic buckets from the counts of each bucket by itself; `counts` has one more entry than `bounds`,
    /// for what lies above the last bound.
    #[must_use]
    pub fn classic(bounds: &[f64], counts: &[u64], sum: f64) -> Self {
        let mut total = 0u64;
        let buckets = bounds
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .zip(counts)
            .map(|(le, count)| {
                total += count;
                Bucket { le, cumulative_count: total as f64, exemplar: None }
            })
            .collect();
        Self { count: total as f64, sum, buckets, native: None }
    }
}
