//! Prometheus data directories, read and written, bit for bit.
//!
//! [`Database`] opens whatever a Prometheus of today leaves on disk, without a server: blocks, overlapping ones
//! too, and what the server had in memory. [`Head`] records into a directory that Prometheus and promtool open
//! as their own at any moment, and turns it into one block at the end. [`BlockWriter`] makes a block from
//! samples in any order.
//!
//! ```
//! use assay_model::{Column, Labels, Matcher, Queryable};
//! use assay_tsdb::{Database, Head, HeadOptions, OpenOptions};
//!
//! let dir = tempfile::tempdir()?;
//! let mut head = Head::create(dir.path(), HeadOptions::default())?;
//! let up = Labels::from_pairs([("__name__", "up"), ("job", "shop")]);
//! head.append(&up, 1_700_000_000_000, 1.0)?;
//! head.append(&up, 1_700_000_015_000, 0.0)?;
//! head.commit()?; // From here on a kill loses nothing.
//! head.finish()?; // One block; the log keeps exemplars and metadata only.
//!
//! let db = Database::open(dir.path(), OpenOptions::default())?;
//! let mut column = Column::default();
//! for series in db.select(&[Matcher::equal("job", "shop")], 0, i64::MAX)? {
//!     series.read(0, i64::MAX, &mut column)?;
//! }
//! assert_eq!(column.values, [1.0, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a directory holds
//!
//! ```text
//! 01M84C…/                  a block, named by a ULID
//!   meta.json               its range of time [minTime, maxTime), its counts, what it was made from
//!   index                   series, their labels and chunks; postings
//!   chunks/000001 …         the chunks
//!   tombstones              what was deleted
//! wal/00000000 …            the log; wal/checkpoint.N/ replaces its segments up to N
//! wbl/00000000 …            the log of samples that came out of order
//! chunks_head/000001 …      full chunks of series that are still in memory
//! chunk_snapshot.N.M/       memory at a shutdown, up to offset M of the log's segment N
//! ```
//!
//! Numbers are big-endian; `uvarint` and `varint` are LEB128, the latter zigzag; every CRC is CRC-32C.
//!
//! ```text
//! index        BAAAD700 version(1)  symbols  series …  postings …  postings table  table of contents
//!   symbols    len(4) count(4) {uvarint len, bytes}… crc(4)                   sorted
//!   series     at multiples of 16: uvarint len, uvarint labels {uvarint name, uvarint value}…
//!              uvarint chunks {varint minT, uvarint maxT - minT, uvarint ref}, then differences; crc(4)
//!   postings   len(4) count(4) {series / 16 (4)}… crc(4)                      ascending
//!   table      len(4) count(4) {2, name, value, uvarint offset}… crc(4)       sorted; "" "" is all series
//!   contents   six offsets (8 each): symbols, series, label indices, their table, postings, table; crc(4)
//! chunks       85BD40DD 01 000000  {uvarint len, encoding(1), data, crc(4)}…
//! chunk data   1  count(2) varint t, v(8); uvarint Δt, xor v; then ΔΔt in 1, 16, 20, 24 or 68 bits, xor v
//!              2  count(2) flags(1) layout; t, count, zero count, sum(64 bits), buckets; then differences of
//!                 differences, and the sum as an xor
//!              3  the same with float counts, each an xor with the one before
//! tombstones   0130BA30 01  {uvarint series, varint minT, varint maxT}… crc(4)
//! chunks_head  0130BC91 01 000000  {series(8) minT(8) maxT(8) encoding(1) uvarint len, data, crc(4)}…
//! log          pages of 32 KiB: {type(1) len(2) crc(4) data}…; type: 0 rest of the page is empty, 1 whole
//!              record, 2 first, 3 middle, 4 last fragment; + 8 snappy, + 16 zstd
//! records      1 series, 2 samples, 3 tombstones, 4 exemplars, 5 mapped chunks, 6 metadata, 7 and 8 integer
//!              and float histograms, 9 and 10 the same with custom buckets
//! ```
//!
//! Source: Prometheus `tsdb/docs/format/*.md` and the code next to it, v3.5.3. Where the two differ the code is
//! right: a log's segments have eight digits, and a log without a checkpoint begins with segment 0.
//!
//! # What holds
//!
//! - Samples come back bit for bit, NaN payloads and stale markers included. Integer histograms are kept as
//!   such and come back as the floats that PromQL computes with.
//! - Where several sources have a sample at one time, the block that starts first is believed, then memory.
//! - Samples of the log that are older than the end of the last block are skipped, as Prometheus skips them:
//!   they are in the block, or were deleted from it.
//! - Damage is an error that names file and offset. A log's torn end, damaged head chunks and a damaged
//!   snapshot are [warnings](Database::warnings), and what comes before them is read, as Prometheus does.
//! - Chunk encodings 4 to 6, which Prometheus 3.13 writes only when told to, are refused by name.

mod bits;
mod block;
mod buf;
mod chunk;
mod db;
mod encode;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod import;
mod mmap;
mod postings;
mod wal;

pub use block::meta::{BlockMeta, BlockStats, Compaction, Parent};
pub use db::{Database, OpenOptions, Warning};
pub use encode::{EncodedChunk, encode};
pub use error::{Error, OpenError};
pub use head::{Head, HeadOptions, HeadSnapshot, HeadStats, Sync};
pub use import::{BlockWriter, SeriesRef};
pub use wal::Compression;
