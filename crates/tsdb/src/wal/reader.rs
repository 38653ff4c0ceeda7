//! Reads the records of one segment. Invariant: a record is returned only if every fragment's checksum holds;
//! the first damage ends the segment, and is returned with its offset.

use std::io::Read;

use super::{HEADER, PAGE, fragment};
use crate::error::Damage;

/// A record may be split over the pages of one segment; this bounds what a forged length of compressed data
/// can make us allocate.
const MOST_RECORD_BYTES: usize = 256 * 1024 * 1024;
/// Snappy's longest copy makes 64 bytes of 2.
const MOST_SNAPPY_RATIO: usize = 64;

/// Reads forward through a segment's bytes.
pub(crate) struct RecordReader<'a> {
    data: &'a [u8],
    at: usize,
    record: Vec<u8>,
    decompressed: Vec<u8>,
}

impl<'a> RecordReader<'a> {
    /// A reader that starts `offset` bytes into the segment.
    pub(crate) fn new(data: &'a [u8], offset: usize) -> Self {
        Self { data, at: offset.min(data.len()), record: Vec::new(), decompressed: Vec::new() }
    }

    /// Where the next record starts, which after an error is where the damaged one does.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// The next record, or `None` at the end of the segment. After an error the reader is of no more use.
    pub(crate) fn next(&mut self) -> Option<Result<&[u8], Damage>> {
        let start = self.at;
        self.record.clear();
        let mut fragments = 0;
        loop {
            let type_byte = match self.skip_padding() {
                Ok(Some(byte)) => byte,
                Ok(None) if fragments == 0 => return None,
                Ok(None) => return Some(Err(torn(start, "a record ends before its last fragment"))),
                Err(damage) => return Some(Err(damage)),
            };
            let at = self.at;
            let data = match self.fragment() {
                Ok(data) => data,
                Err(damage) => return Some(Err(damage)),
            };
            let kind = type_byte & fragment::KIND;
            if let Err(damage) = check_order(kind, fragments, at) {
                return Some(Err(damage));
            }
            if self.record.len() + data.len() > MOST_RECORD_BYTES {
                return Some(Err(torn(start, "a record of more than 256 MiB")));
            }
            self.record.extend_from_slice(data);
            fragments += 1;
            if matches!(kind, fragment::FULL | fragment::LAST) {
                return Some(self.decompress(type_byte, start));
            }
        }
    }

    /// Skips the rest of pages that end early and returns the next type byte without consuming it.
    fn skip_padding(&mut self) -> Result<Option<u8>, Damage> {
        loop {
            let Some(byte) = self.data.get(self.at).copied() else { return Ok(None) };
            if byte & fragment::KIND != fragment::PAGE_END {
                return Ok(Some(byte));
            }
            let page_end = (self.at / PAGE + 1) * PAGE;
            let rest = &self.data[self.at..page_end.min(self.data.len())];
            if let Some(i) = rest.iter().position(|b| *b != 0) {
                return Err(Damage::new(self.at + i, "expected zeros up to the end of the page"));
            }
            self.at += rest.len();
        }
    }

    fn fragment(&mut self) -> Result<&'a [u8], Damage> {
        let at = self.at;
        let page_end = (at / PAGE + 1) * PAGE;
        let page = &self.data[at..page_end.min(self.data.len())];
        let Some(header) = page.first_chunk::<HEADER>() else {
            return Err(torn(at, format!("expected a fragment header of 7 bytes, found {}", page.len())));
        };
        let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let want = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        let Some(data) = page.get(HEADER..HEADER + length) else {
            let room = page.len() - HEADER;
            return Err(torn(at, format!("a fragment of {length} bytes where {room} are left")));
        };
        let got = crc32c::crc32c(data);
        if got != want {
            return Err(torn(at, format!("a fragment's checksum is {got:08x}, expected {want:08x}")));
        }
        self.at += HEADER + length;
        Ok(data)
    }

    fn decompress(&mut self, type_byte: u8, start: usize) -> Result<&[u8], Damage> {
        if type_byte & fragment::SNAPPY != 0 {
            let length = snap::raw::decompress_len(&self.record).map_err(|e| torn(start, e.to_string()))?;
            check_length(length, self.record.len(), start)?;
            self.decompressed.resize(length, 0);
            let mut decoder = snap::raw::Decoder::new();
            let n = decoder
                .decompress(&self.record, &mut self.decompressed)
                .map_err(|e| torn(start, e.to_string()))?;
            self.decompressed.truncate(n);
            return Ok(&self.decompressed);
        }
        if type_byte & fragment::ZSTD != 0 {
            self.decompressed.clear();
            let frames = zstd::stream::read::Decoder::new(&self.record[..]);
            let n =
                frames.and_then(|d| d.take(MOST_RECORD_BYTES as u64 + 1).read_to_end(&mut self.decompressed));
            let n = n.map_err(|e| torn(start, format!("a zstd record: {e}")))?;
            if n > MOST_RECORD_BYTES {
                return Err(torn(start, "a zstd record of more than 256 MiB"));
            }
            return Ok(&self.decompressed);
        }
        Ok(&self.record)
    }
}

fn check_length(length: usize, compressed: usize, start: usize) -> Result<(), Damage> {
    if length > MOST_RECORD_BYTES || length > compressed.saturating_mul(MOST_SNAPPY_RATIO) {
        return Err(torn(start, format!("{compressed} compressed bytes that claim to be {length}")));
    }
    Ok(())
}

fn check_order(kind: u8, fragments: usize, at: usize) -> Result<(), Damage> {
    let fits = match kind {
        fragment::FULL | fragment::FIRST => fragments == 0,
        fragment::MIDDLE | fragment::LAST => fragments > 0,
        _ => return Err(torn(at, format!("fragment kind {kind}, expected 0 to 4"))),
    };
    if fits {
        Ok(())
    } else {
        Err(torn(at, format!("fragment kind {kind} as number {fragments} of a record")))
    }
}

fn torn(at: usize, what: impl Into<std::borrow::Cow<'static, str>>) -> Damage {
    Damage::new(at, what)
}
