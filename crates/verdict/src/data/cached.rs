//! A run's series, each decoded once however many questions a verdict asks of it.
//!
//! Invariant: what is read is what the source holds; what is kept takes no more than [`MOST_BYTES`], and one column.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use assay_model::{
    Column, ExemplarsBySeries, Labels, Matcher, MetricMetadata, QueryError, Queryable, Selected, Series,
    Texts,
};

/// What decoded columns may take together.
const MOST_BYTES: usize = 64 << 20;
/// Columns of longer runs are not kept: most questions are about a small part of them.
const LONGEST_MS: i64 = 6 * 3_600_000;
/// A read of less than this part of a run is a lookup.
const LEAST_PART: i64 = 16;

/// A source that remembers.
pub(super) struct Cached<'a> {
    source: &'a dyn Queryable,
    /// All that the source has, where it is worth keeping.
    span_ms: Option<(i64, i64)>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    columns: HashMap<Labels, Arc<Column>>,
    bytes: usize,
}

impl<'a> Cached<'a> {
    /// Remembers what is read of a source that does not change.
    pub(super) fn new(source: &'a dyn Queryable) -> Self {
        let span_ms = source.time_range().filter(|(from, to)| to.saturating_sub(*from) <= LONGEST_MS);
        Self { source, span_ms, kept: Mutex::default() }
    }

    fn find(&self, labels: &Labels) -> Option<Arc<Column>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).columns.get(labels).cloned()
    }

    /// Whether a read should take the whole column along.
    fn is_worth_it(&self, (start_ms, end_ms): (i64, i64), (from_ms, to_ms): (i64, i64)) -> bool {
        let asked_ms = end_ms.min(to_ms).saturating_sub(start_ms.max(from_ms));
        asked_ms.saturating_mul(LEAST_PART) >= to_ms - from_ms
            && self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes < MOST_BYTES
    }

    /// All samples of a series; one that was selected for a time knows those of that time.
    fn whole(&self, labels: &Labels, (from_ms, to_ms): (i64, i64)) -> Result<Column, QueryError> {
        let exact: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let mut column = Column::default();
        for series in self.source.select(&exact, from_ms, to_ms)?.iter().filter(|s| s.labels() == labels) {
            series.read(from_ms, to_ms, &mut column)?;
        }
        Ok(column)
    }

    fn keep(&self, labels: &Labels, column: Column) -> Arc<Column> {
        let (bytes, column) = (bytes(&column), Arc::new(column));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes < MOST_BYTES && kept.columns.insert(labels.clone(), Arc::clone(&column)).is_none() {
            kept.bytes += bytes;
        }
        column
    }
}

/// What a column takes; histograms that are the same one count once.
fn bytes(column: &Column) -> usize {
    let list = &column.histograms;
    let different = (0..list.len()).filter(|i| *i == 0 || !Arc::ptr_eq(&list[*i], &list[i - 1]));
    let plain = 8 * (2 * column.len() + column.starts.len() + column.histogram_starts.len());
    plain + different.map(|i| list[i].bytes()).sum::<usize>()
}

struct One<'q> {
    cached: &'q Cached<'q>,
    series: Box<dyn Series + 'q>,
}

impl Series for One<'_> {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        let Some(span_ms) = self.cached.span_ms else { return self.series.read(start_ms, end_ms, out) };
        let labels = self.series.labels();
        let column = match self.cached.find(labels) {
            Some(column) => column,
            None if self.cached.is_worth_it((start_ms, end_ms), span_ms) => {
                let whole = self.cached.whole(labels, span_ms)?;
                self.cached.keep(labels, whole)
            }
            None => return self.series.read(start_ms, end_ms, out),
        };
        out.append_within(&column, start_ms, end_ms);
        Ok(())
    }
}

