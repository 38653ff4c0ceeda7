//! The families that a text declares, and which of them a sample belongs to.
//!
//! Invariant: a family's name here is the one in its `TYPE` line; OpenMetrics' counters lack `_total` there.

use std::collections::HashMap;

use super::{Dialect, Line};
use crate::{MetricMetadata, MetricType};

/// What a sample is to its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The value itself, or a quantile.
    Value,
    Bucket,
    Sum,
    Count,
    Created,
}

/// The declared families, in the order of the text.
pub(super) struct Declared {
    dialect: Dialect,
    pub(super) families: Vec<(String, MetricMetadata)>,
    by_name: HashMap<String, usize>,
}

impl Declared {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, families: Vec::new(), by_name: HashMap::new() }
    }

    /// Takes in a line that is not a sample.
    pub(super) fn note(&mut self, line: Line<'_>) {
        match line {
            Line::Help(name, help) => self.family(&name).help = help.into_owned(),
            Line::Type(name, metric_type) => self.family(&name).metric_type = metric_type,
            Line::Unit(name, unit) => unit.clone_into(&mut self.family(&name).unit),
            Line::Nothing | Line::Eof | Line::Sample(_) => {}
        }
    }

    fn family(&mut self, name: &str) -> &mut MetricMetadata {
        let index = self.index(name);
        &mut self.families[index].1
    }

    /// The family of a name, made again where there is none.
    pub(super) fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        self.by_name.insert(name.to_owned(), self.families.len());
        self.families.push((name.to_owned(), MetricMetadata::default()));
        self.families.len() - 1
    }

    /// The family that a sample of this name belongs to, where one is declared.
    pub(super) fn find(&self, name: &str) -> Option<(usize, Role)> {
        for (suffix, role) in [
            ("_bucket", Role::Bucket),
            ("_sum", Role::Sum),
            ("_count", Role::Count),
            ("_gsum", Role::Sum),
            ("_gcount", Role::Count),
            ("_created", Role::Created),
            ("_total", Role::Value),
            ("_info", Role::Value),
        ] {
            let Some(base) = name.strip_suffix(suffix) else { continue };
            let Some(index) = self.by_name.get(base) else { continue };
            if self.has(self.families[*index].1.metric_type, suffix) {
                return Some((*index, role));
            }
        }
        self.by_name.get(name).map(|index| (*index, Role::Value))
    }

    /// Whether a family of this type has samples with this suffix.
    fn has(&self, metric_type: MetricType, suffix: &str) -> bool {
        let openmetrics = self.dialect == Dialect::OpenMetrics;
        match metric_type {
            MetricType::Histogram => {
                matches!(suffix, "_bucket" | "_sum" | "_count") || (openmetrics && suffix == "_created")
            }
            MetricType::Summary => {
                matches!(suffix, "_sum" | "_count") || (openmetrics && suffix == "_created")
            }
            MetricType::GaugeHistogram => matches!(suffix, "_bucket" | "_gsum" | "_gcount"),
            MetricType::Counter => openmetrics && matches!(suffix, "_total" | "_created"),
            MetricType::Info => openmetrics && suffix == "_info",
            MetricType::Unknown | MetricType::Gauge | MetricType::StateSet => false,
        }
    }
}
