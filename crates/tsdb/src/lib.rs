//! Prometheus data directories, read and written.

mod bits;
mod block;
mod buf;
mod chunk;
mod db;
mod error;
mod head;
mod import;
mod mmap;
mod postings;
mod wal;

pub use block::meta::{BlockMeta, BlockStats, Compaction, Parent};
pub use db::{Database, OpenOptions, Warning};
pub use error::{Error, OpenError};
pub use head::{Head, HeadOptions, HeadSnapshot, HeadStats, Sync};
pub use import::{BlockWriter, SeriesRef};
pub use wal::Compression;
