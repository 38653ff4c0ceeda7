//! Writes an index, version 2. Invariant: series come sorted by their labels, and every string of theirs is in
//! the symbol table that was written first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use assay_model::Labels;

use super::index::ChunkMeta;
use crate::{
    buf::{put_be32, put_be64, put_uvarint, put_varint},
    error::{Context, Error, Result},
};

const HEADER: [u8; 5] = [0xBA, 0xAA, 0xD7, 0x00, 2];

/// An index that is being written.
pub(crate) struct IndexWriter {
    path: PathBuf,
    out: BufWriter<File>,
    at: u64,
    symbols: HashMap<Box<str>, u32>,
    /// The symbols in order, so that a position gives the string.
    names: Vec<Box<str>>,
    /// By name and value, as symbols: the series that have it.
    postings: BTreeMap<(u32, u32), Vec<u32>>,
    all: Vec<u32>,
    series_at: u64,
    scratch: Vec<u8>,
}

impl IndexWriter {
    /// Starts an index whose series use `symbols` and no other strings.
    pub(crate) fn create(path: &Path, symbols: &BTreeSet<&str>) -> Result<Self> {
        let file = File::create(path).context("create", path)?;
        let mut writer = Self {
            path: path.to_owned(),
            out: BufWriter::with_capacity(1 << 18, file),
            at: 0,
            symbols: symbols.iter().zip(0..).map(|(s, i)| (Box::from(*s), i)).collect(),
            names: symbols.iter().map(|s| Box::from(*s)).collect(),
            postings: BTreeMap::new(),
            all: Vec::new(),
            series_at: 0,
            scratch: Vec::new(),
        };
        writer.put(&HEADER)?;
        let mut table = Vec::new();
        put_be32(&mut table, symbols.len() as u32);
        for symbol in symbols {
            crate::buf::put_str(&mut table, symbol);
        }
        writer.section(&table)?;
        writer.series_at = writer.at;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).context("write", &self.path)
    }

    fn pad_to(&mut self, align: u64) -> Result<()> {
        let rest = (align - self.at % align) % align;
        self.put(&[0; 16][..rest as usize])
    }

    /// A section: length, content, checksum.
    fn section(&mut self, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len()).map_err(|_| self.too_large("a section of more than 4 GiB"))?;
        self.put(&length.to_be_bytes())?;
        self.put(body)?;
        self.put(&crc32c::crc32c(body).to_be_bytes())
    }

    fn too_large(&self, what: &'static str) -> Error {
        Error::Corrupt { path: self.path.clone(), offset: self.at, what: what.into() }
    }

    /// Adds the next series.
    pub(crate) fn series(&mut self, labels: &Labels, chunks: &[ChunkMeta]) -> Result<()> {
        self.pad_to(16)?;
        let id = u32::try_from(self.at / 16)
            .map_err(|_| self.too_large("more series than 64 GiB of index hold"))?;
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        put_uvarint(&mut body, labels.len() as u64);
        for (name, value) in labels {
            let (Some(name), Some(value)) = (self.symbols.get(name), self.symbols.get(value)) else {
                return Err(self.too_large("a label that is not in the symbol table"));
            };
            put_uvarint(&mut body, u64::from(*name));
            put_uvarint(&mut body, u64::from(*value));
            self.postings.entry((*name, *value)).or_default().push(id);
        }
        put_chunks(&mut body, chunks);
        let mut length = Vec::with_capacity(5);
        put_uvarint(&mut length, body.len() as u64);
        self.put(&length)?;
        self.put(&body)?;
        self.put(&crc32c::crc32c(&body).to_be_bytes())?;
        self.all.push(id);
        self.scratch = body;
        Ok(())
    }

    /// Writes postings and tables and makes the file durable.
    pub(crate) fn finish(mut self) -> Result<()> {
        let postings_at = self.at;
        let mut table = Vec::new();
        let all = std::mem::take(&mut self.all);
        let postings = std::mem::take(&mut self.postings);
        put_be32(&mut table, postings.len() as u32 + 1);
        let entry = |table: &mut Vec<u8>, name: &str, value: &str, at: u64| {
            table.push(2);
            crate::buf::put_str(table, name);
            crate::buf::put_str(table, value);
            put_uvarint(table, at);
        };
        // The empty name and value stand for all series.
        let at = self.postings(&all)?;
        entry(&mut table, "", "", at);
        for ((name, value), ids) in postings {
            let at = self.postings(&ids)?;
            entry(&mut table, &self.names[name as usize], &self.names[value as usize], at);
        }
        self.pad_to(4)?;
        // Label indices are no longer read by anyone; an empty table of them keeps old tools content.
        let label_table_at = self.at;
        self.section(&0u32.to_be_bytes())?;
        let postings_table_at = self.at;
        self.section(&table)?;
        let mut toc = Vec::new();
        for at in [5, self.series_at, postings_at, label_table_at, postings_at, postings_table_at] {
            put_be64(&mut toc, at);
        }
        let checksum = crc32c::crc32c(&toc);
        put_be32(&mut toc, checksum);
        self.put(&toc)?;
        self.out.flush().context("write", &self.path)?;
        self.out.get_ref().sync_all().context("sync", &self.path)
    }

    fn postings(&mut self, ids: &[u32]) -> Result<u64> {
        self.pad_to(4)?;
        let at = self.at;
        let mut body = Vec::with_capacity(4 + ids.len() * 4);
        put_be32(&mut body, ids.len() as u32);
        for id in ids {
            put_be32(&mut body, *id);
        }
        self.section(&body)?;
        Ok(at)
    }
}

fn put_chunks(out: &mut Vec<u8>, chunks: &[ChunkMeta]) {
    put_uvarint(out, chunks.len() as u64);
    let mut last: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match last {
            None => {
                put_varint(out, chunk.min_t);
                put_uvarint(out, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
                put_uvarint(out, chunk.reference);
            }
            Some(last) => {
                put_uvarint(out, chunk.min_t.wrapping_sub(last.max_t) as u64);
                put_uvarint(out, chunk.max_t.wrapping_sub(chunk.min_t) as u64);
                put_varint(out, chunk.reference.wrapping_sub(last.reference) as i64);
            }
        }
        last = Some(chunk);
    }
}
