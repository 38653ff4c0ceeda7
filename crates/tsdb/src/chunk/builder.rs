//! The chunks of one series while it grows. Invariant: chunks ascend and do not overlap; a finished chunk
//! never changes.
//!
//! Chunks are cut as Prometheus' compaction cuts them: floats at 120 samples (`storage/series.go`,
//! `seriesToChunkEncoderSplit`); histograms there too, or at 1,024 bytes once there are 10 samples
//! (`tsdb/chunkenc/chunk.go`, `TargetBytesPerHistogramChunk`), v3.5.3.

use std::sync::Arc;

use assay_model::{FloatHistogram, Histogram};

use super::{
    Chunk, ChunkBytes, Encoding, Stored,
    histogram::{HistogramEncoder, Native, Offer},
    xor::XorEncoder,
};

const SAMPLES_PER_CHUNK: u16 = 120;
const BYTES_PER_HISTOGRAM_CHUNK: usize = 1024;
const LEAST_HISTOGRAMS_PER_CHUNK: u16 = 10;

/// A chunk that still grows.
#[derive(Clone, Debug)]
struct Open {
    min_t: i64,
    max_t: i64,
    encoder: Encoder,
}

#[derive(Clone, Debug)]
enum Encoder {
    Xor(XorEncoder),
    Histogram(Box<HistogramEncoder<Histogram>>),
    FloatHistogram(Box<HistogramEncoder<FloatHistogram>>),
}

impl Encoder {
    fn finish(&self) -> (Encoding, Vec<u8>) {
        match self {
            Self::Xor(e) => (Encoding::Xor, e.finish()),
            Self::Histogram(e) => (Encoding::Histogram, e.finish()),
            Self::FloatHistogram(e) => (Encoding::FloatHistogram, e.finish()),
        }
    }
}

/// Encodes the samples of one series, which come in ascending time, into chunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChunkBuilder {
    finished: Vec<Chunk>,
    open: Option<Open>,
}

impl ChunkBuilder {
    /// The time of the last sample.
    pub(crate) fn last_t(&self) -> Option<i64> {
        self.open.as_ref().map(|o| o.max_t).or_else(|| self.finished.last().map(|c| c.max_t))
    }

    pub(crate) fn push(&mut self, t: i64, value: &Stored) {
        match value {
            Stored::Float(v) => self.push_float(t, *v),
            Stored::Histogram(h) => self.push_histogram(t, h),
            Stored::FloatHistogram(h) => self.push_float_histogram(t, h),
        }
    }

    pub(crate) fn push_float(&mut self, t: i64, v: f64) {
        if let Some(Open { max_t, encoder: Encoder::Xor(e), .. }) = &mut self.open
            && e.count() < SAMPLES_PER_CHUNK
        {
            e.push(t, v);
            *max_t = t;
            return;
        }
        let mut e = XorEncoder::new();
        e.push(t, v);
        self.start(t, Encoder::Xor(e));
    }

    pub(crate) fn push_histogram(&mut self, t: i64, h: &Histogram) {
        if let Some(Open { max_t, encoder: Encoder::Histogram(e), .. }) = &mut self.open {
            let next = extend(e, t, h);
            *max_t = if next.is_none() { t } else { *max_t };
            if let Some(next) = next {
                self.start(t, Encoder::Histogram(Box::new(next)));
            }
        } else {
            self.start(t, Encoder::Histogram(Box::new(HistogramEncoder::begin(t, h, None))));
        }
    }

    pub(crate) fn push_float_histogram(&mut self, t: i64, h: &FloatHistogram) {
        if let Some(Open { max_t, encoder: Encoder::FloatHistogram(e), .. }) = &mut self.open {
            let next = extend(e, t, h);
            *max_t = if next.is_none() { t } else { *max_t };
            if let Some(next) = next {
                self.start(t, Encoder::FloatHistogram(Box::new(next)));
            }
        } else {
            self.start(t, Encoder::FloatHistogram(Box::new(HistogramEncoder::begin(t, h, None))));
        }
    }

    fn start(&mut self, t: i64, encoder: Encoder) {
        self.close();
        self.open = Some(Open { min_t: t, max_t: t, encoder });
    }

    /// Finishes the chunk that grows, if there is one.
    pub(crate) fn close(&mut self) {
        self.finished.extend(self.open.take().map(|open| finish(&open)));
    }

    /// Puts a chunk from elsewhere after all samples, and says whether that was its place.
    pub(crate) fn push_chunk(&mut self, chunk: Chunk) -> Result<(), Chunk> {
        if self.last_t().is_some_and(|last| last >= chunk.min_t) {
            return Err(chunk);
        }
        self.close();
        self.finished.push(chunk);
        Ok(())
    }

    /// The finished chunks, taken out; the one that grows stays.
    pub(crate) fn take_finished(&mut self) -> Vec<Chunk> {
        std::mem::take(&mut self.finished)
    }

    pub(crate) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// All chunks as they stand.
    pub(crate) fn snapshot(&self) -> Vec<Chunk> {
        let mut chunks = Vec::with_capacity(self.finished.len() + 1);
        chunks.extend_from_slice(&self.finished);
        chunks.extend(self.open.as_ref().map(finish));
        chunks
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.finished.is_empty()
    }
}

