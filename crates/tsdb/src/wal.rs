//! The write-ahead log, its checkpoints and its out-of-order sibling (`wal/`, `wal/checkpoint.N/`, `wbl/`).
//! Invariant: what was read before damage is kept, and damage is reported with its place.
//!
//! A log is a list of segment files named by eight digits. A segment is a list of pages of 32 KiB, of which only
//! a segment's last one may be short. A page holds fragments of records, each with a header of 7 bytes: a type
//! byte, the fragment's length (2 bytes), and the CRC-32C of its data (4 bytes). A type byte of 0 ends the
//! page. Source: Prometheus `tsdb/docs/format/wal.md`, `tsdb/wlog` v3.5.3.

pub(crate) mod encode;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod segments;
pub(crate) mod writer;

/// The size of a page in bytes.
pub(crate) const PAGE: usize = 32 * 1024;
/// The size of a fragment's header in bytes.
pub(crate) const HEADER: usize = 7;

/// The kinds of fragments, in the low three bits of the type byte.
pub(crate) mod fragment {
    /// The rest of the page is empty.
    pub(crate) const PAGE_END: u8 = 0;
    /// A whole record.
    pub(crate) const FULL: u8 = 1;
    /// The first fragment of a record.
    pub(crate) const FIRST: u8 = 2;
    /// One between the first and the last.
    pub(crate) const MIDDLE: u8 = 3;
    /// The last fragment of a record.
    pub(crate) const LAST: u8 = 4;
    /// The bits of the kind.
    pub(crate) const KIND: u8 = 0b0111;
    /// Set where the record is compressed with snappy.
    pub(crate) const SNAPPY: u8 = 0b0000_1000;
    /// Set where the record is compressed with zstd.
    pub(crate) const ZSTD: u8 = 0b0001_0000;
}

/// How the records of a log are compressed. A record that does not shrink is stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy, which is what Prometheus does unless told otherwise.
    #[default]
    Snappy,
    /// Zstandard.
    Zstd,
}
