//! Where full chunks wait for their block. Invariant: what was put in comes back; up to a limit it stays in
//! memory, beyond it goes to a file.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    chunk::{Chunk, ChunkBytes, Encoding},
    error::{Context, Result},
    mmap::Mapped,
};

/// How much is kept in memory before it is written.
const BUFFER_BYTES: usize = 16 << 20;

/// A chunk in a spool.
pub(crate) struct Spooled {
    min_t: i64,
    max_t: i64,
    at: u64,
    length: u32,
    encoding: Encoding,
}

/// A spool that is being filled.
pub(crate) struct Spool {
    path: PathBuf,
    file: Option<File>,
    /// Bytes that are in the file.
    written: u64,
    buffer: Vec<u8>,
}

/// A spool that is read. On systems on which a file that is mapped keeps its name, it is removed with it.
pub(crate) struct FullSpool {
    path: PathBuf,
    bytes: SpoolBytes,
}

enum SpoolBytes {
    Memory(Vec<u8>),
    File(Arc<Mapped>),
}

impl Spool {
    pub(crate) fn new(dir: &Path) -> Self {
        // A name that no reader of a data directory looks at.
        let name = format!("{}.spool", ulid::Ulid::generate());
        Self { path: dir.join(name), file: None, written: 0, buffer: Vec::new() }
    }

    pub(crate) fn put(&mut self, chunk: &Chunk) -> Result<Spooled> {
        if self.buffer.len() + chunk.data.len() > BUFFER_BYTES {
            self.write()?;
        }
        let at = self.written + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&chunk.data);
        let length = chunk.data.len() as u32;
        Ok(Spooled { min_t: chunk.min_t, max_t: chunk.max_t, at, length, encoding: chunk.encoding })
    }

    fn write(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create_new(true).open(&self.path);
                self.file.insert(file.context("create", &self.path)?)
            }
        };
        file.write_all(&self.buffer).context("write", &self.path)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<FullSpool> {
        if self.file.is_some() {
            return self.finish_file();
        }
        let bytes = SpoolBytes::Memory(std::mem::take(&mut self.buffer));
        Ok(FullSpool { path: std::mem::take(&mut self.path), bytes })
    }

    /// The same, with everything in the file.
    pub(crate) fn finish_file(mut self) -> Result<FullSpool> {
        self.write()?;
        let file = Mapped::open(&self.path)?;
        // What is mapped needs no name, and so a process that is killed leaves none.
        #[cfg(unix)]
        std::fs::remove_file(&self.path).context("remove", &self.path)?;
        Ok(FullSpool { path: std::mem::take(&mut self.path), bytes: SpoolBytes::File(Arc::new(file)) })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.file.is_some() && !self.path.as_os_str().is_empty() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl FullSpool {
    pub(crate) fn get(&self, c: &Spooled) -> Chunk {
        let range = c.at as usize..c.at as usize + c.length as usize;
        let data = match &self.bytes {
            SpoolBytes::Memory(bytes) => ChunkBytes::Owned(Arc::from(&bytes[range])),
            SpoolBytes::File(file) => ChunkBytes::Mapped(Arc::clone(file), range),
        };
        Chunk { min_t: c.min_t, max_t: c.max_t, encoding: c.encoding, data }
    }

    /// Fails if what was read may not be what was put in.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.bytes {
            SpoolBytes::Memory(_) => Ok(()),
            SpoolBytes::File(file) => file.check().map_err(|damage| damage.in_file(&self.path, 0)),
        }
    }
}

#[cfg(not(unix))]
impl Drop for FullSpool {
    fn drop(&mut self) {
        if let SpoolBytes::File(_) = std::mem::replace(&mut self.bytes, SpoolBytes::Memory(Vec::new())) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}
