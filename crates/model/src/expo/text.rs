//! Writes the Prometheus text format, version 0.0.4.
//!
//! Source: Prometheus' "Exposition formats" page and `prometheus/common` `expfmt/text_create.go`. Invariant:
//! every line ends in a newline, and names that are not classic identifiers are quoted inside the braces.

use std::fmt::Write as _;

use super::{HistogramValue, Metric, MetricFamily, MetricValue, SummaryValue, format_float, write_float};
use crate::{
    Labels, MetricType,
    labels::{is_classic_label_name, is_classic_metric_name},
};

/// Appends the families in the text format. A native histogram without classic buckets shows its count and
/// sum, and one bucket up to +Inf, because the format has no more.
pub fn write_text(out: &mut String, families: &[MetricFamily]) {
    for family in families {
        write_family(out, family);
    }
}

fn write_family(out: &mut String, family: &MetricFamily) {
    if !family.help.is_empty() {
        out.push_str("# HELP ");
        push_name(out, &family.name);
        out.push(' ');
        push_escaped(out, &family.help, false);
        out.push('\n');
    }
    out.push_str("# TYPE ");
    push_name(out, &family.name);
    out.push(' ');
    out.push_str(type_name(family.metric_type));
    out.push('\n');
    for metric in &family.metrics {
        write_metric(out, &family.name, metric);
    }
}

/// The format's own names; what it lacks is shown as what it would be without a type of its own.
fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Unknown => "untyped",
        MetricType::Counter => "counter",
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
        MetricType::Histogram | MetricType::GaugeHistogram => "histogram",
        MetricType::Summary => "summary",
    }
}

fn write_metric(out: &mut String, name: &str, metric: &Metric) {
    match &metric.value {
        MetricValue::Float(v) => write_sample(out, name, "", metric, None, *v),
        MetricValue::Summary(summary) => write_summary(out, name, metric, summary),
        MetricValue::Histogram(histogram) => write_histogram(out, name, metric, histogram),
    }
}

fn write_summary(out: &mut String, name: &str, metric: &Metric, summary: &SummaryValue) {
    for q in &summary.quantiles {
        let quantile = format_float(q.quantile);
        write_sample(out, name, "", metric, Some(("quantile", &quantile)), q.value);
    }
    write_sample(out, name, "_sum", metric, None, summary.sum);
    write_sample(out, name, "_count", metric, None, summary.count);
}

fn write_histogram(out: &mut String, name: &str, metric: &Metric, histogram: &HistogramValue) {
    for bucket in &histogram.buckets {
        let le = format_float(bucket.le);
        write_sample(out, name, "_bucket", metric, Some(("le", &le)), bucket.cumulative_count);
    }
    if histogram.buckets.last().is_none_or(|b| b.le != f64::INFINITY) {
        write_sample(out, name, "_bucket", metric, Some(("le", "+Inf")), histogram.count);
    }
    write_sample(out, name, "_sum", metric, None, histogram.sum);
    write_sample(out, name, "_count", metric, None, histogram.count);
}

fn write_sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    metric: &Metric,
    extra: Option<(&str, &str)>,
    value: f64,
) {
    let empty = metric.empty_label.map(|label| (label, ""));
    push_series(out, name, suffix, &metric.labels, empty.into_iter().chain(extra));
    out.push(' ');
    write_float(out, value);
    if let Some(t_ms) = metric.t_ms {
        // Writing to a string cannot fail.
        let _ = write!(out, " {t_ms}");
    }
    out.push('\n');
}

/// Appends `name{label="value",…}`; `extra` comes after the metric's own labels.
pub(super) fn push_series<'a>(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &'a Labels,
    extra: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    let mut all = labels.iter().chain(extra).peekable();
    let classic = is_classic_metric_name(name);
    if classic {
        out.push_str(name);
        out.push_str(suffix);
        if all.peek().is_none() {
            return;
        }
    }
    let mut separator = '{';
    if !classic {
        out.push_str("{\"");
        push_escaped(out, name, true);
        out.push_str(suffix);
        out.push('"');
        separator = ',';
    }
    for (label, value) in all {
        out.push(separator);
        separator = ',';
        if is_classic_label_name(label) {
            out.push_str(label);
        } else {
            out.push('"');
            push_escaped(out, label, true);
            out.push('"');
        }
        out.push_str("=\"");
        push_escaped(out, value, true);
        out.push('"');
    }
    out.push('}');
}

/// Appends a series as the text formats have it; its labels have the metric's name among them.
pub fn push_series_text(out: &mut String, labels: &Labels) {
    push_series(out, labels.metric_name(), "", &labels.without_name(), None);
}

/// Appends a metric's name as `HELP`, `TYPE` and `UNIT` lines have it.
pub(super) fn push_name(out: &mut String, name: &str) {
    if is_classic_metric_name(name) {
        out.push_str(name);
    } else {
        out.push('"');
        push_escaped(out, name, true);
        out.push('"');
    }
}

/// Appends `text` with the backslash and the newline escaped, and the double quote where `quote` says so.
pub(super) fn push_escaped(out: &mut String, text: &str, quote: bool) {
    if !text.bytes().any(|b| matches!(b, b'\\' | b'\n' | b'"')) {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quote => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expo::{Quantile, SummaryValue};

    fn check(family: MetricFamily, want: &str) {
        let mut out = String::new();
        write_text(&mut out, &[family]);
        assert_eq!(out, want);
    }

    #[test]
    fn floats_with_escapes_and_times() {
        let mut f = MetricFamily::counter("a_total", "Line one\nand a \\ and a \".");
        f.add([("path", "C:\\x\n\"q\""), ("code", "200")], 1e6).add_plain(0.5);
        f.push(Metric::new(Labels::from_pairs([("late", "1")]), MetricValue::Float(f64::NAN)).at(1500));
        check(
            f,
            "# HELP a_total Line one\\nand a \\\\ and a \".\n# TYPE a_total counter\n\
             a_total{code=\"200\",path=\"C:\\\\x\\n\\\"q\\\"\"} 1e+06\na_total 0.5\na_total{late=\"1\"} NaN 1500\n",
        );
        check(MetricFamily::untyped("b.c", "").with(1.0), "# TYPE \"b.c\" untyped\n{\"b.c\"} 1\n");
    }

    #[test]
    fn histograms_and_summaries() {
        let mut f = MetricFamily::histogram("d_seconds", "Durations.");
        let value = HistogramValue::classic(&[0.1, 1.0], &[1, 2, 3], 9.5);
        f.push(Metric::new(Labels::from_pairs([("s", "q")]), MetricValue::Histogram(value)));
        check(
            f,
            "# HELP d_seconds Durations.\n# TYPE d_seconds histogram\n\
             d_seconds_bucket{s=\"q\",le=\"0.1\"} 1\nd_seconds_bucket{s=\"q\",le=\"1\"} 3\n\
             d_seconds_bucket{s=\"q\",le=\"+Inf\"} 6\nd_seconds_sum{s=\"q\"} 9.5\nd_seconds_count{s=\"q\"} 6\n",
        );
        let mut f = MetricFamily::new(MetricType::Summary, "s", "S.");
        let quantiles = vec![Quantile { quantile: 0.99, value: 4.0 }];
        f.push(Metric::new(
            Labels::empty(),
            MetricValue::Summary(SummaryValue { count: 2.0, sum: 5.0, quantiles }),
        ));
        check(f, "# HELP s S.\n# TYPE s summary\ns{quantile=\"0.99\"} 4\ns_sum 5\ns_count 2\n");
    }
}
