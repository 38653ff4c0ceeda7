//! A data directory that is being written: series in memory, and a log on disk. Invariant: what was committed
//! is in the log, in an order that Prometheus reads back; memory is never ahead of what a commit will write.

pub(crate) mod finish;
mod full;
pub(crate) mod mapped;
pub(crate) mod replay;
pub(crate) mod series;
pub(crate) mod snapshot;
pub(crate) mod store;
mod view;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use assay_model::{Exemplar, FloatHistogram, Histogram, Labels, MetricMetadata};

use crate::{
    chunk::{Chunk, Stored, layout::bucket_count},
    error::{Context, Error, Result},
    import::SeriesRef,
    wal::{Compression, encode, record::RefSample, segments, writer::LogWriter},
};
use full::FullChunks;
use series::{GrowingSeries, Placed};
use store::{Store, StoredSeries};

pub use view::HeadSnapshot;

/// When a log is made to survive the machine, and not only the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// When the operating system likes, and when the recording is finished. Prometheus does this.
    Never,
    /// At a commit when this long has passed since the last time.
    Every(Duration),
    /// At every commit.
    Commit,
}

/// How to record.
#[derive(Clone, Debug)]
pub struct HeadOptions {
    /// The size of a log's segment in bytes; Prometheus' default of 128 MiB here too.
    pub segment_bytes: usize,
    /// How the log's records are compressed.
    pub compression: Compression,
    /// When the log is made durable.
    pub sync: Sync,
}

impl Default for HeadOptions {
    fn default() -> Self {
        let sync = Sync::Every(Duration::from_secs(5));
        Self { segment_bytes: 128 << 20, compression: Compression::Snappy, sync }
    }
}

/// How much a recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series.
    pub series: u64,
    /// Samples that were kept, late ones among them.
    pub samples: u64,
    /// Samples that came after a later one of their series.
    pub late: u64,
    /// Samples at the time of their series' last one, which were left out.
    pub duplicates: u64,
}

/// A recording: samples go to memory and, at each [commit](Head::commit), to a log. The directory can be read
/// by Prometheus and by [`Database`](crate::Database) at any moment, finished or not.
pub struct Head {
    dir: PathBuf,
    options: HeadOptions,
    wal: LogWriter,
    /// Samples that came late, where Prometheus looks for them; made with the first of them.
    wbl: Option<LogWriter>,
    synced: Instant,
    series: Vec<HeadSeries>,
    by_labels: HashMap<Labels, SeriesRef>,
    by_name: HashMap<String, Vec<usize>>,
    metadata: BTreeMap<String, MetricMetadata>,
    stats: HeadStats,
    batch: Batch,
    full: FullChunks,
}

#[derive(Default)]
struct HeadSeries {
    labels: Labels,
    samples: GrowingSeries,
    /// Chunks that are full, in memory or in files.
    full: Vec<Chunk>,
    exemplars: Vec<Exemplar>,
}

/// What the next commit writes.
#[derive(Default)]
struct Batch {
    series: Vec<(u64, Labels)>,
    metadata: Vec<(u64, MetricMetadata)>,
    samples: Vec<RefSample>,
    late: Vec<RefSample>,
    exemplars: Vec<(u64, Exemplar)>,
}

impl HeadSeries {
    /// The chunks of what came in order.
    fn in_order(&self) -> Vec<Chunk> {
        let mut chunks = self.full.clone();
        chunks.extend(self.samples.in_order.snapshot());
        chunks
    }
}

impl Head {
    /// Starts a recording in a directory that does not exist or holds no data yet.
    ///
    /// # Errors
    /// Where the directory holds data, or cannot be written.
    pub fn create(dir: &Path, options: HeadOptions) -> Result<Self> {
        std::fs::create_dir_all(dir).context("create", dir)?;
        let names = segments::names(dir)?;
        let block = names.iter().any(|name| ulid::Ulid::from_string(name).is_ok());
        if block
            || !segments::list(&dir.join("wal"))?.is_empty()
            || !segments::list(&dir.join("wbl"))?.is_empty()
        {
            let what = "holds data already, expected an empty directory for a new recording";
            return Err(Error::Directory { path: dir.to_owned(), what: what.into() });
        }
        let wal = LogWriter::open(&dir.join("wal"), options.segment_bytes, options.compression)?;
        Ok(Self {
            dir: dir.to_owned(),
            options,
            wal,
            wbl: None,
            synced: Instant::now(),
            series: Vec::new(),
            by_labels: HashMap::new(),
            by_name: HashMap::new(),
            metadata: BTreeMap::new(),
            stats: HeadStats::default(),
            batch: Batch::default(),
            full: FullChunks::default(),
        })
    }

    /// Appends a float, which may be a stale marker. A sample at the time of the series' last one is left out.
    ///
    /// # Errors
    /// Where the label set is empty.
    pub fn append(&mut self, labels: &Labels, t_ms: i64, value: f64) -> Result<()> {
        let series = self.series(labels)?;
        self.append_to(series, t_ms, value);
        Ok(())
    }