fn finish(open: &Open) -> Chunk {
    let (encoding, data) = open.encoder.finish();
    Chunk { min_t: open.min_t, max_t: open.max_t, encoding, data: ChunkBytes::Owned(Arc::from(data)) }
}

/// Appends to a chunk, or begins the next one where the chunk is full or refuses.
fn extend<H: Native>(chunk: &mut HistogramEncoder<H>, t: i64, h: &H) -> Option<HistogramEncoder<H>> {
    let full = chunk.count() >= SAMPLES_PER_CHUNK
        || (chunk.count() >= LEAST_HISTOGRAMS_PER_CHUNK && chunk.byte_len() >= BYTES_PER_HISTOGRAM_CHUNK);
    if full {
        return Some(HistogramEncoder::begin(t, h, Some(chunk)));
    }
    match chunk.offer(t, h) {
        Offer::Taken => None,
        Offer::Refused(header) => Some(HistogramEncoder::begin_with(t, h, header)),
    }
}

#[cfg(test)]
mod tests {
    use assay_model::{Column, CounterResetHint, Span, stale_nan};

    use super::*;

    fn histogram(spans: &[(i32, u32)], counts: &[i64]) -> Histogram {
        let mut h = Histogram { schema: 3, zero_threshold: 1e-128, sum: 1.5, ..Histogram::default() };
        let spans: Vec<_> =
            spans.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
        h.set_buckets(super::super::histogram::Side::Positive, &spans, counts);
        h.count = counts.iter().sum::<i64>() as u64;
        h
    }

    fn decoded(chunks: &[Chunk]) -> Column {
        let mut out = Column::default();
        for c in chunks {
            let before = out.len();
            super::super::decode(c.encoding, &c.data, &mut out).expect("decodes");
            assert!(out.len() > before);
        }
        out
    }

    #[test]
    fn floats_are_cut_at_120_samples() {
        let mut b = ChunkBuilder::default();
        for i in 0..250i64 {
            b.push_float(i * 1000, i as f64);
        }
        let chunks = b.snapshot();
        let ranges: Vec<_> = chunks.iter().map(|c| (c.min_t, c.max_t)).collect();
        assert_eq!(ranges, [(0, 119_000), (120_000, 239_000), (240_000, 249_000)]);
        assert_eq!(decoded(&chunks).values, (0..250).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn histograms_grow_and_reset_within_the_rules() {
        let series = [
            histogram(&[(0, 2)], &[1, 1]),
            histogram(&[(0, 2), (1, 1)], &[2, 1, 1]),
            histogram(&[(0, 4)], &[2, 1, 1, 1]),
            histogram(&[(0, 1)], &[1]),
            Histogram { sum: stale_nan(), ..Histogram::default() },
            histogram(&[(5, 1)], &[7]),
        ];
        let mut b = ChunkBuilder::default();
        for (t, h) in (0i64..).zip(&series) {
            b.push_histogram(t, h);
        }
        let chunks = b.snapshot();
        assert_eq!(chunks.iter().map(|c| (c.min_t, c.max_t)).collect::<Vec<_>>(), [(0, 2), (3, 4), (5, 5)]);
        assert_eq!(chunks.iter().map(|c| c.data[2] >> 6).collect::<Vec<_>>(), [0b00, 0b10, 0b00]);
        let column = decoded(&chunks);
        for (got, want) in column.histograms.iter().zip(&series) {
            let used = |h: &FloatHistogram| -> Vec<_> {
                let list = super::super::spans::indices(&h.positive_spans).zip(h.positive_buckets.clone());
                list.filter(|(_, c)| *c != 0.0).collect()
            };
            assert_eq!(used(got), used(&want.to_float()));
            assert_eq!((got.sum.to_bits(), got.count), (want.sum.to_bits(), want.count as f64));
        }
        assert_eq!(column.histograms[1].counter_reset_hint, CounterResetHint::NotCounterReset);
    }

    #[test]
    fn float_histograms_and_gauges_come_back() {
        let mut b = ChunkBuilder::default();
        let mut want = Vec::new();
        for i in 0..40i64 {
            let mut h = histogram(&[(-3, 2), (i as i32 % 3, 1)], &[40 - i, i, 3]).to_float();
            h.counter_reset_hint = CounterResetHint::Gauge;
            h.sum = i as f64 * 0.1;
            b.push_float_histogram(i, &h);
            want.push(h);
        }
        let chunks = b.snapshot();
        assert_eq!(chunks[0].encoding, Encoding::FloatHistogram);
        let column = decoded(&chunks);
        assert_eq!(column.histogram_times, (0..40).collect::<Vec<_>>());
        for (got, want) in column.histograms.iter().zip(&want) {
            assert_eq!((got.sum, got.counter_reset_hint), (want.sum, CounterResetHint::Gauge));
            assert_eq!(got.positive_buckets.iter().sum::<f64>(), want.positive_buckets.iter().sum::<f64>());
        }
    }
}
