//! `/federate`: the last sample of each series, as a scrape.
//!
//! Source: Prometheus `web/federate.go` v3.14. Invariants: "now" is the run's end; each sample has its own time; native
//! histograms are in the protobuf format alone, those with custom buckets are classic ones in both.

use assay_model::{
    Column, CounterResetHint, FloatHistogram, Labels, MetricType, Queryable as _, Value,
    expo::{Bucket, Format, HistogramValue, Metric, MetricFamily, MetricValue, NativeHistogram, negotiate},
    is_stale,
    labels::{is_classic_label_name, is_classic_metric_name},
};
use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};

use super::{Served, answer::Failure, parameters::Parameters};

/// The answer to a scrape that accepts these formats.
pub(super) fn federate(served: &Served, parameters: &Parameters, accept: &str) -> Result<Response, Failure> {
    // Of the text formats Prometheus offers the older one here.
    let format = if negotiate(accept) == Format::Protobuf { Format::Protobuf } else { Format::Text };
    let escape = !accept.contains("escaping=allow-utf-8");
    let (families, end_ms) = (&mut Vec::<MetricFamily>::new(), served.span_ms.1);
    let mut samples: Vec<(Labels, i64, Value)> = Vec::new();
    let view = served.view();
    let start_ms = end_ms.saturating_sub(served.settings.limits.lookback_ms);
    for matchers in parameters.selections()? {
        for series in view.select(&matchers, start_ms, end_ms).map_err(Failure::execution)? {
            let mut column = Column::default();
            series.read(start_ms, end_ms, &mut column).map_err(Failure::execution)?;
            samples.extend(last(&column).map(|(t_ms, value)| (series.labels().clone(), t_ms, value)));
        }
    }
    samples.sort_by(|a, b| a.0.metric_name().cmp(b.0.metric_name()).then_with(|| a.0.cmp(&b.0)));
    samples.dedup_by(|a, b| a.0 == b.0);
    for (labels, t_ms, value) in samples {
        add(families, &labels, t_ms, &value, format, escape);
    }
    let escaping = if escape { "underscores" } else { "allow-utf-8" };
    let kind = format!("{}; escaping={escaping}", format.content_type());
    Ok(([(CONTENT_TYPE, kind)], format.encode(families)).into_response())
}

/// The last sample, unless it is a stale marker.
fn last(column: &Column) -> Option<(i64, Value)> {
    let float = column.times.last().zip(column.values.last());
    let histogram = column.histogram_times.last().zip(column.histograms.last());
    match (float, histogram) {
        (float, Some((t_ms, h))) if float.is_none_or(|(other, _)| other < t_ms) => {
            (!is_stale(h.sum)).then(|| (*t_ms, Value::Histogram(h.clone())))
        }
        (Some((t_ms, v)), _) => (!is_stale(*v)).then_some((*t_ms, Value::Float(*v))),
        (None, _) => None,
    }
}

/// Adds a sample to the last family if it is of its name and type, else to one of its own.
fn add(
    families: &mut Vec<MetricFamily>,
    labels: &Labels,
    t_ms: i64,
    value: &Value,
    format: Format,
    escape: bool,
) {
    let (metric_type, value) = match value {
        Value::Float(v) => (MetricType::Unknown, MetricValue::Float(*v)),
        Value::Histogram(h) if !h.uses_custom_buckets() && format == Format::Text => return,
        Value::Histogram(h) => {
            let gauge = h.counter_reset_hint == CounterResetHint::Gauge;
            let metric_type = if gauge { MetricType::GaugeHistogram } else { MetricType::Histogram };
            (metric_type, MetricValue::Histogram(histogram(h)))
        }
    };
    let name = match labels.metric_name() {
        "" => return,
        name if escape && !is_classic_metric_name(name) => underscores(name, true),
        name => name.to_owned(),
    };
    if families.last().is_none_or(|f| f.name != name || f.metric_type != metric_type) {
        families.push(MetricFamily { name, metric_type, ..MetricFamily::default() });
    }
    let mut own = labels.without_name();
    if escape && !own.iter().all(|(n, _)| is_classic_label_name(n)) {
        own = Labels::from_pairs(own.iter().map(|(n, v)| (underscores(n, false), v)));
    }
    let empty_label = own.get("instance").is_none().then_some("instance");
    if let Some(family) = families.last_mut() {
        family.push(Metric { t_ms: Some(t_ms), empty_label, ..Metric::new(own, value) });
    }
}

fn histogram(h: &FloatHistogram) -> HistogramValue {
    if !h.uses_custom_buckets() {
        let native = Some(Box::new(NativeHistogram::Float(h.clone())));
        return HistogramValue { count: h.count, sum: h.sum, buckets: Vec::new(), native };
    }
    let mut cumulative_count = 0.0;
    let counts = h.all_buckets();
    let buckets = h.custom_values.iter().map(|le| {
        cumulative_count += counts.iter().filter(|b| b.upper == *le).map(|b| b.count).sum::<f64>();
        Bucket { le: *le, cumulative_count, exemplar: None }
    });
    HistogramValue { count: h.count, sum: h.sum, buckets: buckets.collect(), native: None }
}

/// A name of any characters as one that older scrapers read.
fn underscores(name: &str, metric: bool) -> String {
    let fits = |(i, c): (usize, char)| {
        let ok = c.is_ascii_alphabetic() || c == '_' || (metric && c == ':') || (i > 0 && c.is_ascii_digit());
        if ok { c } else { '_' }
    };
    name.chars().enumerate().map(fits).collect()
}
