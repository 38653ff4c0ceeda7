//! The series that Prometheus stores of an exposition.
//!
//! Source: Prometheus `model/textparse` v3.5. Invariant: names and labels are those of a server with its
//! defaults, so that what is recorded here answers the same queries: the bounds in `le` and `quantile` are
//! written as OpenMetrics writes floats, a native histogram hides the classic buckets next to it, and
//! `_created` lines of the text are series of their own. A NaN of the text is the ordinary one; one in a message
//! keeps its payload.

use std::collections::HashMap;

use super::{
    Dialect, Format, HistogramValue, Line, LineError, Metric, MetricFamily, MetricValue, NativeHistogram,
    ParseError, ParseErrors, Position, SampleLine,
    declared::{Declared, Role},
    format_openmetrics_float,
    line::for_each_line,
    parse_series, protobuf,
};
use crate::{Exemplar, FloatHistogram, Histogram, Labels, METRIC_NAME, MetricMetadata, MetricType};

/// What one scrape brought.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// The samples, in the order of the exposition.
    pub samples: Vec<ScrapeSample>,
    /// The families, as they were declared.
    pub families: Vec<(String, MetricMetadata)>,
}

/// One sample of a series.
#[derive(Clone, Debug)]
pub struct ScrapeSample {
    /// The labels, the metric's name among them.
    pub labels: Labels,
    /// The value.
    pub value: ScrapeValue,
    /// The time that the target gave, in milliseconds since the Unix epoch.
    pub t_ms: Option<i64>,
    /// Since when it counts, where the target said so, in milliseconds since the Unix epoch.
    pub start_ms: Option<i64>,
    /// The exemplars that came with it.
    pub exemplars: Vec<Exemplar>,
    /// Its family, by position in [`Scrape::families`], where one is declared.
    pub family: Option<usize>,
    /// Whether it counts up from zero: a counter, or a part of a histogram or summary.
    pub cumulative: bool,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum ScrapeValue {
    /// A float.
    Float(f64),
    /// A native histogram with integer counts.
    Histogram(Histogram),
    /// A native histogram with float counts.
    FloatHistogram(FloatHistogram),
}

/// Reads the body of a scrape.
///
/// # Errors
/// Where the body is not of the format, with every position up to a limit. Prometheus too takes nothing
/// of such a body.
pub fn read_scrape(format: Format, body: &[u8]) -> Result<Scrape, ParseErrors> {
    let dialect = match format {
        Format::Protobuf => return Ok(flatten(protobuf::decode(body)?)),
        Format::Text => Dialect::Text,
        Format::OpenMetrics => Dialect::OpenMetrics,
    };
    read_text(utf8(body)?, dialect)
}

/// The bytes as text, or an error that says where they are none.
fn utf8(bytes: &[u8]) -> Result<&str, ParseErrors> {
    std::str::from_utf8(bytes).map_err(|e| {
        let before = &bytes[..e.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() as u64 + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() as u64 + 1;
        let message = "not valid UTF-8".to_owned();
        ParseErrors(vec![ParseError { at: Position::Line(line, column), message }])
    })
}

/// The value of a bound as stored, where `label` is one in a family of this type: `le="1"` becomes
/// `le="1.0"` (Prometheus `model/textparse/interface.go`, `normalizeFloatsInLabelValues`).
#[must_use]
pub fn normalized_bound(metric_type: MetricType, label: &str, value: &str) -> Option<String> {
    let is_bound = match metric_type {
        MetricType::Summary => label == "quantile",
        MetricType::Histogram => label == "le",
        _ => false,
    };
    if !is_bound {
        return None;
    }
    value.parse().ok().map(format_openmetrics_float)
}

/// A metric without what distinguishes the samples of one metric.
type MetricKey = (usize, Labels);

fn metric_key(family: usize, labels: &Labels) -> MetricKey {
    (family, labels.without(|n| matches!(n, METRIC_NAME | "le" | "quantile")))
}

fn read_text(text: &str, dialect: Dialect) -> Result<Scrape, ParseErrors> {
    let mut declared = Declared::new(dialect);
    let mut samples = Vec::new();
    let mut starts: HashMap<MetricKey, i64> = HashMap::new();
    for_each_line(text, dialect, |line| {
        match line {
            Line::Sample(line) => samples.push(read_sample(&declared, &line, &mut starts)?),
            other => declared.note(other),
        }
        Ok(())
    })?;
    if !starts.is_empty() {
        for sample in samples.iter_mut().filter(|s: &&mut ScrapeSample| s.cumulative) {
            let Some(family) = sample.family else { continue };
            sample.start_ms = starts.get(&metric_key(family, &sample.labels)).copied();
        }
    }
    Ok(Scrape { samples, families: declared.families })
}

fn read_sample(
    declared: &Declared,
    line: &SampleLine<'_>,
    starts: &mut HashMap<MetricKey, i64>,
) -> Result<ScrapeSample, LineError> {
    let mut labels = parse_series(line.series)?;
    let found = declared.find(labels.metric_name());
    let metric_type = found.map_or(MetricType::Unknown, |(i, _)| declared.families[i].1.metric_type);
    let bound = labels.iter().find_map(|(n, v)| Some((n.to_owned(), normalized_bound(metric_type, n, v)?)));
    if let Some((name, value)) = bound.filter(|(n, v)| labels.get(n) != Some(v)) {
        labels = labels.to_builder().set(&name, &value).build();
    }
    if let Some((family, Role::Created)) = found {
        starts.insert(metric_key(family, &labels), (line.value * 1000.0).round() as i64);
    }
    let cumulative = match found.map(|(_, role)| role) {
        Some(Role::Value) => metric_type == MetricType::Counter,
        Some(Role::Bucket | Role::Sum | Role::Count) => metric_type != MetricType::GaugeHistogram,
        Some(Role::Created) | None => false,
    };
    Ok(ScrapeSample {
        labels,
        value: ScrapeValue::Float(line.value),
        t_ms: line.t_ms,
        start_ms: None,
        exemplars: line.exemplar.iter().cloned().collect(),
        family: found.map(|(index, _)| index),
        cumulative,
    })
}

fn flatten(families: Vec<MetricFamily>) -> Scrape {
    let mut scrape = Scrape::default();
    for family in families {
        let MetricFamily { name, metric_type, unit, help, metrics } = family;
        for metric in metrics {
            Flattener { out: &mut scrape.samples, name: &name, metric_type, index: scrape.families.len() }
                .metric(metric);
        }
        scrape.families.push((name, MetricMetadata { metric_type, unit, help }));
    }
    scrape
}

struct Flattener<'a> {
    out: &'a mut Vec<ScrapeSample>,
    name: &'a str,
    metric_type: MetricType,
    index: usize,
}

impl Flattener<'_> {
    fn metric(&mut self, mut metric: Metric) {
        let exemplars = std::mem::take(&mut metric.exemplars);
        let value = std::mem::replace(&mut metric.value, MetricValue::Float(0.0));
        match value {
            MetricValue::Float(v) => {
                let cumulative = self.metric_type == MetricType::Counter;
                self.float(&metric, "", None, v, cumulative).exemplars = exemplars;
            }
            MetricValue::Summary(summary) => {
                self.float(&metric, "_count", None, summary.count, true);
                self.float(&metric, "_sum", None, summary.sum, true);
                for q in summary.quantiles {
                    self.float(&metric, "", Some(("quantile", q.quantile)), q.value, false);
                }
            }
            MetricValue::Histogram(histogram) => self.histogram(&metric, histogram, exemplars),
        }
    }

