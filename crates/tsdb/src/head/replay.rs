//! Reads what a server, or a recording, had in memory: head chunks, snapshot, log, out-of-order log.
//! Invariant: the result is what Prometheus has after it replays the same files (`tsdb/head.go`, `Head.Init`;
//! `tsdb/head_wal.go`, v3.5.3).
//!
//! Samples in `wal/` count only in ascending time: Prometheus logs out-of-order samples there too, but refuses
//! them when it reads the log back, because `wbl/` has those that it accepted.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use assay_model::{Labels, METRIC_NAME, MetricMetadata};

use super::{
    mapped,
    series::GrowingSeries,
    snapshot::{self, Snapshot},
    store::{Store, StoredSeries},
};
use crate::{
    block::tombstones,
    chunk::Chunk,
    db::Warning,
    error::{Error, Result},
    mmap::Mapped,
    wal::{
        reader::RecordReader,
        record::{self, Record},
        segments::{self, Segment},
    },
};

/// A series while the files are read.
#[derive(Default)]
struct Replayed {
    stored: StoredSeries,
    samples: GrowingSeries,
}

struct Replay {
    /// In-order samples before this time are in blocks, or were deleted there.
    min_valid_t: i64,
    series: Vec<Replayed>,
    by_labels: HashMap<Labels, usize>,
    by_ref: HashMap<u64, usize>,
    mapped: HashMap<u64, Vec<Chunk>>,
    mapped_late: HashMap<u64, Vec<Chunk>>,
    metadata: BTreeMap<String, MetricMetadata>,
    unknown: HashSet<u64>,
    warnings: Vec<Warning>,
}

/// Which log is being read.
#[derive(Clone, Copy, PartialEq)]
enum Log {
    InOrder,
    OutOfOrder,
}

/// Reads the memory of the server whose data directory this is.
pub(crate) fn replay(dir: &Path, min_valid_t: i64) -> Result<(Store, Vec<Warning>)> {
    let mut replay = Replay {
        min_valid_t,
        series: Vec::new(),
        by_labels: HashMap::new(),
        by_ref: HashMap::new(),
        mapped: HashMap::new(),
        mapped_late: HashMap::new(),
        metadata: BTreeMap::new(),
        unknown: HashSet::new(),
        warnings: Vec::new(),
    };
    replay.head_chunks(&dir.join("chunks_head"))?;
    let from = replay.snapshot(dir)?;
    replay.log(&dir.join("wal"), from)?;
    replay.out_of_order_log(&dir.join("wbl"))?;
    Ok(replay.finish(dir))
}

impl Replay {
    fn head_chunks(&mut self, dir: &Path) -> Result<()> {
        let (chunks, damage) = mapped::read(dir)?;
        self.warnings.extend(damage.map(|e| Warning::of(&e, "the log is read instead")));
        for c in chunks {
            if c.out_of_order {
                self.mapped_late.entry(c.series).or_default().push(c.chunk);
            } else if c.chunk.max_t >= self.min_valid_t {
                self.mapped.entry(c.series).or_default().push(c.chunk);
            }
        }
        Ok(())
    }

    /// Reads the newest snapshot, if there is one that fits the log, and returns the segment and offset from
    /// which the log continues.
    fn snapshot(&mut self, dir: &Path) -> Result<Option<(u64, u64)>> {
        let Some((path, segment, offset)) = segments::last_snapshot(dir)? else { return Ok(None) };
        let last = segments::list(&dir.join("wal"))?.last().map(|s| s.index);
        if last.is_none_or(|last| last < segment) {
            return Ok(None);
        }
        let Snapshot { series, deleted, exemplars } = match snapshot::read(&path) {
            Ok(snapshot) => snapshot,
            Err(e) => {
                self.warnings.push(Warning::of(&e, "the log is read instead"));
                return Ok(None);
            }
        };
        for (id, labels, chunk) in series {
            let i = self.add_series(id, labels);
            let samples = &mut self.series[i].samples;
            // A chunk that reached `chunks_head/` after the snapshot is there already.
            if let Some(Err(known)) = chunk.map(|c| samples.in_order.push_chunk(c))
                && samples.in_order.last_t().is_none_or(|last| last < known.max_t)
            {
                samples.push_late_chunk(known);
            }
        }
        for (id, intervals) in deleted {
            for (low, high) in intervals {
                self.delete(id, low, high);
            }
        }
        for (id, exemplar) in exemplars {
            self.take(Log::InOrder, Record::Exemplars(vec![(id, exemplar)]));
        }
        Ok(Some((segment, offset)))
    }

    fn log(&mut self, dir: &Path, from: Option<(u64, u64)>) -> Result<()> {
        let mut first = 0;
        if let Some((checkpoint, index)) = segments::last_checkpoint(dir)?
            && from.is_none_or(|(segment, _)| index >= segment)
        {
            for segment in segments::list(&checkpoint)? {
                // A checkpoint is written whole before it gets its name, so damage in it is no torn tail.
                self.segment(&segment, 0, Log::InOrder)?;
            }
            first = index + 1;
        }
        let (skip_to, offset) = from.unwrap_or((0, 0));
        let segments = segments::list(dir)?.into_iter().filter(|s| s.index >= first.max(skip_to));
        self.segments(segments.collect(), |s| if s.index == skip_to { offset } else { 0 }, Log::InOrder);
        Ok(())
    }

