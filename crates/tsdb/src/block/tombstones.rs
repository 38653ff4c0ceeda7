//! `tombstones`: which times of which series were deleted. Invariant: intervals have both ends in, and those
//! of a series are sorted and do not touch.
//!
//! Magic 0x0130BA30, version 1 (one byte), entries of series (uvarint), first and last time (varints), and the
//! CRC-32C of the entries. Source: Prometheus `tsdb/docs/format/tombstones.md`, `tsdb/tombstones` v3.5.3.

use std::{collections::HashMap, path::Path};

use crate::{
    buf::Decoder,
    error::{Context, Damage, Error, Result},
};

/// First and last deleted time, both in.
pub(crate) type Interval = (i64, i64);

const MAGIC: u32 = 0x0130_BA30;

/// Reads a file of tombstones; none where it does not exist.
pub(crate) fn read(path: &Path) -> Result<HashMap<u64, Vec<Interval>>> {
    let data = match std::fs::read(path) {
        Ok(data) => data,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(e) => return Err(e).context("read", path),
    };
    decode_file(&data).map_err(|damage: Damage| -> Error { damage.in_file(path, 0) })
}

fn decode_file(data: &[u8]) -> Result<HashMap<u64, Vec<Interval>>, Damage> {
    let Some((body, checksum)) = data.split_last_chunk::<4>().filter(|(body, _)| body.len() >= 5) else {
        return Err(Damage::new(0, format!("expected at least 9 bytes, found {}", data.len())));
    };
    let magic = Decoder::new(body).be32()?;
    if magic != MAGIC {
        return Err(Damage::new(0, format!("magic number {magic:08x}, expected {MAGIC:08x}")));
    }
    let (want, got) = (u32::from_be_bytes(*checksum), crc32c::crc32c(&body[5..]));
    if want != got {
        return Err(Damage::new(body.len(), format!("the checksum is {got:08x}, expected {want:08x}")));
    }
    decode(&body[4..]).map_err(|damage| Damage::new(damage.at + 4, damage.what))
}

/// Decodes version and entries, which is also how a head snapshot holds them.
pub(crate) fn decode(data: &[u8]) -> Result<HashMap<u64, Vec<Interval>>, Damage> {
    let mut d = Decoder::new(data);
    let version = d.u8()?;
    if version != 1 {
        return Err(Damage::new(0, format!("version {version}, expected 1")));
    }
    let mut all: HashMap<u64, Vec<Interval>> = HashMap::new();
    while !d.is_empty() {
        let series = d.uvarint()?;
        all.entry(series).or_default().push((d.varint()?, d.varint()?));
    }
    for intervals in all.values_mut() {
        normalize(intervals);
    }
    Ok(all)
}

/// Sorts intervals and joins those that touch.
pub(crate) fn normalize(intervals: &mut Vec<Interval>) {
    intervals.retain(|(low, high)| low <= high);
    intervals.sort_unstable();
    intervals.dedup_by(|next, kept| {
        let touches = next.0 <= kept.1.saturating_add(1);
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
}

/// The bytes of a file without tombstones, which every block that Prometheus writes has.
pub(crate) fn empty_file() -> Vec<u8> {
    let mut out = MAGIC.to_be_bytes().to_vec();
    out.push(1);
    out.extend_from_slice(&crc32c::crc32c(&[]).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_intervals_joined() {
        assert_eq!(decode_file(&empty_file()), Ok(HashMap::new()));
        let mut file = MAGIC.to_be_bytes().to_vec();
        file.push(1);
        for (series, low, high) in [(7, 10, 20), (7, 21, 30), (7, -5, 2), (9, 1, 1)] {
            crate::buf::put_uvarint(&mut file, series);
            crate::buf::put_varint(&mut file, low);
            crate::buf::put_varint(&mut file, high);
        }
        let checksum = crc32c::crc32c(&file[5..]);
        file.extend_from_slice(&checksum.to_be_bytes());
        let got = decode_file(&file).expect("decodes");
        assert_eq!(got, HashMap::from([(7, vec![(-5, 2), (10, 30)]), (9, vec![(1, 1)])]));
        for i in 0..file.len() {
            let mut bad = file.clone();
            bad[i] ^= 0x40;
            assert!(decode_file(&bad).is_err(), "byte {i}");
        }
    }
}
