//! Text to families: the samples of a metric gathered from their lines.
//!
//! Invariant: nothing in the text is lost but the order of lines and, in a histogram, a sum or count that
//! the text does not have.

use std::collections::HashMap;

use super::{
    Bucket, Dialect, HistogramValue, Line, LineError, Metric, MetricFamily, MetricValue, ParseErrors,
    Quantile, SampleLine, SummaryValue,
    declared::{Declared, Role},
    line::for_each_line,
    parse_series,
};
use crate::{Labels, METRIC_NAME, MetricType};

/// Reads a whole text into families. A sample without a declared family makes one of unknown type.
///
/// # Errors
/// Where lines are malformed, with the positions of up to twenty.
pub fn parse_families(text: &str, dialect: Dialect) -> Result<Vec<MetricFamily>, ParseErrors> {
    let mut gather =
        Gather { dialect, declared: Declared::new(dialect), metrics: Vec::new(), by_key: HashMap::new() };
    for_each_line(text, dialect, |line| {
        match line {
            Line::Sample(line) => gather.sample(&line)?,
            other => gather.declared.note(other),
        }
        Ok(())
    })?;
    Ok(gather.finish())
}

struct Gather {
    dialect: Dialect,
    declared: Declared,
    /// The metrics of each declared family.
    metrics: Vec<Vec<Metric>>,
    by_key: HashMap<(usize, Labels, Option<i64>), usize>,
}

impl Gather {
    fn sample(&mut self, line: &SampleLine<'_>) -> Result<(), LineError> {
        let series = parse_series(line.series)?;
        let name = series.metric_name();
        let (family, role) = match self.declared.find(name) {
            Some(found) => found,
            None => (self.declared.index(name), Role::Value),
        };
        let metric_type = self.declared.families[family].1.metric_type;
        let bound = match (metric_type, role) {
            (MetricType::Histogram | MetricType::GaugeHistogram, Role::Bucket) => Some("le"),
            (MetricType::Summary, Role::Value) => Some("quantile"),
            _ => None,
        };
        let bound_value = match bound {
            None => None,
            Some(label) => {
                let text = series.get(label).unwrap_or("");
                let error = || {
                    LineError::new(0, format!("label {label} of a {} wants a number", metric_type.as_str()))
                };
                Some(text.parse::<f64>().map_err(|_| error())?)
            }
        };
        let labels = series.without(|n| n == METRIC_NAME || Some(n) == bound);
        let metric = self.metric(family, metric_type, labels, line.t_ms);
        match (&mut metric.value, role) {
            (_, Role::Created) => metric.start_ms = Some((line.value * 1000.0).round() as i64),
            (MetricValue::Histogram(h), Role::Bucket) => h.buckets.push(Bucket {
                le: bound_value.unwrap_or(f64::INFINITY),
                cumulative_count: line.value,
                exemplar: line.exemplar.clone(),
            }),
            (MetricValue::Histogram(h), Role::Count) => h.count = line.value,
            (MetricValue::Histogram(h), Role::Sum) => h.sum = line.value,
            (MetricValue::Summary(s), Role::Count) => s.count = line.value,
            (MetricValue::Summary(s), Role::Sum) => s.sum = line.value,
            (MetricValue::Summary(s), _) => {
                s.quantiles.push(Quantile { quantile: bound_value.unwrap_or(f64::NAN), value: line.value });
            }
            (MetricValue::Float(v), _) => {
                *v = line.value;
                metric.exemplars.extend(line.exemplar.clone());
            }
            (MetricValue::Histogram(_), Role::Value) => {
                return Err(LineError::new(0, format!("histogram {name} has no samples of its bare name")));
            }
        }
        Ok(())
    }

    fn metric(&mut self, family: usize, kind: MetricType, labels: Labels, t_ms: Option<i64>) -> &mut Metric {
        if self.metrics.len() <= family {
            self.metrics.resize_with(family + 1, Vec::new);
        }
        let metrics = &mut self.metrics[family];
        let at = *self.by_key.entry((family, labels.clone(), t_ms)).or_insert_with(|| {
            let value = match kind {
                MetricType::Histogram | MetricType::GaugeHistogram => {
                    MetricValue::Histogram(HistogramValue::default())
                }
                MetricType::Summary => MetricValue::Summary(SummaryValue::default()),
                _ => MetricValue::Float(0.0),
            };
            metrics.push(Metric { t_ms, ..Metric::new(labels, value) });
            metrics.len() - 1
        });
        &mut metrics[at]
    }