    fn histogram(&mut self, metric: &Metric, histogram: HistogramValue, mut exemplars: Vec<Exemplar>) {
        let cumulative = self.metric_type != MetricType::GaugeHistogram;
        if let Some(native) = histogram.native {
            if exemplars.is_empty() {
                exemplars = histogram.buckets.into_iter().filter_map(|b| b.exemplar).collect();
            }
            let value = match *native {
                NativeHistogram::Integer(h) => ScrapeValue::Histogram(h),
                NativeHistogram::Float(h) => ScrapeValue::FloatHistogram(h),
            };
            self.push(metric, "", None, value, cumulative).exemplars = exemplars;
            return;
        }
        self.float(metric, "_count", None, histogram.count, cumulative);
        self.float(metric, "_sum", None, histogram.sum, cumulative);
        let whole = histogram.buckets.last().is_some_and(|b| b.le == f64::INFINITY);
        for bucket in histogram.buckets {
            let le = Some(("le", bucket.le));
            let sample = self.float(metric, "_bucket", le, bucket.cumulative_count, cumulative);
            sample.exemplars = bucket.exemplar.into_iter().collect();
        }
        if !whole {
            self.float(metric, "_bucket", Some(("le", f64::INFINITY)), histogram.count, cumulative);
        }
    }

    fn float(
        &mut self,
        metric: &Metric,
        suffix: &str,
        bound: Option<(&str, f64)>,
        v: f64,
        cumulative: bool,
    ) -> &mut ScrapeSample {
        self.push(metric, suffix, bound, ScrapeValue::Float(v), cumulative)
    }

