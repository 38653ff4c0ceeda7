//! A block's `index`. Invariant: sections are checked against their CRC-32C before they are used, and offsets
//! against the file's length.
//!
//! Magic 0xBAAAD700, version (one byte; 1, 2 and 3 are read), then symbols, series, label indices (unused),
//! postings, the postings offset table, and at the end a table of contents of six offsets with a checksum. A
//! series' reference is its offset divided by 16 (in version 1 the offset itself). Source: Prometheus
//! `tsdb/docs/format/index.md`, `tsdb/index/index.go` v3.5.3.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use assay_model::Labels;

use super::symbols::Symbols;
use crate::{
    buf::Decoder,
    error::{Damage, Result},
    mmap::Mapped,
    postings::Postings,
};

const MAGIC: u32 = 0xBAAA_D700;
const TOC_BYTES: usize = 6 * 8 + 4;

/// Where a chunk is, and when its samples are, both ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    pub(crate) min_t: i64,
    pub(crate) max_t: i64,
    pub(crate) reference: u64,
}

/// An index, mapped.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    map: Mapped,
    version: u8,
    symbols: Symbols,
    /// By label name: the offsets of the entries of the postings offset table, in order of their values.
    table: BTreeMap<Box<str>, Vec<u32>>,
}

/// An entry of the postings offset table.
struct Entry<'a> {
    name: &'a str,
    value: &'a str,
    postings: u64,
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::of(path, Mapped::open(path)?)
    }

    /// The index in these bytes; errors name `path`.
    pub(crate) fn of(path: &Path, map: Mapped) -> Result<Self> {
        let (version, symbols, table) = open(map.bytes()).map_err(|damage| damage.in_file(path, 0))?;
        Ok(Self { path: path.to_owned(), map, version, symbols, table })
    }

    fn located<T>(&self, result: Result<T, Damage>) -> Result<T> {
        result.map_err(|damage| damage.in_file(&self.path, 0))
    }

    /// The references of all series, in the order of their labels.
    pub(crate) fn all_ids(&self) -> Result<Vec<u32>> {
        self.ids_equal("", "")
    }

    fn ids_equal(&self, name: &str, value: &str) -> Result<Vec<u32>> {
        self.located(self.find(name, value).and_then(|found| match found {
            Some(entry) => postings_at(self.map.bytes(), entry.postings),
            None => Ok(Vec::new()),
        }))
    }

    /// The entry of a label's value.
    fn find(&self, name: &str, value: &str) -> Result<Option<Entry<'_>>, Damage> {
        let entries = self.table.get(name).map_or(&[][..], Vec::as_slice);
        let (mut low, mut high) = (0, entries.len());
        while low < high {
            let middle = low.midpoint(high);
            let entry = entry_at(self.map.bytes(), entries[middle])?;
            match entry.value.cmp(value) {
                Ordering::Equal => return Ok(Some(entry)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The label names that occur, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|name| &**name).filter(|name| !name.is_empty())
    }

    /// The values of a label that occur, sorted.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<&str>> {
        let entries = self.table.get(name).map_or(&[][..], Vec::as_slice);
        let values = entries.iter().map(|at| entry_at(self.map.bytes(), *at).map(|e| e.value)).collect();
        self.located(values).and_then(|values| self.whole(values))
    }

    /// What was read, if the file still had it.
    fn whole<T>(&self, read: T) -> Result<T> {
        self.located(self.map.check().map(|()| read))
    }

    /// The labels and chunks of a series.
    pub(crate) fn series(&self, id: u32) -> Result<(Labels, Vec<ChunkMeta>)> {
        self.located(self.read_series(id)).and_then(|series| self.whole(series))
    }

    /// The chunks of a series alone.
    pub(crate) fn series_chunks(&self, id: u32) -> Result<Vec<ChunkMeta>> {
        self.located(self.entry(id).and_then(|(mut d, base)| {
            let skipped = skip_labels(&mut d).and_then(|()| chunks(&mut d));
            skipped.map_err(|damage| Damage::new(base + damage.at, damage.what))
        }))
    }

    fn entry(&self, id: u32) -> Result<(Decoder<'_>, usize), Damage> {
        let offset = if self.version == 1 { id as usize } else { id as usize * 16 };
        let data = self.map.bytes();
        let Some(rest) = data.get(offset..) else {
            return Err(Damage::new(data.len(), format!("series {id} beyond the end, at offset {offset}")));
        };
        let mut d = Decoder::new(rest);
        let body = d.bytes().and_then(|body| {
            let want = d.be32()?;
            let got = crc32c::crc32c(body);
            if got == want { Ok(body) } else { d.fail(format!("checksum {got:08x}, expected {want:08x}")) }
        });
        let body =
            body.map_err(|damage| Damage::new(offset + damage.at, format!("series {id}: {}", damage.what)))?;
        let base = offset + d.at() - 4 - body.len();
        Ok((Decoder::new(body), base))
    }

    fn read_series(&self, id: u32) -> Result<(Labels, Vec<ChunkMeta>), Damage> {
        let (mut d, base) = self.entry(id)?;
        let at_base = |damage: Damage| Damage::new(base + damage.at, damage.what);
        let count = d.count(2).map_err(at_base)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, value) = (d.uvarint().map_err(at_base)?, d.uvarint().map_err(at_base)?);
            let symbol = |reference| {
                let found = self.symbols.get(self.map.bytes(), reference);
                found.map_err(|damage| if damage.at == 0 { Damage::new(base, damage.what) } else { damage })
            };
            pairs.push((symbol(name)?, symbol(value)?));
        }
        let ordered = pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, v)| !v.is_empty());
        let labels = if ordered { Labels::from_sorted(pairs) } else { Labels::from_pairs(pairs) };
        Ok((labels, chunks(&mut d).map_err(at_base)?))
    }
}

