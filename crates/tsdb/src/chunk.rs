//! Chunks: up to a few hundred samples of one series, compressed. Invariant: what is encoded comes back bit
//! for bit, and decoding damaged bytes ends in an error, with nothing appended.
//!
//! Every chunk starts with the number of samples (2 bytes, big-endian). Encodings: 1 XOR-compressed floats
//! ([`xor`]), 2 integer histograms ([`integer`]), 3 float histograms ([`float`]). Source: Prometheus
//! `tsdb/docs/format/chunks.md`, `tsdb/chunkenc` v3.5.3.

pub(crate) mod builder;
pub(crate) mod float;
pub(crate) mod histogram;
pub(crate) mod integer;
pub(crate) mod layout;
pub(crate) mod spans;
pub(crate) mod xor;

use std::{
    ops::{Deref, Range},
    sync::Arc,
};

use assay_model::{Column, FloatHistogram, Histogram};

use crate::{error::Damage, mmap::Mapped};

/// How a chunk is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Xor,
    Histogram,
    FloatHistogram,
}

impl Encoding {
    pub(crate) fn from_byte(byte: u8) -> Result<Self, Damage> {
        match byte {
            1 => Ok(Self::Xor),
            2 => Ok(Self::Histogram),
            3 => Ok(Self::FloatHistogram),
            other => Err(Damage::new(0, format!("chunk encoding {other}, expected 1, 2 or 3"))),
        }
    }

    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Xor => 1,
            Self::Histogram => 2,
            Self::FloatHistogram => 3,
        }
    }
}

/// A finished chunk.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) encoding: Encoding,
    pub(crate) data: ChunkBytes,
}

/// A chunk's bytes, in memory or in a mapped file.
#[derive(Clone, Debug)]
pub(crate) enum ChunkBytes {
    Owned(Arc<[u8]>),
    Mapped(Arc<Mapped>, Range<usize>),
}

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(file, range) => &file.bytes()[range.clone()],
        }
    }
}

/// One sample as it is stored: histograms keep their integers.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    Float(f64),
    Histogram(Arc<Histogram>),
    FloatHistogram(Arc<FloatHistogram>),
}

/// The number of samples that a chunk says it has.
pub(crate) fn sample_count(data: &[u8]) -> Result<u16, Damage> {
    match data.first_chunk() {
        Some(head) => Ok(u16::from_be_bytes(*head)),
        None => Err(Damage::new(0, format!("expected a chunk of at least 2 bytes, found {}", data.len()))),
    }
}

/// Appends all samples of a chunk to `out`; on an error `out` is as it was.
pub(crate) fn decode(encoding: Encoding, data: &[u8], out: &mut Column) -> Result<(), Damage> {
    match encoding {
        Encoding::Xor => xor::decode(data, &mut out.times, &mut out.values),
        Encoding::Histogram => histogram::decode_floats::<Histogram>(data, out),
        Encoding::FloatHistogram => histogram::decode_floats::<FloatHistogram>(data, out),
    }
}

/// Appends all samples of a chunk to `out` as they are stored.
pub(crate) fn decode_stored(
    encoding: Encoding,
    data: &[u8],
    out: &mut Vec<(i64, Stored)>,
) -> Result<(), Damage> {
    match encoding {
        Encoding::Xor => {
            let (mut times, mut values) = (Vec::new(), Vec::new());
            xor::decode(data, &mut times, &mut values)?;
            out.extend(times.into_iter().zip(values.into_iter().map(Stored::Float)));
        }
        Encoding::Histogram => {
            for (t, h) in histogram::decode::<Histogram>(data)? {
                out.push((t, Stored::Histogram(Arc::new(h))));
            }
        }
        Encoding::FloatHistogram => {
            for (t, h) in histogram::decode::<FloatHistogram>(data)? {
                out.push((t, Stored::FloatHistogram(Arc::new(h))));
            }
        }
    }
    Ok(())
}
