//! [`Families`]: where collectors put their samples, in any order.
//!
//! Invariant: one family for one name; the type and help that came first stay.

use std::collections::HashMap;

use assay_model::{
    Labels, MetricType,
    expo::{Metric, MetricFamily, MetricValue},
};

/// The metric families of one scrape.
#[derive(Debug, Default)]
pub struct Families {
    list: Vec<MetricFamily>,
    by_name: HashMap<String, usize>,
}

impl Families {
    /// No families.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a counter's sample. Names of counters end in `_total` by convention; nothing is appended.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Counter, name, help, labels, value);
    }

    /// Adds a gauge's sample.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Gauge, name, help, labels, value);
    }

    /// Adds a sample of a metric whose kernel source does not say whether it counts or measures.
    pub fn untyped(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(MetricType::Unknown, name, help, labels, value);
    }

    /// Adds a sample. Labels with an empty value are left out, which is the same series to Prometheus.
    pub fn add(
        &mut self,
        metric_type: MetricType,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let labels = Labels::from_pairs(labels.iter().copied());
        self.push(metric_type, name, help, Metric::new(labels, MetricValue::Float(value)));
    }

    /// Adds a metric of any kind.
    pub fn push(&mut self, metric_type: MetricType, name: &str, help: &str, metric: Metric) {
        // Collectors mostly add to the family that they added to last.
        let at = match self.list.last() {
            Some(last) if last.name == name => self.list.len() - 1,
            _ => match self.by_name.get(name) {
                Some(at) => *at,
                None => {
                    self.list.push(MetricFamily::new(metric_type, name, help));
                    self.by_name.insert(name.to_owned(), self.list.len() - 1);
                    self.list.len() - 1
                }
            },
        };
        self.list[at].metrics.push(metric);
    }

    /// Everything that `other` holds is added.
    pub fn append(&mut self, other: Self) {
        for family in other.list {
            for metric in family.metrics {
                self.push(family.metric_type, &family.name, &family.help, metric);
            }
        }
    }

    /// The families sorted by name, the metrics of each by their labels.
    #[must_use]
    pub fn finish(mut self) -> Vec<MetricFamily> {
        self.list.sort_by(|a, b| a.name.cmp(&b.name));
        for family in &mut self.list {
            family.metrics.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        self.list
    }
}
