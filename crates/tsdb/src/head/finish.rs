//! From a recording to a block. Invariant: the log goes only after the block is durable; where a crash leaves
//! both, readers take the block.

use std::path::Path;

use assay_model::{METRIC_NAME, MetricMetadata};

use super::{Head, HeadSeries, families_of_name, series::join};
use crate::{
    block::{
        meta::BlockMeta,
        writer::{BlockBuilder, symbols, sync_dir},
    },
    error::{Context, Result},
    wal::{encode, segments, writer::LogWriter},
};

impl Head {
    /// Ends the recording: all samples become one block, and the log keeps only what a block cannot hold,
    /// exemplars and metadata. `None` where there was no sample.
    ///
    /// # Errors
    /// Where a file cannot be written; the log then still has everything.
    pub fn finish(mut self) -> Result<Option<BlockMeta>> {
        self.commit()?;
        self.sync()?;
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let with_samples = self.series.iter().filter(|s| !s.samples.is_empty());
        let mut block = BlockBuilder::create(&self.dir, &symbols(with_samples.clone().map(|s| &s.labels)))?;
        for series in with_samples {
            let chunks = join(series.in_order(), &series.samples.late_snapshot());
            // They are our own bytes; a failure here would be a fault of this crate.
            let chunks = chunks.map_err(|damage| damage.in_file(&self.dir, 0))?;
            block.series(&series.labels, chunks)?;
        }
        self.full.check()?;
        let meta = block.finish()?;
        self.replace_log()?;
        remove_log(&self.dir.join("wbl"))?;
        Ok(meta)
    }

    /// Puts a log in the place of the old one that has the series with exemplars or metadata, and no samples.
    ///
    /// Prometheus wants a log without a checkpoint to begin with segment 0, so a crash at any point must leave
    /// segments from 0 on: the old ones go last to first, and the new segment 0 replaces the old one at once.
    fn replace_log(&self) -> Result<()> {
        let wal = self.dir.join("wal");
        let rest = wal.join("rest.tmp");
        self.write_rest(&rest)?;
        for segment in segments::list(&wal)?.iter().skip(1).rev() {
            std::fs::remove_file(&segment.path).context("remove", &segment.path)?;
        }
        for segment in segments::list(&rest)? {
            let target = wal.join(segments::file_name(segment.index));
            std::fs::rename(&segment.path, &target).context("rename", &segment.path)?;
        }
        std::fs::remove_dir(&rest).context("remove", &rest)?;
        sync_dir(&wal)
    }

    fn write_rest(&self, dir: &Path) -> Result<()> {
        let mut log = LogWriter::open(dir, self.options.segment_bytes, self.options.compression)?;
        let (mut series, mut metadata, mut exemplars) = (Vec::new(), Vec::new(), Vec::new());
        let mut last_name = None;
        for (s, id) in self.series.iter().zip(1u64..) {
            let name = s.labels.get(METRIC_NAME);
            // Series of one name stand together; its metadata is kept once.
            let meta = if name == last_name { None } else { self.metadata_of(s) };
            last_name = name;
            if meta.is_none() && s.exemplars.is_empty() {
                continue;
            }
            series.push((id, s.labels.clone()));
            metadata.extend(meta.map(|m| (id, m)));
            exemplars.extend(s.exemplars.iter().map(|e| (id, e.clone())));
        }
        if !series.is_empty() {
            log.add(&encode::series(&series))?;
        }
        if !metadata.is_empty() {
            log.add(&encode::metadata(&metadata))?;
        }
        if !exemplars.is_empty() {
            log.add(&encode::exemplars(&exemplars))?;
        }
        log.sync()?;
        sync_dir(dir)
    }

    fn metadata_of(&self, series: &HeadSeries) -> Option<MetricMetadata> {
        let name = series.labels.get(METRIC_NAME)?;
        families_of_name(name).find_map(|family| self.metadata.get(family)).cloned()
    }
}

fn remove_log(dir: &Path) -> Result<()> {
    for segment in segments::list(dir)? {
        std::fs::remove_file(&segment.path).context("remove", &segment.path)?;
    }
    match std::fs::remove_dir(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context("remove", dir),
        _ => Ok(()),
    }
}
