//! Full chunks of a recording, in files instead of memory. Invariant: nothing depends on these files once the process has
//! ended: the log has the same samples.

use super::{Head, HeadSeries};
use crate::{
    error::Result,
    import::spool::{FullSpool, Spool, Spooled},
};

/// A file gets at least so many bytes of chunks, and a sixteenth of all before it, so that there are few files; and at most …
const LEAST_BYTES: usize = 64 << 10;
/// … so many, which is what a recording holds in memory.
const MOST_BYTES: usize = 16 << 20;

/// Full chunks, and the files that have those which are no longer in memory.
#[derive(Default)]
pub(super) struct FullChunks {
    /// Those in memory: the series, and their places among the full chunks of it.
    waiting: Vec<(usize, usize)>,
    waiting_bytes: usize,
    files: Vec<FullSpool>,
    bytes_in_files: usize,
}

impl FullChunks {
    /// Takes the full chunks out of a series that grows.
    pub(super) fn take(&mut self, id: usize, series: &mut HeadSeries) {
        for chunk in series.samples.in_order.take_finished() {
            self.waiting.push((id, series.full.len()));
            self.waiting_bytes += chunk.data.len();
            series.full.push(chunk);
        }
    }

    /// Fails if a file does not have what was written to it.
    pub(super) fn check(&self) -> Result<()> {
        self.files.iter().try_for_each(FullSpool::check)
    }
}

impl Head {
    /// Writes the full chunks that are in memory to a file, if there are enough of them.
    ///
    /// # Errors
    /// If the file cannot be written; they are in memory then.
    pub(super) fn write_full_chunks(&mut self) -> Result<()> {
        let full = &mut self.full;
        if full.waiting_bytes < (full.bytes_in_files / 16).clamp(LEAST_BYTES, MOST_BYTES) {
            return Ok(());
        }
        let mut spool = Spool::new(&self.dir);
        let spooled: Result<Vec<Spooled>> =
            full.waiting.iter().map(|(id, n)| spool.put(&self.series[*id].full[*n])).collect();
        let (spooled, file) = (spooled?, spool.finish_file()?);
        for ((id, n), spooled) in full.waiting.drain(..).zip(&spooled) {
            self.series[id].full[n] = file.get(spooled);
        }
        full.bytes_in_files += std::mem::take(&mut full.waiting_bytes);
        full.files.push(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use assay_model::{Column, Labels, Matcher, Queryable};

    use super::*;
    use crate::{Database, HeadOptions, OpenOptions};

    fn column(source: &dyn Queryable, labels: &Labels) -> Column {
        let mut out = Column::default();
        let name = labels.metric_name();
        for series in source.select(&[Matcher::equal("__name__", name)], i64::MIN, i64::MAX).expect("selects")
        {
            series.read(i64::MIN, i64::MAX, &mut out).expect("reads");
        }
        out
    }

    #[test]
    fn full_chunks_leave_memory_and_read_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut head = Head::create(dir.path(), HeadOptions::default()).expect("begins");
        let all: Vec<Labels> = (0..20).map(|i| Labels::from_pairs([("__name__", format!("m{i}"))])).collect();
        // Values that do not repeat take some eight bytes each.
        let value = |t: i64, i: usize| ((t * 7919 + i as i64) as f64).sin();
        for t in 0..6000 {
            for (i, labels) in all.iter().enumerate() {
                head.append(labels, t * 1000, value(t, i)).expect("appends");
            }
            head.commit().expect("commits");
        }
        assert!(head.full.files.len() >= 3, "{}", head.full.files.len());
        assert!(head.full.waiting_bytes < 2 * LEAST_BYTES);
        let names = crate::wal::segments::names(dir.path()).expect("lists");
        #[cfg(unix)]
        assert_eq!(names, ["wal"]);
        let expected: Vec<Vec<f64>> =
            (0..all.len()).map(|i| (0..6000).map(|t| value(t, i)).collect()).collect();
        let times: Vec<i64> = (0..6000).map(|t| t * 1000).collect();
        let check = |source: &dyn Queryable, when: &str| {
            for (labels, expected) in all.iter().zip(&expected) {
                let found = column(source, labels);
                assert!(found.times == times && found.values == *expected, "{when}: {labels}");
            }
        };
        check(&head.queryable(), "while it is recorded");
        let crashed = Database::open(dir.path(), OpenOptions::default()).expect("opens");
        check(&crashed, "from the log");
        drop(crashed);
        head.finish().expect("finishes").expect("a block");
        check(&Database::open(dir.path(), OpenOptions::default()).expect("opens"), "from the block");
    }
}
