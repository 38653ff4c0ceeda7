//! `chunks/NNNNNN`: the chunks of a block. Invariant: a chunk is handed out only if its checksum holds.
//!
//! Magic 0x85BD40DD, version 1, three zeros; then chunks of length (uvarint), encoding (one byte), data, and
//! the CRC-32C of encoding and data. A reference is the file's number from 0 in the upper four bytes and the
//! offset in it in the lower four. Source: Prometheus `tsdb/docs/format/chunks.md`, `tsdb/chunks/chunks.go`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    buf::{Decoder, put_uvarint},
    chunk::{Chunk, Encoding},
    error::{Context, Damage, Error, Result},
    mmap::Mapped,
    wal::segments,
};

const HEADER: [u8; 8] = [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0];
const FILE_BYTES: u64 = 512 * 1024 * 1024;

/// The chunk files of a block, mapped.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    files: Vec<(PathBuf, Mapped)>,
    dir: PathBuf,
}

impl ChunkFiles {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for segment in segments::list(dir)? {
            let map = Mapped::open(&segment.path)?;
            let head = map.bytes();
            if head.len() < HEADER.len() || head[..4] != HEADER[..4] || head[4] != HEADER[4] {
                let what = "expected the magic number 85bd40dd and version 1";
                return Err(Damage::new(0, what).in_file(&segment.path, 0));
            }
            files.push((segment.path, map));
        }
        Ok(Self { files, dir: dir.to_owned() })
    }

    /// The encoding and data of a chunk.
    pub(crate) fn get(&self, reference: u64) -> Result<(Encoding, &[u8])> {
        let (file, offset) = (reference >> 32, (reference & 0xffff_ffff) as usize);
        let Some((path, map)) = usize::try_from(file).ok().and_then(|i| self.files.get(i)) else {
            let what =
                format!("the index points to chunk file {}, expected 1 to {}", file + 1, self.files.len());
            return Err(Error::Directory { path: self.dir.clone(), what: what.into() });
        };
        chunk_at(map.bytes(), offset).map_err(|damage| damage.in_file(path, offset as u64))
    }

    /// Fails where a file has been shortened since it was opened.
    pub(crate) fn check(&self) -> Result<()> {
        self.files.iter().try_for_each(|(path, map)| map.check().map_err(|damage| damage.in_file(path, 0)))
    }

    /// Names the place of a chunk whose data turned out to be damaged.
    pub(crate) fn locate(&self, reference: u64, damage: Damage) -> Error {
        let path = self.files.get((reference >> 32) as usize).map_or(&self.dir, |(path, _)| path);
        damage.in_file(path, reference & 0xffff_ffff)
    }
}

fn chunk_at(data: &[u8], offset: usize) -> Result<(Encoding, &[u8]), Damage> {
    let Some(rest) = data.get(offset..).filter(|_| offset >= HEADER.len()) else {
        return Err(Damage::new(0, format!("the index points here, expected 8 to {}", data.len())));
    };
    let mut d = Decoder::new(rest);
    let length = d.count(1)?;
    let body = d.take(length.saturating_add(1))?;
    let want = d.be32()?;
    let got = crc32c::crc32c(body);
    if got != want {
        return Err(Damage::new(0, format!("a chunk's checksum is {got:08x}, expected {want:08x}")));
    }
    Ok((Encoding::from_byte(body[0])?, &body[1..]))
}

/// Writes the chunk files of a block.
pub(crate) struct ChunkFilesWriter {
    dir: PathBuf,
    /// The path, the file, and how much is in it.
    current: Option<(PathBuf, BufWriter<File>, u64)>,
    files: u64,
    scratch: Vec<u8>,
}

impl ChunkFilesWriter {
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).context("create", dir)?;
        Ok(Self { dir: dir.to_owned(), current: None, files: 0, scratch: Vec::new() })
    }

    /// Writes a chunk and returns its reference.
    pub(crate) fn put(&mut self, chunk: &Chunk) -> Result<u64> {
        self.scratch.clear();
        put_uvarint(&mut self.scratch, chunk.data.len() as u64);
        let start = self.scratch.len();
        self.scratch.push(chunk.encoding.byte());
        self.scratch.extend_from_slice(&chunk.data);
        let checksum = crc32c::crc32c(&self.scratch[start..]);
        self.scratch.extend_from_slice(&checksum.to_be_bytes());
        if self.current.as_ref().is_some_and(|(_, _, n)| n + self.scratch.len() as u64 > FILE_BYTES) {
            self.close()?;
        }
        if self.current.is_none() {
            self.files += 1;
            let path = self.dir.join(format!("{:06}", self.files));
            let mut file = BufWriter::with_capacity(1 << 18, File::create(&path).context("create", &path)?);
            file.write_all(&HEADER).context("write", &path)?;
            self.current = Some((path, file, HEADER.len() as u64));
        }
        let Some((path, file, length)) = &mut self.current else { unreachable!("opened above") };
        let reference = ((self.files - 1) << 32) | *length;
        file.write_all(&self.scratch).context("write", path)?;
        *length += self.scratch.len() as u64;
        Ok(reference)
    }

    /// Makes the last file durable.
    pub(crate) fn close(&mut self) -> Result<()> {
        if let Some((path, mut file, _)) = self.current.take() {
            file.flush().context("write", &path)?;
            file.get_ref().sync_all().context("sync", &path)?;
        }
        Ok(())
    }
}
