//! One series while samples come in. Invariant: `in_order` ascends; what came late is kept aside and sorted
//! later, so that no sample is lost and none of the usual ones waits.

use crate::chunk::{Chunk, Stored, builder::ChunkBuilder, decode_stored};
use crate::error::Damage;

/// How many late samples are held before they are sorted and compressed.
const LATE_BUFFER: usize = 1024;

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// After all others.
    InOrder,
    /// Before the last one.
    Late,
    /// At the time of the last one, which stays.
    Duplicate,
}

/// The samples of a series that grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrowingSeries {
    pub(crate) in_order: ChunkBuilder,
    late: Vec<(i64, Stored)>,
    late_chunks: Vec<Chunk>,
}

impl GrowingSeries {
    pub(crate) fn push(&mut self, t: i64, value: &Stored) -> Placed {
        match self.in_order.last_t() {
            Some(last) if t == last => Placed::Duplicate,
            Some(last) if t < last => {
                self.push_late(t, value.clone());
                Placed::Late
            }
            _ => {
                self.in_order.push(t, value);
                Placed::InOrder
            }
        }
    }

    pub(crate) fn push_late(&mut self, t: i64, value: Stored) {
        self.late.push((t, value));
        if self.late.len() >= LATE_BUFFER {
            let run = sorted(std::mem::take(&mut self.late));
            self.late_chunks.extend(encode(run));
        }
    }

    /// Adds a finished chunk that may overlap anything.
    pub(crate) fn push_late_chunk(&mut self, chunk: Chunk) {
        self.late_chunks.push(chunk);
    }

    /// Whether there are full chunks to take out.
    pub(crate) fn has_finished(&self) -> bool {
        self.in_order.has_finished() || !self.late_chunks.is_empty()
    }

    pub(crate) fn take_late_chunks(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.late_chunks)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.late.is_empty() && self.late_chunks.is_empty()
    }

    /// The late samples as chunks that may overlap one another and the others.
    pub(crate) fn late_snapshot(&self) -> Vec<Chunk> {
        let mut chunks = self.late_chunks.clone();
        chunks.extend(encode(sorted(self.late.clone())));
        chunks
    }
}

/// Joins chunks that overlap into chunks that do not. Of two samples at one time the earlier chunk's stays.
pub(crate) fn join(in_order: Vec<Chunk>, late: &[Chunk]) -> Result<Vec<Chunk>, Damage> {
    if late.is_empty() {
        return Ok(in_order);
    }
    let mut samples = Vec::new();
    for chunk in in_order.iter().chain(late) {
        decode_stored(chunk.encoding, &chunk.data, &mut samples)?;
    }
    Ok(encode(sorted(samples)))
}

fn sorted(mut samples: Vec<(i64, Stored)>) -> Vec<(i64, Stored)> {
    samples.sort_by_key(|(t, _)| *t);
    samples.dedup_by_key(|(t, _)| *t);
    samples
}

fn encode(samples: Vec<(i64, Stored)>) -> Vec<Chunk> {
    let mut builder = ChunkBuilder::default();
    for (t, value) in samples {
        builder.push(t, &value);
    }
    builder.close();
    builder.take_finished()
}
