//! Samples straight into a block. Invariant: memory grows with the number of series, not of samples: a full
//! chunk goes to a spool, and into the block when all series are known.

pub(crate) mod spool;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use assay_model::{Exemplar, FloatHistogram, Histogram, Labels, MetricMetadata};

use crate::{
    block::{
        meta::BlockMeta,
        writer::{BlockBuilder, symbols},
    },
    chunk::{Chunk, Stored},
    error::{Context, Error, Result},
    head::{
        HeadStats, check_float_histogram, check_histogram, families_of_name,
        series::{GrowingSeries, Placed, join},
    },
    wal::{Compression, encode, segments, writer::LogWriter},
};
use spool::{Spool, Spooled};

/// A series of a [`BlockWriter`], for appending without looking its labels up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef(pub(crate) u32);

/// Writes one block from samples in any order, for imports.
///
/// Samples of a series in ascending time are fastest; others are sorted in. Of two samples at one time the
/// first one stays. Exemplars and metadata, which a block cannot hold, go to the directory's log.
pub struct BlockWriter {
    dir: PathBuf,
    series: Vec<ImportSeries>,
    by_labels: HashMap<Labels, u32>,
    metadata: BTreeMap<String, MetricMetadata>,
    exemplars: Option<LogWriter>,
    spool: Spool,
    stats: HeadStats,
}

struct ImportSeries {
    labels: Labels,
    samples: GrowingSeries,
    in_order: Vec<Spooled>,
    late: Vec<Spooled>,
    /// Whether the log names the series.
    logged: bool,
}

