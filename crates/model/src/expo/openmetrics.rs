//! Writes OpenMetrics 1.0 text.
//!
//! Source: the OpenMetrics 1.0 specification, and `prometheus/common` `expfmt/openmetrics_create.go` for what
//! it leaves open. Invariant: what is written ends in `# EOF`, and a counter keeps its
//! type and the name of its series: one whose name does not end in `_total`, as dcgm-exporter has them, is written as
//! Prometheus reads it, though the specification wants the suffix.

use std::fmt::Write as _;

use super::{
    HistogramValue, Metric, MetricFamily, MetricValue, SummaryValue,
    float::{format_openmetrics_float, write_openmetrics_float},
    text::{push_escaped, push_name, push_series},
};
use crate::{Exemplar, MetricType};

/// Appends the families as OpenMetrics text, `# EOF` at the end. A native histogram without classic buckets
/// shows its count and sum, and one bucket up to +Inf, because the format has no more.
pub fn write_openmetrics(out: &mut String, families: &[MetricFamily]) {
    for family in families {
        write_family(out, family);
    }
    out.push_str("# EOF\n");
}

/// The name in `TYPE` lines and the type, as the format wants them.
fn declared(family: &MetricFamily) -> (&str, &'static str) {
    let name = family.name.as_str();
    match family.metric_type {
        MetricType::Counter => match name.strip_suffix("_total") {
            Some(base) => (base, "counter"),
            None => (name, "counter"),
        },
        MetricType::Info => match name.strip_suffix("_info") {
            Some(base) => (base, "info"),
            None => (name, "gauge"),
        },
        other => (name, other.as_str()),
    }
}

fn write_family(out: &mut String, family: &MetricFamily) {
    let (name, type_name) = declared(family);
    let mut line = |keyword: &str, text: &str| {
        out.push_str(keyword);
        push_name(out, name);
        out.push(' ');
        push_escaped(out, text, true);
        out.push('\n');
    };
    if !family.help.is_empty() {
        line("# HELP ", &family.help);
    }
    line("# TYPE ", type_name);
    // The format allows a unit only where the name ends in it.
    let unit = family.unit.as_str();
    if !unit.is_empty() && name.strip_suffix(unit).is_some_and(|n| n.ends_with('_')) {
        line("# UNIT ", unit);
    }
    let gauge = family.metric_type == MetricType::GaugeHistogram;
    for metric in &family.metrics {
        match &metric.value {
            MetricValue::Float(v) => {
                let sample =
                    Sample { exemplar: metric.exemplars.first(), ..Sample::of(&family.name, metric) };
                sample.write(out, "", *v);
                if type_name == "counter" {
                    write_created(out, name, metric);
                }
            }
            MetricValue::Summary(summary) => write_summary(out, name, metric, summary),
            MetricValue::Histogram(histogram) => write_histogram(out, name, metric, histogram, gauge),
        }
    }
}

fn write_summary(out: &mut String, name: &str, metric: &Metric, summary: &SummaryValue) {
    let plain = Sample::of(name, metric);
    for q in &summary.quantiles {
        let quantile = format_openmetrics_float(q.quantile);
        Sample { extra: Some(("quantile", &quantile)), ..plain }.write(out, "", q.value);
    }
    plain.write(out, "_sum", summary.sum);
    plain.write(out, "_count", summary.count);
    write_created(out, name, metric);
}

fn write_histogram(out: &mut String, name: &str, metric: &Metric, histogram: &HistogramValue, gauge: bool) {
    let plain = Sample::of(name, metric);
    for bucket in &histogram.buckets {
        let le = format_openmetrics_float(bucket.le);
        let sample = Sample { extra: Some(("le", &le)), exemplar: bucket.exemplar.as_ref(), ..plain };
        sample.write(out, "_bucket", bucket.cumulative_count);
    }
    if histogram.buckets.last().is_none_or(|b| b.le != f64::INFINITY) {
        let exemplar = metric.exemplars.last();
        Sample { extra: Some(("le", "+Inf")), exemplar, ..plain }.write(out, "_bucket", histogram.count);
    }
    plain.write(out, if gauge { "_gsum" } else { "_sum" }, histogram.sum);
    plain.write(out, if gauge { "_gcount" } else { "_count" }, histogram.count);
    if !gauge {
        write_created(out, name, metric);
    }
}