    fn push(
        &mut self,
        metric: &Metric,
        suffix: &str,
        bound: Option<(&str, f64)>,
        value: ScrapeValue,
        cumulative: bool,
    ) -> &mut ScrapeSample {
        let mut labels = metric.labels.to_builder();
        labels.set(METRIC_NAME, &format!("{}{suffix}", self.name));
        if let Some((label, bound)) = bound {
            labels.set(label, &format_openmetrics_float(bound));
        }
        self.out.push(ScrapeSample {
            labels: labels.build(),
            value,
            t_ms: metric.t_ms,
            start_ms: metric.start_ms.filter(|_| cumulative),
            exemplars: Vec::new(),
            family: Some(self.index),
            cumulative,
        });
        let last = self.out.len() - 1;
        &mut self.out[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each sample as `series value [start]`, a `+` in front where it counts up.
    fn shown(scrape: &Scrape) -> Vec<String> {
        let one = |s: &ScrapeSample| {
            let value = match &s.value {
                ScrapeValue::Float(v) => v.to_string(),
                other => format!("{other:?}"),
            };
            let start = s.start_ms.map_or(String::new(), |t| format!(" since {t}"));
            format!("{}{} {value}{start}", if s.cumulative { "+" } else { "" }, s.labels)
        };
        scrape.samples.iter().map(one).collect()
    }

    #[test]
    fn text_is_stored_with_normalized_bounds() {
        let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n\
                    # TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"1\"} 2\ns_sum 1\ns_count 1\n\
                    # TYPE g gauge\ng{le=\"1\"} 5\n# TYPE c_total counter\nc_total 1 1500\nx 1\nx_created 7\n";
        let scrape = read_scrape(Format::Text, text.as_bytes()).expect("reads");
        assert_eq!(
            shown(&scrape),
            [
                r#"+h_bucket{le="1.0"} 2"#,
                r#"+h_bucket{le="+Inf"} 3"#,
                "+h_sum 4.5",
                "+h_count 3",
                r#"s{quantile="0.5"} 1"#,
                r#"s{quantile="1.0"} 2"#,
                "+s_sum 1",
                "+s_count 1",
                r#"g{le="1"} 5"#,
                "+c_total 1",
                "x 1",
                "x_created 7"
            ]
        );
        assert_eq!(scrape.samples[9].t_ms, Some(1500));
        assert_eq!(scrape.families.len(), 4);
    }

    #[test]
    fn openmetrics_created_is_a_series_and_a_start() {
        let text = "# TYPE c counter\nc_total{a=\"b\"} 1\nc_created{a=\"b\"} 12.5\nc_total{a=\"c\"} 1\n\
                    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\nh_sum 1\nh_created 2\n# EOF\n";
        let scrape = read_scrape(Format::OpenMetrics, text.as_bytes()).expect("reads");
        assert_eq!(
            shown(&scrape),
            [
                r#"+c_total{a="b"} 1 since 12500"#,
                r#"c_created{a="b"} 12.5"#,
                r#"+c_total{a="c"} 1"#,
                r#"+h_bucket{le="1.0"} 1 since 2000"#,
                "+h_count 1 since 2000",
                "+h_sum 1 since 2000",
                "h_created 2"
            ]
        );
    }

    #[test]
    fn protobuf_gives_the_same_series_as_text() {
        let mut histogram = MetricFamily::histogram("h", "H.");
        let value = MetricValue::Histogram(HistogramValue::classic(&[0.5, 1.0], &[1, 1, 1], 4.0));
        histogram.push(Metric::new(Labels::from_pairs([("a", "b")]), value));
        let mut counter = MetricFamily::counter("c_total", "C.");
        counter.add([("x", "y")], 3.0);
        let families = [histogram, counter, MetricFamily::gauge("g", "").with(f64::NAN)];
        let read = |format: Format| {
            let scrape = read_scrape(format, &format.encode(&families)).expect("reads");
            let mut samples = shown(&scrape);
            samples.sort();
            samples
        };
        assert_eq!(read(Format::Protobuf), read(Format::Text));
        assert_eq!(read(Format::OpenMetrics), read(Format::Text));
    }

    #[test]
    fn a_native_histogram_hides_its_buckets() {
        let native = Histogram { zero_threshold: 1e-9, zero_count: 3, count: 3, ..Histogram::default() };
        let mut value = HistogramValue::classic(&[1.0], &[3, 0], 0.0);
        value.native = Some(Box::new(NativeHistogram::Integer(native.clone())));
        let mut family = MetricFamily::histogram("h", "");
        family.push(Metric::new(Labels::empty(), MetricValue::Histogram(value)).since(5));
        let scrape = read_scrape(Format::Protobuf, &protobuf::encode(&[family])).expect("reads");
        assert_eq!(scrape.samples.len(), 1);
        assert_eq!(scrape.samples[0].value, ScrapeValue::Histogram(native));
        assert_eq!((scrape.samples[0].start_ms, scrape.samples[0].labels.metric_name()), (Some(5), "h"));
    }

    #[test]
    fn bytes_that_are_no_text_have_a_position() {
        let errors = read_scrape(Format::Text, b"a 1\nb{c=\"\xc3\xbc\xff\"} 1\n").expect_err("refused");
        assert_eq!(errors.to_string(), "2:7: not valid UTF-8");
    }
}
