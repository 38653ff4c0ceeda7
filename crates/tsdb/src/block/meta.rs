//! `meta.json`. Invariant: what we write is what Prometheus 3.5.3 writes, keys in its order; unknown keys are
//! read over.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

/// What a block's `meta.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// The block's name, a ULID.
    pub ulid: String,
    /// The time of the first sample, in milliseconds since the Unix epoch, or less.
    #[serde(rename = "minTime")]
    pub min_time: i64,
    /// More than the time of the last sample.
    #[serde(rename = "maxTime")]
    pub max_time: i64,
    /// How much is in it.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it came from.
    #[serde(default)]
    pub compaction: Compaction,
    /// The version of this format, which is 1.
    pub version: u32,
}

/// How much a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStats {
    /// Samples of all kinds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Series.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// How a block came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// How many compactions it went through at most.
    pub level: u32,
    /// The first blocks of its ancestry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Whether it is empty and waits for its deletion.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletable: bool,
    /// The blocks that it replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// Whether its last compaction failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Such as `from-out-of-order`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block that another one replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its name.
    pub ulid: String,
    /// As in [`BlockMeta`].
    #[serde(rename = "minTime", default)]
    pub min_time: i64,
    /// As in [`BlockMeta`].
    #[serde(rename = "maxTime", default)]
    pub max_time: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl BlockMeta {
    /// Reads a block's `meta.json`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).context("read", path)?;
        let meta: Self = serde_json::from_slice(&text).map_err(|e| {
            let line_start = text.split_inclusive(|b| *b == b'\n').take(e.line().saturating_sub(1));
            let offset = line_start.map(<[u8]>::len).sum::<usize>() + e.column().saturating_sub(1);
            Error::Corrupt { path: path.to_owned(), offset: offset as u64, what: e.to_string().into() }
        })?;
        if meta.version != 1 {
            let what = format!("version {}, expected 1", meta.version).into();
            return Err(Error::Corrupt { path: path.to_owned(), offset: 0, what });
        }
        Ok(meta)
    }

    /// Whether the block was made of samples that came out of order.
    pub(crate) fn is_from_out_of_order(&self) -> bool {
        self.compaction.hints.iter().any(|h| h == "from-out-of-order")
    }

    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, format);
        // Nothing in it can fail to serialise: strings and numbers only.
        self.serialize(&mut serializer).ok();
        String::from_utf8_lossy(&out).into_owned()
    }
}
