//! Files mapped into memory. Invariant: the mapping is read-only, every access goes through a slice whose length was
//! the file's length when it was mapped, and a file that is shortened meanwhile reads as zeros and is reported.
#![allow(unsafe_code)]

#[cfg(unix)]
mod guard;

use std::{fs::File, path::Path};

use crate::error::{Context, Damage, Result};

/// A file's bytes, mapped. An empty file is an empty slice.
#[derive(Debug)]
pub(crate) struct Mapped {
    bytes: Bytes,
    /// Another handle on the file, to see whether it has been shortened.
    file: Option<File>,
}

#[derive(Debug)]
enum Bytes {
    File(Mapping),
    Memory(Vec<u8>),
}

#[derive(Debug)]
struct Mapping {
    // Dropped first: afterwards nobody looks at the mapping.
    #[cfg(unix)]
    guard: guard::Guard,
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps a whole file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).context("open", path)?;
        let length = file.metadata().context("stat", path)?.len();
        if length == 0 {
            return Ok(Self { bytes: Bytes::Memory(Vec::new()), file: None });
        }
        // SAFETY: nobody writes through the mapping, and bytes that others change under it are only ever read as
        // bytes: every length in them is checked before use. Prometheus never shortens or rewrites a block, a chunk
        // file or a closed segment in place; where somebody else does, the guard puts zeros in place of what is gone.
        let map = unsafe { memmap2::Mmap::map(&file) }.context("map", path)?;
        #[cfg(unix)]
        let guard = guard::Guard::new(&map);
        let mapping = Mapping {
            #[cfg(unix)]
            guard,
            map,
        };
        Ok(Self { bytes: Bytes::File(mapping), file: Some(file) })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::File(mapping) => &mapping.map,
            Bytes::Memory(bytes) => bytes,
        }
    }

    /// Fails where the file has been shortened since it was mapped, so that what was read may have been zeros.
    pub(crate) fn check(&self) -> Result<(), Damage> {
        let (Some(file), Bytes::File(mapping)) = (&self.file, &self.bytes) else { return Ok(()) };
        let now = file.metadata().map_or(0, |m| m.len());
        #[cfg(unix)]
        let is_whole = now >= mapping.map.len() as u64 && !mapping.guard.has_faulted();
        #[cfg(not(unix))]
        let is_whole = now >= mapping.map.len() as u64;
        if is_whole {
            return Ok(());
        }
        let what = format!("the file was shortened while it was read, from {} bytes", mapping.map.len());
        Err(Damage::new(usize::try_from(now).unwrap_or(0), what))
    }

    /// Bytes that are in no file.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Memory(bytes), file: None }
    }
}
