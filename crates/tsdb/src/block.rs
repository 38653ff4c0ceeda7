//! One block of a data directory: `meta.json`, `index`, `chunks/`, `tombstones`. Invariant: a block never
//! changes; what one holds is found through its index, and every byte that is used was checked.

pub(crate) mod chunk_files;
pub(crate) mod index;
pub(crate) mod index_writer;
pub(crate) mod meta;
pub(crate) mod symbols;
pub(crate) mod tombstones;
pub(crate) mod writer;

use std::{collections::HashMap, path::Path};

use crate::error::Result;
use chunk_files::ChunkFiles;
use index::Index;
use meta::BlockMeta;
use tombstones::Interval;

/// A block that is open for reading.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) meta: BlockMeta,
    pub(crate) index: Index,
    pub(crate) chunks: ChunkFiles,
    /// By series: what was deleted, sorted and apart from each other.
    deleted: HashMap<u64, Vec<Interval>>,
}

impl Block {
    pub(crate) fn open(dir: &Path, meta: BlockMeta) -> Result<Self> {
        Ok(Self {
            index: Index::open(&dir.join("index"))?,
            chunks: ChunkFiles::open(&dir.join("chunks"))?,
            deleted: tombstones::read(&dir.join("tombstones"))?,
            meta,
        })
    }

    /// The times of a series that were deleted.
    pub(crate) fn deleted(&self, series: u32) -> &[Interval] {
        self.deleted.get(&u64::from(series)).map_or(&[], Vec::as_slice)
    }

    /// The times of the first and last sample, both in, from the index; deletions do not narrow it.
    pub(crate) fn time_range(&self) -> Result<Option<(i64, i64)>> {
        let mut range: Option<(i64, i64)> = None;
        for id in self.index.all_ids()? {
            let chunks = self.index.series_chunks(id)?;
            if let (Some(first), Some(last)) = (chunks.first(), chunks.last()) {
                let (low, high) = range.unwrap_or((first.min_t, last.max_t));
                range = Some((low.min(first.min_t), high.max(last.max_t)));
            }
        }
        Ok(range)
    }
}