    fn finish(mut self) -> Vec<MetricFamily> {
        self.metrics.resize_with(self.declared.families.len(), Vec::new);
        let named = |name: String, metric_type| match (self.dialect, metric_type) {
            (Dialect::OpenMetrics, MetricType::Counter) => name + "_total",
            (Dialect::OpenMetrics, MetricType::Info) => name + "_info",
            _ => name,
        };
        self.declared
            .families
            .into_iter()
            .zip(self.metrics)
            .map(|((name, meta), mut metrics)| {
                metrics.iter_mut().for_each(sort_parts);
                MetricFamily {
                    name: named(name, meta.metric_type),
                    metric_type: meta.metric_type,
                    unit: meta.unit,
                    help: meta.help,
                    metrics,
                }
            })
            .collect()
    }
}

fn sort_parts(metric: &mut Metric) {
    match &mut metric.value {
        MetricValue::Histogram(h) => h.buckets.sort_by(|a, b| a.le.total_cmp(&b.le)),
        MetricValue::Summary(s) => s.quantiles.sort_by(|a, b| a.quantile.total_cmp(&b.quantile)),
        MetricValue::Float(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exemplar, expo::Format};

    fn families() -> Vec<MetricFamily> {
        let labels = || Labels::from_pairs([("a", "b\"\n\\")]);
        let mut counter = MetricFamily::counter("c_seconds_total", "C \\ \n.");
        counter.unit = "seconds".into();
        let mut metric = Metric::new(labels(), MetricValue::Float(2.0)).since(1_250).at(3_125);
        metric.exemplars =
            vec![Exemplar { labels: Labels::from_pairs([("trace_id", "x")]), value: 0.5, t_ms: Some(2_000) }];
        counter.push(metric).push(Metric::new(labels(), MetricValue::Float(3.0)).at(4_000));
        let mut histogram = MetricFamily::histogram("h", "H.");
        let value = HistogramValue::classic(&[0.5, 1.0], &[1, 2, 3], 4.5);
        histogram.push(Metric::new(labels(), MetricValue::Histogram(value)));
        let mut summary = MetricFamily::new(MetricType::Summary, "s", "S.");
        let quantiles = vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.99, value: 2.0 }];
        summary.push(Metric::new(
            Labels::empty(),
            MetricValue::Summary(SummaryValue { count: 5.0, sum: 6.0, quantiles }),
        ));
        let info = MetricFamily::new(MetricType::Info, "build_info", "I.").with(1.0);
        vec![counter, histogram, summary, info, MetricFamily::untyped("u.dots", "").with(-1.5)]
    }

    #[test]
    fn openmetrics_survives_the_round_trip() {
        let text = String::from_utf8(Format::OpenMetrics.encode(&families())).expect("text");
        assert_eq!(parse_families(&text, Dialect::OpenMetrics).expect("reads"), families());
    }

    #[test]
    fn text_survives_but_for_what_it_cannot_say() {
        let text = String::from_utf8(Format::Text.encode(&families())).expect("text");
        let mut want = families();
        want[0].unit.clear();
        want[0].metrics[0].start_ms = None;
        want[0].metrics[0].exemplars.clear();
        want[3].metric_type = MetricType::Gauge;
        assert_eq!(parse_families(&text, Dialect::Text).expect("reads"), want);
    }

    #[test]
    fn a_bound_that_is_no_number_has_a_position() {
        let text = "# TYPE h histogram\nh_bucket{le=\"x\"} 1\nh 1\n";
        let errors = parse_families(text, Dialect::Text).expect_err("refused");
        assert_eq!(
            errors.to_string(),
            "2:1: label le of a histogram wants a number\n3:1: histogram h has no samples of its bare name"
        );
    }
}
