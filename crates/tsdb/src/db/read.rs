//! The samples of one series from all sources that have it. Invariant: times ascend, each once; where sources
//! disagree about a time, the one listed first is believed.

use std::path::Path;

use assay_model::{Column, CounterResetHint, Labels, QueryError, Series};

use crate::{
    block::{Block, index::ChunkMeta, tombstones::Interval},
    chunk::{self, Chunk, Encoding},
    error::{Damage, Error, Result},
};

/// What one source has of a series.
pub(crate) struct Part<'q> {
    pub(crate) chunks: PartChunks<'q>,
    pub(crate) deleted: &'q [Interval],
}

pub(crate) enum PartChunks<'q> {
    /// Chunks in the files of a block.
    Block(&'q Block, Vec<ChunkMeta>),
    /// Chunks in memory.
    Memory(&'q [Chunk]),
}

/// A series of a selection.
pub(crate) struct MergedSeries<'q> {
    pub(crate) labels: Labels,
    pub(crate) parts: Vec<Part<'q>>,
}

/// A chunk that is to be read.
struct Pending<'s> {
    min_t: i64,
    max_t: i64,
    source: Source<'s>,
    deleted: &'s [Interval],
}

enum Source<'s> {
    Block(&'s Block, u64),
    Memory(&'s Chunk),
}

impl Series for MergedSeries<'_> {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        let runs = runs(self.pending(start_ms, end_ms));
        let range = (start_ms, end_ms);
        let result = match &runs[..] {
            [] => Ok(()),
            [one] => read_run(one, range, out),
            several => read_overlapping(several, range, out),
        };
        result.and_then(|()| self.check()).map_err(QueryError::new)
    }
}

impl MergedSeries<'_> {
    /// Fails where a file was shortened while it was read.
    fn check(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| match &part.chunks {
            PartChunks::Block(block, _) => block.chunks.check(),
            PartChunks::Memory(_) => Ok(()),
        })
    }

    fn pending(&self, start: i64, end: i64) -> Vec<Pending<'_>> {
        let mut list = Vec::new();
        let overlaps = |min_t: i64, max_t: i64| min_t <= end && max_t >= start;
        for part in &self.parts {
            let deleted = part.deleted;
            match &part.chunks {
                PartChunks::Block(block, chunks) => {
                    let chunks = chunks.iter().filter(|c| overlaps(c.min_t, c.max_t));
                    list.extend(chunks.map(|c| {
                        let source = Source::Block(block, c.reference);
                        Pending { min_t: c.min_t, max_t: c.max_t, source, deleted }
                    }));
                }
                PartChunks::Memory(chunks) => {
                    let chunks = chunks.iter().filter(|c| overlaps(c.min_t, c.max_t));
                    list.extend(chunks.map(|c| {
                        let source = Source::Memory(c);
                        Pending { min_t: c.min_t, max_t: c.max_t, source, deleted }
                    }));
                }
            }
        }
        list
    }
}

/// Splits chunks into lists within which times ascend. There is one list unless sources overlap.
fn runs(chunks: Vec<Pending<'_>>) -> Vec<Vec<Pending<'_>>> {
    let mut runs: Vec<Vec<Pending<'_>>> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.max_t < chunk.min_t) => run.push(chunk),
            _ => runs.push(vec![chunk]),
        }
    }
    runs
}