impl BlockWriter {
    /// Starts a block in a data directory, which is made if need be. Blocks that are there stay.
    ///
    /// # Errors
    /// Where the directory has a log, whose samples a newer block would hide, or cannot be written.
    pub fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).context("create", dir)?;
        if !segments::list(&dir.join("wal"))?.is_empty() {
            let what =
                "has a log in wal/, expected none: readers skip a log's samples that are older than a block";
            return Err(Error::Directory { path: dir.to_owned(), what: what.into() });
        }
        Ok(Self {
            dir: dir.to_owned(),
            series: Vec::new(),
            by_labels: HashMap::new(),
            metadata: BTreeMap::new(),
            exemplars: None,
            spool: Spool::new(dir),
            stats: HeadStats::default(),
        })
    }

    /// The series with these labels, which is new where there was none.
    ///
    /// # Errors
    /// Where the label set is empty.
    pub fn series(&mut self, labels: &Labels) -> Result<SeriesRef> {
        if let Some(i) = self.by_labels.get(labels) {
            return Ok(SeriesRef(*i));
        }
        if labels.is_empty() {
            return Err(Error::Sample { series: "{}".to_owned(), what: "a series without labels".into() });
        }
        let i = self.series.len() as u32;
        self.by_labels.insert(labels.clone(), i);
        self.series.push(ImportSeries {
            labels: labels.clone(),
            samples: GrowingSeries::default(),
            in_order: Vec::new(),
            late: Vec::new(),
            logged: false,
        });
        self.stats.series += 1;
        Ok(SeriesRef(i))
    }

    /// Appends a float, which may be a stale marker.
    ///
    /// # Errors
    /// Where the spool cannot be written.
    ///
    /// # Panics
    /// Where `series` is of another writer.
    pub fn append(&mut self, series: SeriesRef, t_ms: i64, value: f64) -> Result<()> {
        self.push(series, t_ms, &Stored::Float(value))
    }

    /// Appends an integer histogram, likewise.
    ///
    /// # Errors
    /// Where spans and buckets do not agree, or the spool cannot be written.
    ///
    /// # Panics
    /// Where `series` is of another writer.
    pub fn append_histogram(&mut self, series: SeriesRef, t_ms: i64, histogram: &Histogram) -> Result<()> {
        check_histogram(&self.series[series.0 as usize].labels, histogram)?;
        self.push(series, t_ms, &Stored::Histogram(Arc::new(histogram.clone())))
    }

    /// Appends a float histogram, likewise.
    ///
    /// # Errors
    /// Where spans and buckets do not agree, or the spool cannot be written.
    ///
    /// # Panics
    /// Where `series` is of another writer.
    pub fn append_float_histogram(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        histogram: &FloatHistogram,
    ) -> Result<()> {
        check_float_histogram(&self.series[series.0 as usize].labels, histogram)?;
        self.push(series, t_ms, &Stored::FloatHistogram(Arc::new(histogram.clone())))
    }

    /// Writes an exemplar, which has a time, to the log.
    ///
    /// # Errors
    /// Where it has no time, or the log cannot be written.
    ///
    /// # Panics
    /// Where `series` is of another writer.
    pub fn append_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<()> {
        let id = u64::from(series.0) + 1;
        let s = &mut self.series[series.0 as usize];
        if exemplar.t_ms.is_none() {
            let what = "an exemplar without a time";
            return Err(Error::Sample { series: s.labels.to_string(), what: what.into() });
        }
        let log = open_log(&mut self.exemplars, &self.dir)?;
        if !std::mem::replace(&mut s.logged, true) {
            log.add(&encode::series(&[(id, s.labels.clone())]))?;
        }
        log.add(&encode::exemplars(&[(id, exemplar.clone())]))?;
        log.flush()
    }

    /// Says what is known of a metric family.
    pub fn set_metadata(&mut self, family: &str, metadata: &MetricMetadata) {
        self.metadata.insert(family.to_owned(), metadata.clone());
    }

    #[inline]
    fn push(&mut self, series: SeriesRef, t: i64, value: &Stored) -> Result<()> {
        let s = &mut self.series[series.0 as usize];
        match s.samples.push(t, value) {
            Placed::Duplicate => {
                self.stats.duplicates += 1;
                return Ok(());
            }
            Placed::InOrder => {}
            Placed::Late => self.stats.late += 1,
        }
        self.stats.samples += 1;
        if s.samples.has_finished() {
            spool_finished(s, &mut self.spool)?;
        }
        Ok(())
    }

    /// How much was appended so far.
    #[must_use]
    pub fn stats(&self) -> HeadStats {
        self.stats
    }

    /// Writes the block; `None` where there was no sample.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn finish(mut self) -> Result<Option<BlockMeta>> {
        self.log_metadata()?;
        let mut series = std::mem::take(&mut self.series);
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let mut block = BlockBuilder::create(&self.dir, &symbols(series.iter().map(|s| &s.labels)))?;
        let spool = self.spool.finish()?;
        for mut s in series {
            s.samples.in_order.close();
            let mut chunks: Vec<Chunk> = s.in_order.iter().map(|c| spool.get(c)).collect();
            chunks.extend(s.samples.in_order.take_finished());
            let mut late: Vec<Chunk> = s.late.iter().map(|c| spool.get(c)).collect();
            late.extend(s.samples.late_snapshot());
            // They are our own bytes; a failure here would be a fault of this crate, or of the disk.
            let chunks = join(chunks, &late).map_err(|damage| damage.in_file(&self.dir, 0))?;
            block.series(&s.labels, chunks)?;
        }
        block.finish()
    }

    fn log_metadata(&mut self) -> Result<()> {
        let (mut named, mut metadata) = (Vec::new(), Vec::new());
        let mut seen = std::collections::HashSet::new();
        for (s, id) in self.series.iter().zip(1u64..) {
            let name = s.labels.metric_name();
            let meta = families_of_name(name).find_map(|family| self.metadata.get(family));
            if let Some(meta) = meta.filter(|_| seen.insert(name)) {
                if !s.logged {
                    named.push((id, s.labels.clone()));
                }
                metadata.push((id, meta.clone()));
            }
        }
        if !metadata.is_empty() {
            let log = open_log(&mut self.exemplars, &self.dir)?;
            log.add(&encode::series(&named))?;
            log.add(&encode::metadata(&metadata))?;
        }
        match &mut self.exemplars {
            Some(log) => log.sync(),
            None => Ok(()),
        }
    }
}

fn open_log<'l>(log: &'l mut Option<LogWriter>, dir: &Path) -> Result<&'l mut LogWriter> {
    match log {
        Some(log) => Ok(log),
        None => Ok(log.insert(LogWriter::open(&dir.join("wal"), 128 << 20, Compression::Snappy)?)),
    }
}

#[cold]
fn spool_finished(s: &mut ImportSeries, spool: &mut Spool) -> Result<()> {
    for chunk in s.samples.in_order.take_finished() {
        s.in_order.push(spool.put(&chunk)?);
    }
    for chunk in s.samples.take_late_chunks() {
        s.late.push(spool.put(&chunk)?);
    }
    Ok(())
}
