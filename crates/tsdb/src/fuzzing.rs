//! What the fuzz targets call. Invariant: none of these panics, whatever the bytes.

use std::path::Path;

use assay_model::Column;

use crate::{
    block::index::Index,
    chunk::{self, Encoding, Stored, builder::ChunkBuilder},
    mmap::Mapped,
    postings::Postings,
    wal::{reader::RecordReader, record},
};

/// Decodes a chunk both ways; what decodes as floats must come back from a chunk of our own.
///
/// # Panics
/// Where the two ways disagree, which is what a fuzzer looks for.
pub fn chunk(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let Ok(encoding) = Encoding::from_byte(first % 3 + 1) else { return };
    let (mut column, mut stored) = (Column::default(), Vec::new());
    let decoded = chunk::decode(encoding, data, &mut column);
    let again = chunk::decode_stored(encoding, data, &mut stored);
    assert_eq!(decoded.is_ok(), again.is_ok());
    if decoded.is_err() {
        assert!(column.is_empty());
        return;
    }
    assert_eq!(column.len(), stored.len());
    let ascends = column.times.is_sorted_by(|a, b| a < b);
    if encoding == Encoding::Xor && ascends {
        round_trip(&column);
    }
}

fn round_trip(column: &Column) {
    let mut builder = ChunkBuilder::default();
    for (t, v) in column.times.iter().zip(&column.values) {
        builder.push(*t, &Stored::Float(*v));
    }
    let mut back = Column::default();
    for c in builder.snapshot() {
        assert_eq!(chunk::decode(c.encoding, &c.data, &mut back), Ok(()));
    }
    assert_eq!(back.times, column.times);
    let same = back.values.iter().zip(&column.values).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same);
}

/// Opens an index and reads every series and list of it.
pub fn index(data: &[u8]) {
    let Ok(index) = Index::of(Path::new("index"), Mapped::of(data.to_vec())) else { return };
    let names: Vec<_> = index.names().map(str::to_owned).collect();
    for name in names {
        for value in index.values(&name).unwrap_or_default() {
            index.equal(&name, value).ok();
        }
        index.matching(&name, &|_| true).ok();
    }
    for id in index.all_ids().unwrap_or_default() {
        index.series(id).ok();
        index.series_chunks(id).ok();
    }
}

/// Reads all records of a segment.
pub fn log(data: &[u8]) {
    let mut records = RecordReader::new(data, 0);
    while let Some(Ok(bytes)) = records.next() {
        record::decode(bytes).ok();
    }
}

/// Decodes a record.
pub fn record(data: &[u8]) {
    record::decode(data).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of its own, so that a seed means the same everywhere (SplitMix64).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn mutations(seeds: &[Vec<u8>], target: fn(&[u8])) {
        let mut state = 1;
        for _ in 0..5_000 {
            let mut data = seeds[next(&mut state) as usize % seeds.len()].clone();
            for _ in 0..=next(&mut state) % 4 {
                let at = next(&mut state) as usize % data.len();
                match next(&mut state) % 4 {
                    0 => data.truncate(at.max(1)),
                    1 => data[at] = next(&mut state) as u8,
                    _ => data[at] ^= 1 << (next(&mut state) % 8),
                }
            }
            target(&data);
        }
        for n in 0..2_000usize {
            let noise: Vec<u8> = (0..n % 300).map(|_| next(&mut state) as u8).collect();
            target(&noise);
        }
    }

    #[test]
    fn chunks_without_checksums() {
        let histogram = |i: u64| assay_model::Histogram {
            count: i,
            sum: i as f64,
            positive_spans: vec![assay_model::Span { offset: 1, length: 2 }],
            positive_buckets: vec![i as i64, 1],
            ..Default::default()
        };
        let seeds = [0u8, 1, 2].map(|kind| {
            let mut builder = ChunkBuilder::default();
            for i in 0..40 {
                match kind {
                    0 => builder.push_float(i * 1000 + i % 3, i as f64 * 1.3),
                    1 => builder.push_histogram(i * 1000, &histogram(i as u64)),
                    _ => builder.push_float_histogram(i * 1000, &histogram(i as u64).to_float()),
                }
            }
            [&[kind], &builder.snapshot()[0].data[..]].concat()
        });
        mutations(&seeds, chunk);
    }

    #[test]
    fn records_without_checksums() {
        use crate::wal::{encode, record::RefSample};
        let labels = assay_model::Labels::from_pairs([("__name__", "x"), ("a", "b")]);
        let exemplar = assay_model::Exemplar { labels: labels.clone(), value: 1.0, t_ms: Some(5) };
        let mut seeds = vec![
            encode::series(&[(1, labels.clone()), (2, labels)]),
            encode::metadata(&[(1, assay_model::MetricMetadata::default())]),
            encode::exemplars(&[(1, exemplar)]),
        ];
        let h = assay_model::Histogram {
            positive_spans: vec![assay_model::Span { offset: 1, length: 2 }],
            positive_buckets: vec![7, 1],
            ..Default::default()
        };
        let values =
            [Stored::Float(1.5), Stored::FloatHistogram(h.to_float().into()), Stored::Histogram(h.into())];
        let samples: Vec<_> = values.into_iter().map(|value| RefSample { series: 1, t: 9, value }).collect();
        seeds.extend(encode::samples(&samples));
        mutations(&seeds, record);
        mutations(&seeds, log);
        mutations(&seeds, index);
    }
}
