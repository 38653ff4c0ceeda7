//! `chunk_snapshot.SEGMENT.OFFSET/`: what a server with `memory-snapshot-on-shutdown` leaves, so that it need
//! not read its whole log again. Invariant: a snapshot is used whole or not at all; the log has it too.
//!
//! A log of records: 1 a series with its open chunk, 2 all tombstones, 3 exemplars. Source: Prometheus
//! `tsdb/docs/format/memory_snapshot.md`, `tsdb/head_wal.go` v3.5.3.

use std::{collections::HashMap, path::Path, sync::Arc};

use assay_model::{Exemplar, Labels};

use crate::{
    block::tombstones::{self, Interval},
    buf::Decoder,
    chunk::{Chunk, ChunkBytes, Encoding},
    error::{Damage, Result},
    mmap::Mapped,
    wal::{reader::RecordReader, record, segments},
};

/// What a snapshot holds.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) series: Vec<(u64, Labels, Option<Chunk>)>,
    pub(crate) deleted: HashMap<u64, Vec<Interval>>,
    pub(crate) exemplars: Vec<(u64, Exemplar)>,
}

/// Reads a snapshot.
pub(crate) fn read(dir: &Path) -> Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    for segment in segments::list(dir)? {
        let file = Mapped::open(&segment.path)?;
        let mut records = RecordReader::new(file.bytes(), 0);
        loop {
            let at = records.offset();
            let Some(record) = records.next() else { break };
            let taken = record.and_then(|r| snapshot.take(r).map_err(|damage| Damage::new(at, damage.what)));
            taken.map_err(|damage| damage.in_file(&segment.path, 0))?;
        }
    }
    Ok(snapshot)
}

impl Snapshot {
    fn take(&mut self, data: &[u8]) -> Result<(), Damage> {
        let mut d = Decoder::new(data);
        match d.u8()? {
            1 => self.series.push(series(&mut d)?),
            2 => self.deleted.extend(tombstones::decode(d.bytes()?)?),
            3 => self.exemplars.extend(record::exemplars(&mut d)?),
            other => return Err(Damage::new(0, format!("snapshot record type {other}, expected 1, 2 or 3"))),
        }
        Ok(())
    }
}

fn series(d: &mut Decoder<'_>) -> Result<(u64, Labels, Option<Chunk>), Damage> {
    let (id, labels) = (d.be64()?, record::labels(d)?);
    // The range of a chunk, which nothing uses any more.
    d.be64()?;
    if d.uvarint()? == 0 {
        return Ok((id, labels, None));
    }
    let (min_t, max_t) = (d.be64_signed()?, d.be64_signed()?);
    let encoding = Encoding::from_byte(d.u8()?)?;
    // What follows the chunk is the state of its appender, which we do not go on with.
    let data = ChunkBytes::Owned(Arc::from(d.bytes()?));
    Ok((id, labels, Some(Chunk { min_t, max_t, encoding, data })))
}
