//! Series in memory, as a log, a snapshot or a recording leaves them. Invariant: series are sorted by their
//! labels, each label set once, and a store never changes.

use std::collections::BTreeMap;

use assay_model::{Exemplar, Labels, MetricMetadata};

use crate::{block::tombstones::Interval, chunk::Chunk, error::Result, postings::Postings};

/// A series of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredSeries {
    pub(crate) labels: Labels,
    /// Ascending, without overlap.
    pub(crate) chunks: Vec<Chunk>,
    /// In any order, overlapping anything.
    pub(crate) late: Vec<Chunk>,
    pub(crate) deleted: Vec<Interval>,
    /// In the order they came.
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Series with an inverted index over their labels.
#[derive(Debug, Default)]
pub(crate) struct Store {
    series: Vec<StoredSeries>,
    postings: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>>,
    metadata: BTreeMap<String, MetricMetadata>,
}

impl Store {
    /// A store of series with different labels, in any order.
    pub(crate) fn new(mut series: Vec<StoredSeries>, metadata: BTreeMap<String, MetricMetadata>) -> Self {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut postings: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<u32>>> = BTreeMap::new();
        for (s, id) in series.iter().zip(0u32..) {
            for (name, value) in &s.labels {
                if !postings.contains_key(name) {
                    postings.insert(name.into(), BTreeMap::new());
                }
                let Some(values) = postings.get_mut(name) else { continue };
                match values.get_mut(value) {
                    Some(ids) => ids.push(id),
                    None => {
                        values.insert(value.into(), vec![id]);
                    }
                }
            }
        }
        Self { series, postings, metadata }
    }

    pub(crate) fn get(&self, id: u32) -> Option<&StoredSeries> {
        self.series.get(id as usize)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(|name| &**name)
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.postings.get(name).into_iter().flat_map(|values| values.keys().map(|v| &**v))
    }

    /// What is known of a metric: of the name itself, or of the names that a family of this name exposes.
    pub(crate) fn metadata(&self, metric: &str) -> Option<&MetricMetadata> {
        let of_family = ["", "_total", "_bucket", "_count", "_sum", "_info"].into_iter();
        of_family.filter_map(|suffix| self.metadata.get(&format!("{metric}{suffix}"))).next()
    }

    /// The times of the first and last sample, both in; deletions do not narrow it.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let chunks = self.series.iter().flat_map(|s| s.chunks.iter().chain(&s.late));
        let ranges = chunks.map(|c| (c.min_t, c.max_t));
        ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl Postings for Store {
    fn all(&self) -> Result<Vec<u32>> {
        Ok((0..self.series.len() as u32).collect())
    }

    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>> {
        Ok(self.postings.get(name).and_then(|values| values.get(value)).cloned().unwrap_or_default())
    }

    fn matching(&self, name: &str, test: &dyn Fn(&str) -> bool) -> Result<Vec<u32>> {
        let values = self.postings.get(name).into_iter().flatten();
        let mut ids: Vec<u32> =
            values.filter(|(value, _)| test(value)).flat_map(|(_, ids)| ids.clone()).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}
