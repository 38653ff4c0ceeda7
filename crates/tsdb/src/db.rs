//! A data directory, open for reading. Invariant: what was open stays readable and does not change, whatever a
//! live server does to the directory.

pub(crate) mod read;
pub(crate) mod select;

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use assay_model::{ExemplarsBySeries, Matcher, MetricMetadata, QueryError, Queryable, Selected, Texts};

use crate::{
    block::{
        Block,
        meta::{BlockMeta, BlockStats},
    },
    error::{Context, Error, Result},
    head::{replay::replay, store::Store},
    wal::segments,
};
use select::Sources;

/// How often a directory that a live server compacts is read again before what was read is returned.
const ATTEMPTS: usize = 5;

/// How to open a directory.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Leave out `wal/`, `wbl/` and `chunks_head/`, and read blocks alone.
    pub blocks_only: bool,
}

/// Something in a directory that could not be read and need not stop the reading, such as the torn tail of a
/// log whose writer was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file or directory.
    pub path: PathBuf,
    /// The offset in the file, in bytes, where there is one.
    pub offset: Option<u64>,
    /// What is wrong, and what was done.
    pub what: String,
}

impl Warning {
    pub(crate) fn of(error: &Error, consequence: &str) -> Self {
        let (path, offset, what) = match error {
            Error::Corrupt { path, offset, what } => (path, Some(*offset), what.to_string()),
            Error::Io { path, action, source } => (path, None, format!("{action}: {source}")),
            Error::Directory { path, what } => (path, None, what.to_string()),
            Error::Sample { series, what } => return Self::of_sample(series, what, consequence),
        };
        Self { path: path.clone(), offset, what: format!("{what}; {consequence}") }
    }

    fn of_sample(series: &str, what: &str, consequence: &str) -> Self {
        Self { path: PathBuf::new(), offset: None, what: format!("{series}: {what}; {consequence}") }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, "offset {offset}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// A Prometheus data directory: blocks, and what a server or a recording had in memory.
#[derive(Debug)]
pub struct Database {
    blocks: Vec<Block>,
    head: Store,
    warnings: Vec<Warning>,
    range: OnceLock<Option<(i64, i64)>>,
}

impl Database {
    /// Opens a data directory, or a single block. A live server may be using it: nothing is locked or written,
    /// and what is returned is the directory at one moment.
    ///
    /// # Errors
    /// Where the directory is none, or one of its files is damaged; a torn end of a log is a [warning]
    /// instead.
    ///
    /// [warning]: Database::warnings
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Self> {
        if dir.join("meta.json").is_file() && dir.join("index").is_file() {
            let block = Block::open(dir, BlockMeta::read(&dir.join("meta.json"))?)?;
            return Ok(Self::new(vec![block], Store::default(), Vec::new()));
        }
        let mut attempt = 1;
        loop {
            let before = Listing::read(dir)?;
            let opened = before.open(dir, options);
            let gone = opened.as_ref().is_err_and(Error::is_not_found);
            let changed = gone || Listing::read(dir)? != before;
            if !changed || attempt == ATTEMPTS {
                return opened;
            }
            // A compaction moved samples from the log to a block, or from blocks to another one, meanwhile.
            attempt += 1;
        }
    }

    fn new(blocks: Vec<Block>, head: Store, warnings: Vec<Warning>) -> Self {
        Self { blocks, head, warnings, range: OnceLock::new() }
    }

    /// What could not be read and did not stop the reading.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The blocks' `meta.json`, by their first time.
    pub fn blocks(&self) -> impl Iterator<Item = &BlockMeta> {
        self.blocks.iter().map(|b| &b.meta)
    }

    /// How much the blocks hold together, by their `meta.json`.
    #[must_use]
    pub fn block_stats(&self) -> BlockStats {
        self.blocks().fold(BlockStats::default(), |sum, meta| BlockStats {
            num_samples: sum.num_samples + meta.stats.num_samples,
            num_series: sum.num_series + meta.stats.num_series,
            num_chunks: sum.num_chunks + meta.stats.num_chunks,
            num_tombstones: sum.num_tombstones + meta.stats.num_tombstones,
        })
    }

    fn sources(&self) -> Sources<'_> {
        Sources { blocks: &self.blocks, head: &self.head }
    }
}

/// What a directory holds, as far as a compaction changes it.
#[derive(PartialEq)]
struct Listing {
    blocks: Vec<String>,
    checkpoint: Option<u64>,
    first_segment: Option<u64>,
}

impl Listing {
    fn read(dir: &Path) -> Result<Self> {
        std::fs::read_dir(dir).context("open", dir)?;
        let mut blocks = segments::names(dir)?;
        blocks.retain(|name| ulid::Ulid::from_string(name).is_ok());
        blocks.sort();
        let wal = dir.join("wal");
        let any = ["wal", "wbl", "chunks_head"].iter().any(|name| dir.join(name).is_dir());
        if blocks.is_empty() && !any {
            let what = "not a Prometheus data directory: expected blocks, wal/ or chunks_head/ in it";
            return Err(Error::Directory { path: dir.to_owned(), what: what.into() });
        }
        Ok(Self {
            blocks,
            checkpoint: segments::last_checkpoint(&wal)?.map(|(_, index)| index),
            first_segment: segments::list(&wal)?.first().map(|s| s.index),
        })
    }

    fn open(&self, dir: &Path, options: OpenOptions) -> Result<Database> {
        let mut metas = Vec::new();
        for name in &self.blocks {
            metas.push((name, BlockMeta::read(&dir.join(name).join("meta.json"))?));
        }
        // What a compaction replaced may still be there after a crash.
        let replaced: HashSet<String> =
            metas.iter().flat_map(|(_, m)| &m.compaction.parents).map(|p| p.ulid.clone()).collect();
        metas.retain(|(name, meta)| !replaced.contains(*name) && !meta.compaction.deletable);
        metas.sort_by_key(|(_, meta)| (meta.min_time, meta.max_time));
        let in_order = metas.iter().filter(|(_, meta)| !meta.is_from_out_of_order());
        let min_valid_t = in_order.map(|(_, meta)| meta.max_time).max().unwrap_or(i64::MIN);
        let mut blocks = Vec::with_capacity(metas.len());
        for (name, meta) in metas {
            blocks.push(Block::open(&dir.join(name), meta)?);
        }
        let (head, warnings) =
            if options.blocks_only { Default::default() } else { replay(dir, min_valid_t)? };
        Ok(Database::new(blocks, head, warnings))
    }
}

impl Queryable for Database {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        self.sources().boxed(matchers, start_ms, end_ms)
    }

    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.sources().label_values(name, matchers, (start_ms, end_ms)).map_err(QueryError::new)
    }

    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        self.sources().label_names(matchers, (start_ms, end_ms)).map_err(QueryError::new)
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        *self.range.get_or_init(|| {
            let blocks = self.blocks.iter().filter_map(|b| {
                // An index that cannot be read says so when it is queried; until then its `meta.json` holds.
                b.time_range().unwrap_or(Some((b.meta.min_time, b.meta.max_time.saturating_sub(1))))
            });
            blocks.chain(self.head.time_range()).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        })
    }

    fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
        self.head.metadata(metric).cloned()
    }

    fn exemplars(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> ExemplarsBySeries {
        self.sources().exemplars(matchers, start_ms, end_ms).map_err(QueryError::new)
    }
}