    /// Appends a float to a series that is known: no labels are hashed or compared.
    pub fn append_to(&mut self, series: SeriesRef, t_ms: i64, value: f64) {
        self.push(series, t_ms, Stored::Float(value));
    }

    /// Appends an integer histogram, likewise.
    ///
    /// # Errors
    /// Where the label set is empty, or spans and buckets do not agree.
    pub fn append_histogram(&mut self, labels: &Labels, t_ms: i64, histogram: &Histogram) -> Result<()> {
        let series = self.series(labels)?;
        self.append_histogram_to(series, t_ms, histogram)
    }

    /// Appends an integer histogram to a series that is known.
    ///
    /// # Errors
    /// Where spans and buckets do not agree.
    pub fn append_histogram_to(&mut self, series: SeriesRef, t_ms: i64, histogram: &Histogram) -> Result<()> {
        check_histogram(&self.series[series.0 as usize].labels, histogram)?;
        self.push(series, t_ms, Stored::Histogram(Arc::new(histogram.clone())));
        Ok(())
    }

    /// Appends a float histogram, likewise.
    ///
    /// # Errors
    /// Where the label set is empty, or spans and buckets do not agree.
    pub fn append_float_histogram(
        &mut self,
        labels: &Labels,
        t_ms: i64,
        histogram: &FloatHistogram,
    ) -> Result<()> {
        let series = self.series(labels)?;
        self.append_float_histogram_to(series, t_ms, histogram)
    }

    /// Appends a float histogram to a series that is known.
    ///
    /// # Errors
    /// Where spans and buckets do not agree.
    pub fn append_float_histogram_to(
        &mut self,
        series: SeriesRef,
        t_ms: i64,
        histogram: &FloatHistogram,
    ) -> Result<()> {
        check_float_histogram(&self.series[series.0 as usize].labels, histogram)?;
        self.push(series, t_ms, Stored::FloatHistogram(Arc::new(histogram.clone())));
        Ok(())
    }

    /// Appends an exemplar of a series. Without a time of its own it gets that of the series' last sample.
    ///
    /// # Errors
    /// Where the label set is empty, or there is no time.
    pub fn append_exemplar(&mut self, labels: &Labels, exemplar: &Exemplar) -> Result<()> {
        let series = self.series(labels)?;
        self.append_exemplar_to(series, exemplar)
    }

    /// Appends an exemplar of a series that is known.
    ///
    /// # Errors
    /// Where there is no time.
    pub fn append_exemplar_to(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<()> {
        let i = series.0 as usize;
        let t_ms = exemplar.t_ms.or(self.series[i].samples.in_order.last_t());
        if t_ms.is_none() {
            let what = "an exemplar without a time for a series without samples";
            return Err(Error::Sample { series: self.series[i].labels.to_string(), what: what.into() });
        }
        let exemplar = Exemplar { t_ms, ..exemplar.clone() };
        self.batch.exemplars.push((i as u64 + 1, exemplar.clone()));
        self.series[i].exemplars.push(exemplar);
        Ok(())
    }

    /// Says what is known of a metric family; it is written for each series of the family, those to come too.
    pub fn set_metadata(&mut self, family: &str, metadata: &MetricMetadata) {
        if self.metadata.get(family) == Some(metadata) {
            return;
        }
        self.metadata.insert(family.to_owned(), metadata.clone());
        for name in names_of_family(family) {
            for i in self.by_name.get(&name).into_iter().flatten() {
                self.batch.metadata.push((*i as u64 + 1, metadata.clone()));
            }
        }
    }

    fn push(&mut self, series: SeriesRef, t: i64, value: Stored) {
        let i = series.0 as usize;
        let series = i as u64 + 1;
        match self.series[i].samples.push(t, &value) {
            Placed::Duplicate => {
                self.stats.duplicates += 1;
                return;
            }
            Placed::InOrder => {
                if self.series[i].samples.in_order.has_finished() {
                    self.full.take(i, &mut self.series[i]);
                }
                self.batch.samples.push(RefSample { series, t, value });
            }
            Placed::Late => {
                self.stats.late += 1;
                self.batch.late.push(RefSample { series, t, value });
            }
        }
        self.stats.samples += 1;
    }

    /// The series with these labels, made if there is none; valid for this recording alone.
    ///
    /// # Errors
    /// Where the label set is empty, and beyond 2^32 series.
    pub fn series(&mut self, labels: &Labels) -> Result<SeriesRef> {
        if let Some(series) = self.by_labels.get(labels) {
            return Ok(*series);
        }
        if labels.is_empty() {
            return Err(Error::Sample { series: "{}".to_owned(), what: "a series without labels".into() });
        }
        let i = self.series.len();
        let Ok(n) = u32::try_from(i) else {
            return Err(Error::Sample { series: labels.to_string(), what: "more than 2^32 series".into() });
        };
        let (series, id) = (SeriesRef(n), i as u64 + 1);
        self.batch.series.push((id, labels.clone()));
        let name = labels.metric_name();
        if let Some(meta) = families_of_name(name).find_map(|family| self.metadata.get(family)) {
            self.batch.metadata.push((id, meta.clone()));
        }
        self.by_name.entry(name.to_owned()).or_default().push(i);
        self.by_labels.insert(labels.clone(), series);
        self.series.push(HeadSeries { labels: labels.clone(), ..HeadSeries::default() });
        self.stats.series += 1;
        Ok(series)
    }

    /// Writes everything since the last commit to the log, in one write: from here on it survives the end of
    /// this process, and when the options say so, of the machine.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn commit(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        // A series before its samples, and both before what came late, whose log has no series of its own.
        write_batch(&mut self.wal, &batch)?;
        self.wal.flush()?;
        if !batch.late.is_empty() {
            let wbl = match &mut self.wbl {
                Some(wbl) => wbl,
                None => {
                    let dir = self.dir.join("wbl");
                    let options = &self.options;
                    self.wbl.insert(LogWriter::open(&dir, options.segment_bytes, options.compression)?)
                }
            };
            for record in encode::samples(&batch.late) {
                wbl.add(&record)?;
            }
            wbl.flush()?;
        }
        // If there is no room for them in a file, they stay in memory.
        let _ = self.write_full_chunks();
        let due = match self.options.sync {
            Sync::Never => false,
            Sync::Every(interval) => self.synced.elapsed() >= interval,
            Sync::Commit => true,
        };
        if due { self.sync() } else { Ok(()) }
    }

