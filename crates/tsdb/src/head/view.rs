//! A recording, read while it is in progress. Invariant: a snapshot never changes; full chunks in it are shared with
//! the recording.

use assay_model::{ExemplarsBySeries, Matcher, MetricMetadata, QueryError, Queryable, Selected, Texts};

use super::store::Store;
use crate::db::select::Sources;

/// A recording as it stood at one moment.
#[derive(Debug)]
pub struct HeadSnapshot {
    store: Store,
}

impl HeadSnapshot {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    fn sources(&self) -> Sources<'_> {
        Sources { blocks: &[], head: &self.store }
    }
}

impl Queryable for HeadSnapshot {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        self.sources().boxed(matchers, start_ms, end_ms)
    }

    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.sources().label_values(name, matchers, (start_ms, end_ms)).map_err(QueryError::new)
    }

    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.sources().label_names(matchers, (start_ms, end_ms)).map_err(QueryError::new)
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.store.time_range()
    }

    fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
        self.store.metadata(metric).cloned()
    }

    fn exemplars(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> ExemplarsBySeries {
        self.sources().exemplars(matchers, start_ms, end_ms).map_err(QueryError::new)
    }
}
