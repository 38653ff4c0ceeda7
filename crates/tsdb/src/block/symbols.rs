//! The symbol table of an index: every string once. Invariant: a symbol's place was walked over when the table
//! was opened, so that looking one up cannot leave the table.

use crate::{buf::Decoder, error::Damage};

/// Where the symbols of a table are.
#[derive(Debug)]
pub(crate) struct Symbols {
    /// The offset in the index of each symbol's length, ascending.
    offsets: Vec<u32>,
    /// In version 1 a reference is an offset, in version 2 a position in the table.
    by_offset: bool,
}

impl Symbols {
    /// Walks over a table, whose `section` starts at `base` in the index.
    pub(crate) fn open(section: &[u8], base: usize, version: u8) -> Result<Self, Damage> {
        let mut d = Decoder::new(section);
        let count = d.be32()? as usize;
        if count > d.left() {
            return d.fail(format!("{count} symbols in {} bytes", d.left()));
        }
        let mut offsets = Vec::with_capacity(count);
        for _ in 0..count {
            match u32::try_from(base + d.at()) {
                Ok(offset) => offsets.push(offset),
                Err(_) => return d.fail("a symbol beyond the first 4 GiB"),
            }
            d.bytes()?;
        }
        Ok(Self { offsets, by_offset: version == 1 })
    }

    /// The symbol that `reference` stands for, from the whole index.
    pub(crate) fn get<'a>(&self, index: &'a [u8], reference: u64) -> Result<&'a str, Damage> {
        let offset = if self.by_offset {
            u32::try_from(reference).ok().filter(|r| self.offsets.binary_search(r).is_ok())
        } else {
            usize::try_from(reference).ok().and_then(|r| self.offsets.get(r)).copied()
        };
        let Some(offset) = offset.map(|o| o as usize) else {
            return Err(Damage::new(0, format!("symbol {reference}, of {}", self.offsets.len())));
        };
        let mut d = Decoder::new(index.get(offset..).unwrap_or(&[]));
        d.str().map_err(|damage| Damage::new(offset + damage.at, damage.what))
    }
}
