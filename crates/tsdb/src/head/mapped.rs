//! `chunks_head/`: the full chunks of series that are still in a server's memory. Invariant: a file is read up
//! to the first damage; what comes after it is in the log as well.
//!
//! Magic 0x0130BC91, version 1, three zeros; then chunks of series (8 bytes), first and last time (8 bytes
//! each), encoding (one byte, the highest bit set for out-of-order samples), length (uvarint), data, and the
//! CRC-32C of all that. Source: Prometheus `tsdb/docs/format/head_chunks.md`, `tsdb/chunks/head_chunks.go`.

use std::{path::Path, sync::Arc};

use crate::{
    buf::Decoder,
    chunk::{Chunk, ChunkBytes, Encoding},
    error::{Damage, Error, Result},
    mmap::Mapped,
    wal::segments,
};

const HEADER: [u8; 5] = [0x01, 0x30, 0xBC, 0x91, 1];
const HEADER_BYTES: usize = 8;
const OUT_OF_ORDER: u8 = 0x80;

/// A chunk of a series in memory.
pub(crate) struct HeadChunk {
    pub(crate) series: u64,
    pub(crate) out_of_order: bool,
    pub(crate) chunk: Chunk,
}

/// Reads all chunks, oldest first, and the damage that ended the reading, if any did.
pub(crate) fn read(dir: &Path) -> Result<(Vec<HeadChunk>, Option<Error>)> {
    let mut all = Vec::new();
    for segment in segments::list(dir)? {
        let file = Arc::new(Mapped::open(&segment.path)?);
        if let Err(damage) = read_file(&file, &mut all) {
            return Ok((all, Some(damage.in_file(&segment.path, 0))));
        }
    }
    Ok((all, None))
}

fn read_file(file: &Arc<Mapped>, out: &mut Vec<HeadChunk>) -> Result<(), Damage> {
    let data = file.bytes();
    if data.is_empty() {
        return Ok(());
    }
    if data.len() < HEADER_BYTES || data[..5] != HEADER {
        return Err(Damage::new(0, "expected the magic number 0130bc91 and version 1"));
    }
    let mut at = HEADER_BYTES;
    while data[at..].iter().take(24).any(|b| *b != 0) {
        let next = read_chunk(file, at).map_err(|damage| Damage::new(at + damage.at, damage.what))?;
        let Some((chunk, length)) = next else { return Ok(()) };
        out.extend(chunk);
        at += length;
    }
    Ok(())
}

/// The chunk at `at`, unless its encoding is one we do not know, and its length in the file. Zeros mark the end.
fn read_chunk(file: &Arc<Mapped>, at: usize) -> Result<Option<(Option<HeadChunk>, usize)>, Damage> {
    let mut d = Decoder::new(&file.bytes()[at..]);
    let (series, min_t, max_t) = (d.be64()?, d.be64_signed()?, d.be64_signed()?);
    if series == 0 && min_t == 0 && max_t == 0 {
        return Ok(None);
    }
    let encoding = d.u8()?;
    let length = d.count(1)?;
    let start = at + d.at();
    d.take(length)?;
    let end = d.at();
    let (want, got) = (d.be32()?, crc32c::crc32c(&file.bytes()[at..at + end]));
    if want != got {
        return Err(Damage::new(0, format!("a chunk's checksum is {got:08x}, expected {want:08x}")));
    }
    let chunk = Encoding::from_byte(encoding & !OUT_OF_ORDER).ok().map(|e| {
        let data = ChunkBytes::Mapped(Arc::clone(file), start..start + length);
        let chunk = Chunk { min_t, max_t, encoding: e, data };
        HeadChunk { series, out_of_order: encoding & OUT_OF_ORDER != 0, chunk }
    });
    Ok(Some((chunk, d.at())))
}