impl Queryable for Cached<'_> {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        let found = self.source.select(matchers, start_ms, end_ms)?;
        Ok(found.into_iter().map(|series| Box::new(One { cached: self, series }) as _).collect())
    }

    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.source.label_values_within(name, matchers, start_ms, end_ms)
    }

    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.source.label_names_within(matchers, start_ms, end_ms)
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        self.source.time_range()
    }

    fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
        self.source.metadata(metric)
    }

    fn exemplars(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> ExemplarsBySeries {
        self.source.exemplars(matchers, start_ms, end_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use assay_model::{ExponentialHistogram, METRIC_NAME};
    use assay_promql::promqltest::MemStorage;

    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// A source that counts how often a series is read.
    struct Counting {
        storage: MemStorage,
        reads: AtomicUsize,
    }

    struct Counted<'q>(&'q Counting, Box<dyn Series + 'q>);

    impl Series for Counted<'_> {
        fn labels(&self) -> &Labels {
            self.1.labels()
        }

        fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
            self.0.reads.fetch_add(1, Ordering::Relaxed);
            self.1.read(start_ms, end_ms, out)
        }
    }

    impl Queryable for Counting {
        fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
            let found = self.storage.select(matchers, start_ms, end_ms)?;
            Ok(found.into_iter().map(|s| Box::new(Counted(self, s)) as _).collect())
        }

        fn time_range(&self) -> Option<(i64, i64)> {
            self.storage.time_range()
        }
    }

    /// Minutes of a float, of a float that ends early, and of a histogram that is at rest half of the time.
    fn source(minutes: i64) -> Counting {
        let mut storage = MemStorage::new();
        let name = |name| Labels::from_pairs([(METRIC_NAME, name), ("job", "a")]);
        let mut histogram = ExponentialHistogram::new(20);
        for minute in 0..minutes {
            let t_ms = minute * MINUTE_MS;
            storage.append(&name("x"), t_ms, minute as f64).expect("appends");
            if minute < minutes / 3 {
                storage.append(&name("short"), t_ms, 1.0).expect("appends");
            }
            if minute < minutes / 2 {
                histogram.record(1.0 + minute as f64);
            }
            storage.append_histogram(&name("h"), t_ms, histogram.snapshot().to_float()).expect("appends");
        }
        Counting { storage, reads: AtomicUsize::new(0) }
    }

    fn read(source: &dyn Queryable, name: &str, range: (i64, i64)) -> Vec<(Labels, Column)> {
        let found = source.select(&[Matcher::equal(METRIC_NAME, name)], range.0, range.1).expect("selects");
        let read = found.iter().map(|series| {
            let mut column = Column::default();
            series.read(range.0, range.1, &mut column).expect("reads");
            (series.labels().clone(), column)
        });
        read.collect()
    }

    #[test]
    fn what_is_kept_reads_as_the_source_does_and_is_decoded_once() {
        let source = source(100);
        let cached = Cached::new(&source);
        let end_ms = 99 * MINUTE_MS;
        let ranges = [
            (0, end_ms),
            (-5 * MINUTE_MS, 20 * MINUTE_MS),
            (10 * MINUTE_MS + 1, 60 * MINUTE_MS),
            (50 * MINUTE_MS, 50 * MINUTE_MS),
            (90 * MINUTE_MS, end_ms + 1),
            (i64::MIN, i64::MAX),
            (7, 6),
        ];
        for name in ["x", "short", "h"] {
            for range in ranges {
                assert_eq!(
                    read(&cached, name, range),
                    read(&source.storage, name, range),
                    "{name} {range:?}"
                );
            }
        }
        assert_eq!(source.reads.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_lookup_decodes_no_whole_series_and_a_long_run_is_not_kept() {
        let check = |minutes: i64, ranges: &[(i64, i64)], want: usize| {
            let source = source(minutes);
            let cached = Cached::new(&source);
            for range in ranges {
                assert_eq!(read(&cached, "x", *range), read(&source.storage, "x", *range), "{range:?}");
            }
            assert_eq!(source.reads.load(Ordering::Relaxed), want);
        };
        check(100, &[(0, MINUTE_MS), (MINUTE_MS, 2 * MINUTE_MS)], 2);
        check(361, &[(0, 360 * MINUTE_MS), (0, 360 * MINUTE_MS)], 1);
        check(362, &[(0, 361 * MINUTE_MS), (0, 361 * MINUTE_MS)], 2);
    }

    #[test]
    fn histograms_that_are_the_same_one_count_once() {
        let column = read(&source(100).storage, "h", (0, 99 * MINUTE_MS)).remove(0).1;
        let all = bytes(&column);
        let shared = Column { histograms: vec![Arc::clone(&column.histograms[99]); 100], ..column };
        assert!(bytes(&shared) * 10 < all, "{all} and {}", bytes(&shared));
    }
}
