//! Files mapped into memory. Invariant: the mapping is read-only, and every access goes through a slice whose
//! length was the file's length when it was mapped.
#![allow(unsafe_code)]

use std::{fs::File, path::Path};

use crate::error::{Context, Result};

/// A file's bytes, mapped. An empty file is an empty slice.
#[derive(Debug)]
pub(crate) enum Mapped {
    File(memmap2::Mmap),
    Memory(Vec<u8>),
}

impl Mapped {
    /// Maps a whole file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).context("open", path)?;
        let length = file.metadata().context("stat", path)?.len();
        if length == 0 {
            return Ok(Self::Memory(Vec::new()));
        }
        // SAFETY: Prometheus never shortens or rewrites a block, a chunk file or a closed segment in place: it
        // appends, or it removes the file, which leaves the mapping whole. Bytes that are appended or change
        // under a live server are only ever read as bytes, and every length in them is checked before use.
        let map = unsafe { memmap2::Mmap::map(&file) }.context("map", path)?;
        Ok(Self::File(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::File(map) => map,
            Self::Memory(bytes) => bytes,
        }
    }

    /// Bytes that are in no file.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes)
    }
}