fn read_run(run: &[Pending<'_>], range: (i64, i64), out: &mut Column) -> Result<()> {
    // Chunks of floats of which every sample counts are read together; a chunk's bytes are checked once.
    let (mut first, mut together) = (0, Vec::with_capacity(run.len()));
    for (i, chunk) in run.iter().enumerate() {
        let (encoding, data) = chunk.bytes()?;
        if encoding == Encoding::Xor && chunk.is_whole(range) {
            together.push(data);
            continue;
        }
        read_together(&run[first..], &together, out)?;
        (first, together) = (i + 1, Vec::new());
        read_part(chunk, (encoding, data), range, out)?;
    }
    read_together(&run[first..], &together, out)
}

/// Reads the bytes of the chunks at the front of `run`.
fn read_together(run: &[Pending<'_>], chunks: &[&[u8]], out: &mut Column) -> Result<()> {
    let read = chunk::xor::decode_all(chunks, &mut out.times, &mut out.values);
    read.map_err(|(at, damage)| run[at].locate(damage))
}

/// Reads a chunk of any kind, and leaves out what lies outside the range or was deleted.
fn read_part(
    chunk: &Pending<'_>,
    (encoding, data): (Encoding, &[u8]),
    range: (i64, i64),
    out: &mut Column,
) -> Result<()> {
    let (floats, histograms) = (out.times.len(), out.histogram_times.len());
    chunk::decode(encoding, data, out).map_err(|damage| chunk.locate(damage))?;
    if !chunk.is_whole(range) {
        let keep = |t: i64| {
            t >= range.0
                && t <= range.1
                && !chunk.deleted.iter().any(|(low, high)| (*low..=*high).contains(&t))
        };
        filter(&mut out.times, &mut out.values, floats, keep);
        filter(&mut out.histogram_times, &mut out.histograms, histograms, keep);
    }
    Ok(())
}

impl<'s> Pending<'s> {
    /// Whether every sample lies in the range and none was deleted.
    fn is_whole(&self, range: (i64, i64)) -> bool {
        let deleted = self.deleted.iter().any(|(low, high)| *low <= self.max_t && *high >= self.min_t);
        self.min_t >= range.0 && self.max_t <= range.1 && !deleted
    }

    fn bytes(&self) -> Result<(Encoding, &'s [u8])> {
        match self.source {
            Source::Block(block, reference) => block.chunks.get(reference),
            Source::Memory(c) => Ok((c.encoding, &c.data)),
        }
    }

    fn locate(&self, damage: Damage) -> Error {
        match self.source {
            Source::Block(block, reference) => block.chunks.locate(reference, damage),
            Source::Memory(_) => damage.in_file(Path::new("chunk in memory"), 0),
        }
    }
}

/// Keeps of the entries from `from` on those whose time passes.
fn filter<T>(times: &mut Vec<i64>, values: &mut Vec<T>, from: usize, keep: impl Fn(i64) -> bool) {
    let mut kept = from;
    for i in from..times.len() {
        if keep(times[i]) {
            times.swap(kept, i);
            values.swap(kept, i);
            kept += 1;
        }
    }
    times.truncate(kept);
    values.truncate(kept);
}

/// A sample of an overlapping read: its time, the run it is from, its place there, and whether it is a float.
type Place = (i64, usize, usize, bool);

fn read_overlapping(runs: &[Vec<Pending<'_>>], range: (i64, i64), out: &mut Column) -> Result<()> {
    let mut columns = Vec::with_capacity(runs.len());
    let mut places: Vec<Place> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let mut column = Column::default();
        read_run(run, range, &mut column)?;
        places.extend(column.times.iter().enumerate().map(|(at, t)| (*t, i, at, true)));
        places.extend(column.histogram_times.iter().enumerate().map(|(at, t)| (*t, i, at, false)));
        columns.push(column);
    }
    places.sort_unstable();
    places.dedup_by_key(|(t, ..)| *t);
    let mut last_run = None;
    for (t, run, at, float) in places {
        if float {
            out.times.push(t);
            out.values.push(columns[run].values[at]);
        } else {
            let mut h = columns[run].histograms[at].clone();
            // What a chunk knows of resets holds against its own last sample, not another source's.
            let hinted = !matches!(h.counter_reset_hint, CounterResetHint::Unknown | CounterResetHint::Gauge);
            if hinted && last_run != Some(run) {
                std::sync::Arc::make_mut(&mut h).counter_reset_hint = CounterResetHint::Unknown;
            }
            out.histogram_times.push(t);
            out.histograms.push(h);
        }
        last_run = Some(run);
    }
    Ok(())
}
