//! Where imported samples go: one block, over a spool of finished chunks.
//!
//! Invariant: samples may come in any order. Of several at one time of a series the first is kept, and the
//! others are counted.

use std::{collections::HashMap, path::Path};

use assay_model::{
    Exemplar, Labels, MetricMetadata, MetricType,
    expo::{Line, LineError, ScrapeValue, normalized_bound, parse_series},
};
use assay_tsdb::{BlockWriter, SeriesRef};

use super::ImportError;

/// What an import took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportStats {
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Samples that came after a later one of their series, and were sorted in.
    pub late: u64,
    /// Samples left out because their series had one at the same time.
    pub duplicates: u64,
    /// The times of the first and last sample, both in, in milliseconds since the Unix epoch.
    pub range: Option<(i64, i64)>,
}

/// Takes samples in.
pub(crate) struct Store {
    writer: BlockWriter,
    range: Option<(i64, i64)>,
}

impl Store {
    pub(crate) fn create(data: &Path) -> Result<Self, ImportError> {
        Ok(Self { writer: BlockWriter::create(data)?, range: None })
    }

    pub(crate) fn series(&mut self, labels: &Labels) -> Result<SeriesRef, ImportError> {
        Ok(self.writer.series(labels)?)
    }

    #[inline]
    pub(crate) fn push(&mut self, series: SeriesRef, t_ms: i64, v: f64) -> Result<(), ImportError> {
        self.note(t_ms);
        Ok(self.writer.append(series, t_ms, v)?)
    }

    /// Floats with their times.
    pub(crate) fn push_all(&mut self, series: SeriesRef, floats: &[(i64, f64)]) -> Result<(), ImportError> {
        floats.iter().try_for_each(|(t_ms, v)| self.push(series, *t_ms, *v))
    }

    pub(crate) fn push_value(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        value: &ScrapeValue,
    ) -> Result<(), ImportError> {
        self.note(t_ms);
        match value {
            ScrapeValue::Float(v) => self.writer.append(series, t_ms, *v)?,
            ScrapeValue::Histogram(h) => self.writer.append_histogram(series, t_ms, h)?,
            ScrapeValue::FloatHistogram(h) => self.writer.append_float_histogram(series, t_ms, h)?,
        }
        Ok(())
    }

    pub(crate) fn exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), ImportError> {
        Ok(self.writer.append_exemplar(series, exemplar)?)
    }

    pub(crate) fn describe(&mut self, family: &str, metadata: &MetricMetadata) {
        self.writer.set_metadata(family, metadata);
    }

    fn note(&mut self, t_ms: i64) {
        let (low, high) = self.range.unwrap_or((t_ms, t_ms));
        self.range = Some((low.min(t_ms), high.max(t_ms)));
    }

    pub(crate) fn stats(&self) -> ImportStats {
        let stats = self.writer.stats();
        ImportStats {
            series: stats.series,
            samples: stats.samples,
            late: stats.late,
            duplicates: stats.duplicates,
            range: self.range,
        }
    }

    /// Writes the block.
    pub(crate) fn finish(self) -> Result<ImportStats, ImportError> {
        let stats = self.stats();
        self.writer.finish()?;
        Ok(stats)
    }
}

/// The series and families of a text, by how they stand in it.
#[derive(Default)]
pub(super) struct TextSeries {
    by_text: HashMap<Box<str>, SeriesRef>,
    families: HashMap<String, MetricMetadata>,
}

impl TextSeries {
    /// Takes in a line that declares something of a family.
    pub(super) fn declare(&mut self, line: &Line<'_>, store: &mut Store) {
        let (name, change): (_, &dyn Fn(&mut MetricMetadata)) = match line {
            Line::Help(name, help) => (name, &|m| m.help = help.to_string()),
            Line::Type(name, metric_type) => (name, &|m| m.metric_type = *metric_type),
            Line::Unit(name, unit) => (name, &|m| (*unit).clone_into(&mut m.unit)),
            Line::Nothing | Line::Eof | Line::Sample(_) => return,
        };
        let metadata = self.families.entry(name.to_string()).or_default();
        change(metadata);
        store.describe(name, metadata);
    }

    /// The series of a text, with bounds as Prometheus stores them.
    pub(super) fn find(
        &mut self,
        text: &str,
        store: &mut Store,
    ) -> Result<Result<SeriesRef, LineError>, ImportError> {
        if let Some(series) = self.by_text.get(text) {
            return Ok(Ok(*series));
        }
        let labels = match parse_series(text) {
            Ok(labels) => self.normalized(labels),
            Err(error) => return Ok(Err(error)),
        };
        let series = store.series(&labels)?;
        self.by_text.insert(text.into(), series);
        Ok(Ok(series))
    }

    fn normalized(&self, labels: Labels) -> Labels {
        let name = labels.metric_name();
        let (family, label, metric_type) = match name.strip_suffix("_bucket") {
            Some(family) => (family, "le", MetricType::Histogram),
            None => (name, "quantile", MetricType::Summary),
        };
        let declared = self.families.get(family).is_some_and(|m| m.metric_type == metric_type);
        let Some(value) = labels.get(label).filter(|_| declared) else { return labels };
        match normalized_bound(metric_type, label, value) {
            Some(normal) if normal != value => labels.to_builder().set(label, &normal).build(),
            _ => labels,
        }
    }
}