    fn out_of_order_log(&mut self, dir: &Path) -> Result<()> {
        self.segments(segments::list(dir)?, |_| 0, Log::OutOfOrder);
        Ok(())
    }

    /// Reads segments up to the first damage, which is where Prometheus cuts a log too.
    fn segments(&mut self, list: Vec<Segment>, offset: impl Fn(&Segment) -> u64, log: Log) {
        let count = list.len();
        for (i, segment) in list.into_iter().enumerate() {
            let at = offset(&segment);
            if let Err(e) = self.segment(&segment, at, log) {
                let rest = match count - i - 1 {
                    0 => "what comes before is read".to_owned(),
                    n => format!("what comes before is read, the {n} later segments are not"),
                };
                self.warnings.push(Warning::of(&e, &rest));
                return;
            }
        }
    }

    fn segment(&mut self, segment: &Segment, offset: u64, log: Log) -> Result<()> {
        let file = Mapped::open(&segment.path)?;
        let mut records = RecordReader::new(file.bytes(), usize::try_from(offset).unwrap_or(usize::MAX));
        loop {
            let at = records.offset() as u64;
            let Some(data) = records.next() else { return Ok(()) };
            let decoded = data.and_then(|data| {
                record::decode(data).map_err(|mut damage| {
                    // The place within a record that may be compressed means nothing in the file.
                    damage.what = format!("in a record, at its byte {}: {}", damage.at, damage.what).into();
                    damage.at = at as usize;
                    damage
                })
            });
            let record = decoded.map_err(|damage| -> Error { damage.in_file(&segment.path, 0) })?;
            self.take(log, record);
        }
    }

    fn take(&mut self, log: Log, record: Record) {
        match record {
            Record::Series(list) => {
                for (id, labels) in list {
                    self.add_series(id, labels);
                }
            }
            Record::Samples(list) => {
                for s in list {
                    let in_order = log == Log::InOrder;
                    if in_order && s.t < self.min_valid_t {
                        continue;
                    }
                    let Some(series) = self.known(s.series) else { continue };
                    let samples = &mut series.samples;
                    if !in_order {
                        samples.push_late(s.t, s.value);
                    } else if samples.in_order.last_t().is_none_or(|last| last < s.t) {
                        samples.in_order.push(s.t, &s.value);
                    }
                }
            }
            Record::Tombstones(list) => {
                for (id, low, high) in list {
                    self.delete(id, low, high);
                }
            }
            Record::Exemplars(list) => {
                for (id, exemplar) in list {
                    if let Some(series) = self.known(id) {
                        series.stored.exemplars.push(exemplar);
                    }
                }
            }
            Record::Metadata(list) => {
                for (id, meta) in list {
                    let name =
                        self.known(id).and_then(|s| s.stored.labels.get(METRIC_NAME).map(str::to_owned));
                    if let Some(name) = name {
                        self.metadata.insert(name, meta);
                    }
                }
            }
            Record::Other => {}
        }
    }

    fn known(&mut self, id: u64) -> Option<&mut Replayed> {
        match self.by_ref.get(&id) {
            Some(i) => Some(&mut self.series[*i]),
            None => {
                self.unknown.insert(id);
                None
            }
        }
    }

    fn delete(&mut self, id: u64, low: i64, high: i64) {
        if high >= self.min_valid_t
            && let Some(series) = self.known(id)
        {
            series.stored.deleted.push((low, high));
        }
    }

    fn add_series(&mut self, id: u64, labels: Labels) -> usize {
        let next = self.series.len();
        let i = *self.by_labels.entry(labels.clone()).or_insert(next);
        if i == next {
            let stored = StoredSeries { labels, ..StoredSeries::default() };
            self.series.push(Replayed { stored, ..Replayed::default() });
        }
        self.by_ref.insert(id, i);
        let samples = &mut self.series[i].samples;
        for chunk in self.mapped.remove(&id).into_iter().flatten() {
            if let Err(overlapping) = samples.in_order.push_chunk(chunk) {
                samples.push_late_chunk(overlapping);
            }
        }
        for chunk in self.mapped_late.remove(&id).into_iter().flatten() {
            samples.push_late_chunk(chunk);
        }
        i
    }

    fn finish(mut self, dir: &Path) -> (Store, Vec<Warning>) {
        if !self.unknown.is_empty() {
            let what = format!(
                "samples of {} series that the log does not name are left out, as Prometheus leaves them out",
                self.unknown.len()
            );
            let path: PathBuf = dir.join("wal");
            self.warnings.push(Warning { path, offset: None, what });
        }
        let series = self.series.into_iter().filter_map(|mut s| {
            if s.samples.is_empty() && s.stored.exemplars.is_empty() {
                return None;
            }
            tombstones::normalize(&mut s.stored.deleted);
            s.stored.late = s.samples.late_snapshot();
            s.samples.in_order.close();
            s.stored.chunks = s.samples.in_order.take_finished();
            Some(s.stored)
        });
        (Store::new(series.collect(), self.metadata), self.warnings)
    }
}
