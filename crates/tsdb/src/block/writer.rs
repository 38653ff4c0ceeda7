//! Puts a block together. Invariant: a block appears under its name only when all of it is durable.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use assay_model::Labels;

use super::{
    chunk_files::ChunkFilesWriter,
    index::ChunkMeta,
    index_writer::IndexWriter,
    meta::{BlockMeta, BlockStats, Compaction},
    tombstones,
};
use crate::{
    chunk::{Chunk, sample_count},
    error::{Context, Result},
};

/// A block that is being written. Dropping it unfinished removes what was written.
pub(crate) struct BlockBuilder {
    parent: PathBuf,
    ulid: String,
    temporary: PathBuf,
    chunks: ChunkFilesWriter,
    index: Option<IndexWriter>,
    stats: BlockStats,
    range: Option<(i64, i64)>,
}

impl BlockBuilder {
    /// Starts a block in the data directory `parent`; `symbols` are all strings of all labels.
    pub(crate) fn create(parent: &Path, symbols: &BTreeSet<&str>) -> Result<Self> {
        let ulid = ulid::Ulid::generate().to_string();
        // The suffix by which Prometheus knows, and removes, what a crash left.
        let temporary = parent.join(format!("{ulid}.tmp-for-creation"));
        std::fs::create_dir_all(&temporary).context("create", &temporary)?;
        Ok(Self {
            parent: parent.to_owned(),
            chunks: ChunkFilesWriter::create(&temporary.join("chunks"))?,
            index: Some(IndexWriter::create(&temporary.join("index"), symbols)?),
            ulid,
            temporary,
            stats: BlockStats::default(),
            range: None,
        })
    }

    /// Adds the next series by labels, with chunks that ascend and do not overlap; one without is left out.
    pub(crate) fn series(&mut self, labels: &Labels, chunks: impl IntoIterator<Item = Chunk>) -> Result<()> {
        let mut metas = Vec::new();
        for chunk in chunks {
            let reference = self.chunks.put(&chunk)?;
            metas.push(ChunkMeta { min_t: chunk.min_t, max_t: chunk.max_t, reference });
            // Our own chunks have their count.
            self.stats.num_samples += sample_count(&chunk.data).map_or(0, u64::from);
        }
        let (Some(first), Some(last)) = (metas.first(), metas.last()) else { return Ok(()) };
        let (low, high) = self.range.unwrap_or((first.min_t, last.max_t));
        self.range = Some((low.min(first.min_t), high.max(last.max_t)));
        self.stats.num_series += 1;
        self.stats.num_chunks += metas.len() as u64;
        match &mut self.index {
            Some(index) => index.series(labels, &metas),
            None => Ok(()),
        }
    }

    /// Makes the block durable and gives it its name; `None` where it has no sample.
    pub(crate) fn finish(mut self) -> Result<Option<BlockMeta>> {
        self.chunks.close()?;
        if let Some(index) = self.index.take() {
            index.finish()?;
        }
        let Some((low, high)) = self.range else { return Ok(None) };
        let meta = BlockMeta {
            ulid: self.ulid.clone(),
            min_time: low,
            max_time: high.saturating_add(1),
            stats: self.stats,
            compaction: Compaction { level: 1, sources: vec![self.ulid.clone()], ..Compaction::default() },
            version: 1,
        };
        write_durably(&self.temporary.join("tombstones"), &tombstones::empty_file())?;
        write_durably(&self.temporary.join("meta.json"), meta.to_json().as_bytes())?;
        sync_dir(&self.temporary.join("chunks"))?;
        sync_dir(&self.temporary)?;
        let target = self.parent.join(&self.ulid);
        std::fs::rename(&self.temporary, &target).context("rename", &self.temporary)?;
        sync_dir(&self.parent)?;
        Ok(Some(meta))
    }
}

impl Drop for BlockBuilder {
    fn drop(&mut self) {
        // After a rename it is gone, and what cannot be removed Prometheus removes when it starts.
        std::fs::remove_dir_all(&self.temporary).ok();
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).context("write", path)?;
    File::open(path).and_then(|f| f.sync_all()).context("sync", path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|f| f.sync_all()).context("sync", path)
}

/// All strings of some label sets.
pub(crate) fn symbols<'a>(all: impl IntoIterator<Item = &'a Labels>) -> BTreeSet<&'a str> {
    all.into_iter().flatten().flat_map(|(name, value)| [name, value]).collect()
}