    /// Makes everything committed survive the machine.
    ///
    /// # Errors
    /// Where the log cannot be written.
    pub fn sync(&mut self) -> Result<()> {
        self.wal.sync()?;
        if let Some(wbl) = &mut self.wbl {
            wbl.sync()?;
        }
        self.synced = Instant::now();
        Ok(())
    }

    /// How much is recorded so far.
    #[must_use]
    pub fn stats(&self) -> HeadStats {
        self.stats
    }

    /// The directory that is recorded into.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is recorded so far, uncommitted samples among it, for reading. Full chunks are shared, not copied.
    #[must_use]
    pub fn queryable(&self) -> HeadSnapshot {
        let series = self.series.iter().filter(|s| !s.samples.is_empty()).map(|s| StoredSeries {
            labels: s.labels.clone(),
            chunks: s.in_order(),
            late: s.samples.late_snapshot(),
            deleted: Vec::new(),
            exemplars: s.exemplars.clone(),
        });
        HeadSnapshot::new(Store::new(series.collect(), self.metadata.clone()))
    }
}

fn write_batch(wal: &mut LogWriter, batch: &Batch) -> Result<()> {
    if !batch.series.is_empty() {
        wal.add(&encode::series(&batch.series))?;
    }
    if !batch.metadata.is_empty() {
        wal.add(&encode::metadata(&batch.metadata))?;
    }
    for record in encode::samples(&batch.samples) {
        wal.add(&record)?;
    }
    if !batch.exemplars.is_empty() {
        wal.add(&encode::exemplars(&batch.exemplars))?;
    }
    Ok(())
}

const SUFFIXES: [&str; 5] = ["_total", "_bucket", "_count", "_sum", "_info"];

/// The names of the series that a family exposes.
fn names_of_family(family: &str) -> impl Iterator<Item = String> + '_ {
    std::iter::once(family.to_owned()).chain(SUFFIXES.iter().map(move |suffix| format!("{family}{suffix}")))
}

/// The families that a series of this name can belong to, the likeliest first.
pub(crate) fn families_of_name(name: &str) -> impl Iterator<Item = &str> {
    std::iter::once(name).chain(SUFFIXES.iter().filter_map(move |suffix| name.strip_suffix(suffix)))
}

pub(crate) fn check_histogram(labels: &Labels, h: &Histogram) -> Result<()> {
    let fits = bucket_count(&h.positive_spans) == h.positive_buckets.len() as u64
        && bucket_count(&h.negative_spans) == h.negative_buckets.len() as u64;
    if fits { Ok(()) } else { Err(misfit(labels)) }
}

pub(crate) fn check_float_histogram(labels: &Labels, h: &FloatHistogram) -> Result<()> {
    let fits = bucket_count(&h.positive_spans) == h.positive_buckets.len() as u64
        && bucket_count(&h.negative_spans) == h.negative_buckets.len() as u64;
    if fits { Ok(()) } else { Err(misfit(labels)) }
}

fn misfit(labels: &Labels) -> Error {
    let what = "a histogram whose spans do not cover exactly its buckets";
    Error::Sample { series: labels.to_string(), what: what.into() }
}