impl Postings for Index {
    fn all(&self) -> Result<Vec<u32>> {
        self.all_ids()
    }

    fn equal(&self, name: &str, value: &str) -> Result<Vec<u32>> {
        self.ids_equal(name, value)
    }

    fn matching(&self, name: &str, test: &dyn Fn(&str) -> bool) -> Result<Vec<u32>> {
        let data = self.map.bytes();
        let mut ids = Vec::new();
        for at in self.table.get(name).map_or(&[][..], Vec::as_slice) {
            let entry = self.located(entry_at(data, *at))?;
            if test(entry.value) {
                ids.extend(self.located(postings_at(data, entry.postings))?);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

type Opened = (u8, Symbols, BTreeMap<Box<str>, Vec<u32>>);

fn open(data: &[u8]) -> Result<Opened, Damage> {
    let mut head = Decoder::new(data);
    let (magic, version) = (head.be32()?, head.u8()?);
    if magic != MAGIC {
        return Err(Damage::new(0, format!("magic number {magic:08x}, expected {MAGIC:08x}")));
    }
    if !(1..=3).contains(&version) {
        return Err(Damage::new(4, format!("index version {version}, expected 1, 2 or 3")));
    }
    let Some(toc_at) = data.len().checked_sub(TOC_BYTES).filter(|at| *at >= 5) else {
        return Err(Damage::new(5, format!("{} bytes are too few for an index", data.len())));
    };
    let (toc, checksum) = data[toc_at..].split_at(TOC_BYTES - 4);
    let (want, got) = (Decoder::new(checksum).be32()?, crc32c::crc32c(toc));
    if want != got {
        let what = format!("the table of contents has checksum {got:08x}, expected {want:08x}");
        return Err(Damage::new(toc_at, what));
    }
    let offset = |i: usize| Decoder::new(&toc[i * 8..]).be64();
    let (base, section) = section(data, offset(0)?)?;
    let symbols =
        Symbols::open(section, base, version).map_err(|damage| Damage::new(base + damage.at, damage.what))?;
    Ok((version, symbols, read_table(data, offset(5)?, version)?))
}

/// A section at `offset`: its length (four bytes), its content, the content's CRC-32C.
fn section(data: &[u8], offset: u64) -> Result<(usize, &[u8]), Damage> {
    let Some(at) = usize::try_from(offset).ok().filter(|at| *at < data.len()) else {
        return Err(Damage::new(data.len(), format!("a section at {offset}, beyond the end of the file")));
    };
    let mut d = Decoder::new(&data[at..]);
    let body = d.be32().and_then(|length| d.take(length as usize)).and_then(|body| {
        let (want, got) = (d.be32()?, crc32c::crc32c(body));
        if want == got { Ok(body) } else { d.fail(format!("checksum {got:08x}, expected {want:08x}")) }
    });
    let body = body.map_err(|damage| Damage::new(at + damage.at, damage.what))?;
    Ok((at + 4, body))
}

fn read_table(data: &[u8], offset: u64, version: u8) -> Result<BTreeMap<Box<str>, Vec<u32>>, Damage> {
    let mut table: BTreeMap<Box<str>, Vec<u32>> = BTreeMap::new();
    if offset == 0 {
        return Ok(table);
    }
    let (base, body) = section(data, offset)?;
    let located = |damage: Damage| Damage::new(base + damage.at, damage.what);
    let mut d = Decoder::new(body);
    let count = d.be32().map_err(located)?;
    let mut run: Option<(&str, Vec<u32>)> = None;
    for _ in 0..count {
        let Ok(at) = u32::try_from(base + d.at()) else {
            return Err(located(Damage::new(d.at(), "an entry beyond the first 4 GiB")));
        };
        let entry = entry(&mut d).map_err(located)?;
        match &mut run {
            Some((name, offsets)) if *name == entry.name => offsets.push(at),
            _ => {
                if let Some((name, offsets)) = run.replace((entry.name, vec![at])) {
                    table.entry(name.into()).or_default().extend(offsets);
                }
            }
        }
    }
    if let Some((name, offsets)) = run {
        table.entry(name.into()).or_default().extend(offsets);
    }
    if version == 1 {
        // Version 1 does not promise an order.
        for offsets in table.values_mut() {
            offsets.sort_by_key(|at| entry_at(data, *at).map_or("", |e| e.value));
        }
    }
    Ok(table)
}

fn entry<'a>(d: &mut Decoder<'a>) -> Result<Entry<'a>, Damage> {
    let start = d.at();
    let keys = d.uvarint()?;
    if keys != 2 {
        return Err(Damage::new(start, format!("an entry of {keys} strings, expected 2")));
    }
    Ok(Entry { name: d.str()?, value: d.str()?, postings: d.uvarint()? })
}

fn entry_at(data: &[u8], at: u32) -> Result<Entry<'_>, Damage> {
    entry(&mut Decoder::new(data.get(at as usize..).unwrap_or(&[])))
}

fn postings_at(data: &[u8], offset: u64) -> Result<Vec<u32>, Damage> {
    let (base, body) = section(data, offset)?;
    // A length of zero has a checksum of zero, so a hole in the file looks like an empty section.
    let Some((count, list)) = body.split_first_chunk::<4>() else {
        return Err(Damage::new(base, "postings without their count"));
    };
    let count = u32::from_be_bytes(*count) as usize;
    if list.len() != count.saturating_mul(4) {
        return Err(Damage::new(base, format!("{count} postings in {} bytes", list.len())));
    }
    Ok(list.as_chunks::<4>().0.iter().map(|b| u32::from_be_bytes(*b)).collect())
}

fn skip_labels(d: &mut Decoder<'_>) -> Result<(), Damage> {
    for _ in 0..d.count(2)? {
        d.uvarint()?;
        d.uvarint()?;
    }
    Ok(())
}

fn chunks(d: &mut Decoder<'_>) -> Result<Vec<ChunkMeta>, Damage> {
    let count = d.count(3)?;
    let mut list: Vec<ChunkMeta> = Vec::with_capacity(count);
    for _ in 0..count {
        let (min_t, max_t, reference) = match list.last() {
            None => {
                let min_t = d.varint()?;
                (min_t, min_t.wrapping_add(d.uvarint()? as i64), d.uvarint()?)
            }
            Some(last) => {
                let min_t = last.max_t.wrapping_add(d.uvarint()? as i64);
                let max_t = min_t.wrapping_add(d.uvarint()? as i64);
                (min_t, max_t, last.reference.wrapping_add_signed(d.varint()?))
            }
        };
        list.push(ChunkMeta { min_t, max_t, reference });
    }
    Ok(list)
}