fn write_created(out: &mut String, name: &str, metric: &Metric) {
    let Some(start_ms) = metric.start_ms else { return };
    push_series(out, name, "_created", &metric.labels, None);
    out.push(' ');
    push_seconds(out, start_ms);
    if let Some(t_ms) = metric.t_ms {
        out.push(' ');
        push_seconds(out, t_ms);
    }
    out.push('\n');
}

/// What the samples of a metric share.
#[derive(Clone, Copy)]
struct Sample<'a> {
    name: &'a str,
    metric: &'a Metric,
    extra: Option<(&'a str, &'a str)>,
    exemplar: Option<&'a Exemplar>,
}

impl<'a> Sample<'a> {
    fn of(name: &'a str, metric: &'a Metric) -> Self {
        Self { name, metric, extra: None, exemplar: None }
    }

    fn write(&self, out: &mut String, suffix: &str, value: f64) {
        push_series(out, self.name, suffix, &self.metric.labels, self.extra);
        out.push(' ');
        write_openmetrics_float(out, value);
        if let Some(t_ms) = self.metric.t_ms {
            out.push(' ');
            push_seconds(out, t_ms);
        }
        if let Some(exemplar) = self.exemplar {
            out.push_str(" # ");
            if exemplar.labels.is_empty() {
                out.push_str("{}");
            } else {
                push_labels(out, exemplar);
            }
            out.push(' ');
            write_openmetrics_float(out, exemplar.value);
            if let Some(t_ms) = exemplar.t_ms {
                out.push(' ');
                push_seconds(out, t_ms);
            }
        }
        out.push('\n');
    }
}

fn push_labels(out: &mut String, exemplar: &Exemplar) {
    let mut separator = '{';
    for (name, value) in &exemplar.labels {
        out.push(separator);
        separator = ',';
        push_name(out, name);
        out.push_str("=\"");
        push_escaped(out, value, true);
        out.push('"');
    }
    out.push('}');
}

/// Appends milliseconds as seconds with three digits after the point, or none where they are zero.
pub fn push_seconds(out: &mut String, t_ms: i64) {
    let (seconds, millis) = (t_ms.unsigned_abs() / 1000, t_ms.unsigned_abs() % 1000);
    if t_ms < 0 {
        out.push('-');
    }
    // Writing to a string cannot fail.
    let _ = if millis == 0 { write!(out, "{seconds}") } else { write!(out, "{seconds}.{millis:03}") };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labels;

    fn check(family: MetricFamily, want: &str) {
        let mut out = String::new();
        write_openmetrics(&mut out, &[family]);
        assert_eq!(out, format!("{want}# EOF\n"));
    }

    fn exemplar(t_ms: Option<i64>) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", "a\"b")]), value: 0.7, t_ms }
    }

    #[test]
    fn counters_keep_total_on_samples_alone() {
        let mut f = MetricFamily::counter("req_seconds_total", "Help \"x\".");
        f.unit = "seconds".into();
        let mut metric = Metric::new(Labels::from_pairs([("code", "200")]), MetricValue::Float(3.0));
        metric.exemplars.push(exemplar(Some(1_250)));
        f.push(metric.since(1_500).at(2_000));
        check(
            f,
            "# HELP req_seconds Help \\\"x\\\".\n# TYPE req_seconds counter\n# UNIT req_seconds seconds\n\
             req_seconds_total{code=\"200\"} 3.0 2 # {trace_id=\"a\\\"b\"} 0.7 1.250\n\
             req_seconds_created{code=\"200\"} 1.500 2\n",
        );
        check(MetricFamily::counter("errors", "").with(1.0), "# TYPE errors counter\nerrors 1.0\n");
    }

    #[test]
    fn histograms_have_exemplars_on_buckets() {
        let mut value = HistogramValue::classic(&[1.0], &[2, 1], 4.5);
        value.buckets[0].exemplar = Some(exemplar(None));
        let mut f = MetricFamily::histogram("d", "");
        f.push(Metric::new(Labels::empty(), MetricValue::Histogram(value)));
        check(
            f,
            "# TYPE d histogram\nd_bucket{le=\"1.0\"} 2.0 # {trace_id=\"a\\\"b\"} 0.7\n\
             d_bucket{le=\"+Inf\"} 3.0\nd_sum 4.5\nd_count 3.0\n",
        );
    }
}
