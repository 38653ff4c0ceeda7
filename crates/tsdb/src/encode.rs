//! Samples as chunks, for who is to get them as they would be stored.
//!
//! Invariant: what is encoded comes back bit for bit; chunks are cut as Prometheus cuts them.

use assay_model::Column;

use crate::chunk::{Chunk, builder::ChunkBuilder};

/// A chunk on its own.
#[derive(Clone, Debug)]
pub struct EncodedChunk {
    chunk: Chunk,
}

impl EncodedChunk {
    /// Its first and last time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn span_ms(&self) -> (i64, i64) {
        (self.chunk.min_t, self.chunk.max_t)
    }

    /// The number of its encoding: 1 floats, 3 float histograms.
    #[must_use]
    pub fn encoding(&self) -> u8 {
        self.chunk.encoding.byte()
    }

    /// Its bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.chunk.data
    }
}

/// The samples of a series as chunks, ascending in time.
#[must_use]
pub fn encode(column: &Column) -> Vec<EncodedChunk> {
    let mut builder = ChunkBuilder::default();
    let mut histograms = column.histogram_times.iter().zip(&column.histograms).peekable();
    for (t_ms, value) in column.times.iter().zip(&column.values) {
        while let Some((t, h)) = histograms.next_if(|(t, _)| *t < t_ms) {
            builder.push_float_histogram(*t, h);
        }
        builder.push_float(*t_ms, *value);
    }
    for (t, h) in histograms {
        builder.push_float_histogram(*t, h);
    }
    builder.snapshot().into_iter().map(|chunk| EncodedChunk { chunk }).collect()
}
