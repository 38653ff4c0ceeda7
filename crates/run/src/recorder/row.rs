//! What is recorded. Invariant: a row carries its own time; nothing is stamped when it is written.

pub use assay_model::expo::ScrapeValue as RowValue;
use assay_model::{Exemplar, Histogram, Labels};

/// A sample of a series.
#[derive(Clone, Debug)]
pub struct Row {
    /// The labels, the metric's name, `job` and `instance` among them.
    pub labels: Labels,
    /// When, in milliseconds since the Unix epoch.
    pub t_ms: i64,
    /// What.
    pub value: RowValue,
    /// For what counts up from zero: since when, in milliseconds since the Unix epoch. A series that is new
    /// and began inside the run gets a zero there.
    pub start_ms: Option<i64>,
    /// Observations kept as examples; one without a time has the row's.
    pub exemplars: Vec<Exemplar>,
}

impl Row {
    /// A sample without start and exemplars.
    #[must_use]
    pub fn new(labels: Labels, t_ms: i64, value: RowValue) -> Self {
        Self { labels, t_ms, value, start_ms: None, exemplars: Vec::new() }
    }

    /// A float.
    #[must_use]
    pub fn float(labels: Labels, t_ms: i64, value: f64) -> Self {
        Self::new(labels, t_ms, RowValue::Float(value))
    }

    /// A native histogram.
    #[must_use]
    pub fn histogram(labels: Labels, t_ms: i64, value: Histogram) -> Self {
        Self::new(labels, t_ms, RowValue::Histogram(value))
    }

    /// The row with the time since when it counts.
    #[must_use]
    pub fn since(mut self, start_ms: i64) -> Self {
        self.start_ms = Some(start_ms);
        self
    }
}
