//! Chunks of native histograms, what integer and float ones share. Invariant: all histograms of a chunk have
//! one layout; a histogram with other buckets is laid out again, or the chunk is, or a new chunk begins.
//!
//! After the sample count comes a byte whose two highest bits say how the chunk began (00 unknown, 01 no
//! reset, 10 a reset, 11 a gauge), then the layout, then the samples. Source: Prometheus
//! `tsdb/chunkenc/{histogram,float_histogram}.go` v3.5.3.

use std::sync::Arc;

use assay_model::{
    Column, CounterResetHint, FloatHistogram, Span, histogram::CUSTOM_BUCKETS_SCHEMA, is_stale,
};

use super::{layout::Layout, sample_count, spans};
use crate::{
    bits::{BitReader, BitWriter, put_varbit_int, take_varbit_int},
    error::Damage,
};

/// Positive or negative buckets.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Positive,
    Negative,
}

/// A histogram that a chunk can hold: integer or float.
pub(crate) trait Native: Clone + Default {
    /// An absolute bucket count.
    type Count: Copy + Default + PartialOrd;
    /// What the compression of a sample keeps of those before it.
    type State: Clone + Default;

    fn hint(&self) -> CounterResetHint;
    fn set_hint(&mut self, hint: CounterResetHint);
    fn sum(&self) -> f64;
    fn stale(sum: f64) -> Self;
    fn layout(&self) -> Layout;
    /// A histogram of this layout with all counts zero.
    fn zero(layout: &Layout) -> Self;
    /// Whether this one counts less than `before`, in all or in the zero bucket.
    fn counts_less(&self, before: &Self) -> bool;
    fn spans(&self, side: Side) -> &[Span];
    fn absolute(&self, side: Side) -> Vec<Self::Count>;
    fn set_buckets(&mut self, side: Side, spans: &[Span], counts: &[Self::Count]);
    /// Writes counts, sum and buckets of the first sample of a chunk.
    fn put_first(&self, state: &mut Self::State, out: &mut BitWriter);
    /// Writes those of a later sample that has the layout of `last`, or is stale.
    fn put_next(&self, last: &Self, state: &mut Self::State, out: &mut BitWriter);
    /// Reads what `put_first` wrote into `self`, which has the right layout.
    fn take_first(&mut self, state: &mut Self::State, reader: &mut BitReader<'_>);
    /// Reads what `put_next` wrote; `self` is the sample before. True if this one is the same.
    fn take_next(&mut self, state: &mut Self::State, reader: &mut BitReader<'_>) -> bool;
    fn to_float(&self) -> FloatHistogram;
}

/// A chunk of 120 histograms with 200 custom bounds stays two orders of magnitude below.
const MOST_SHARED_PER_BYTE: usize = 1 << 12;

const UNKNOWN: u8 = 0b0000_0000;
const NO_RESET: u8 = 0b0100_0000;
const RESET: u8 = 0b1000_0000;
const GAUGE: u8 = 0b1100_0000;

/// Builds one chunk of histograms.
#[derive(Clone, Debug)]
pub(crate) struct HistogramEncoder<H: Native> {
    out: BitWriter,
    count: u16,
    header: u8,
    t: i64,
    delta: i64,
    /// The last sample, in the chunk's layout unless stale.
    last: H,
    state: H::State,
}

/// What became of a histogram that was offered to a chunk.
pub(crate) enum Offer {
    /// It is in the chunk.
    Taken,
    /// A new chunk has to begin, with this header.
    Refused(u8),
}

/// How a histogram can follow another one.
enum Follow {
    /// With these spans, positive and negative, for both.
    With([spans::Union; 2]),
    /// Not in one chunk.
    Not(u8),
}

impl<H: Native> HistogramEncoder<H> {
    /// A chunk that begins with `h`; `before` is the sample before it, if there is one of this kind.
    pub(crate) fn begin(t: i64, h: &H, before: Option<&Self>) -> Self {
        let header = match (h.hint(), before) {
            (CounterResetHint::Gauge, _) => GAUGE,
            (CounterResetHint::CounterReset, _) => RESET,
            (_, Some(before)) => match before.follow(h) {
                Follow::With(_) => NO_RESET,
                Follow::Not(header) => header,
            },
            (_, None) => UNKNOWN,
        };
        Self::begin_with(t, h, header)
    }

    /// A chunk that begins with `h` after another one refused it.
    pub(crate) fn begin_with(t: i64, h: &H, header: u8) -> Self {
        let mut out = BitWriter::with_header(&[0, 1, header]);
        let h = if is_stale(h.sum()) { H::stale(h.sum()) } else { h.clone() };
        h.layout().put(&mut out);
        put_varbit_int(&mut out, t);
        let mut state = H::State::default();
        h.put_first(&mut state, &mut out);
        Self { out, count: 1, header, t, delta: 0, last: h, state }
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        self.out.finish()
    }

    /// Appends a histogram where it fits; the chunk is written again where it needs more buckets.
    pub(crate) fn offer(&mut self, t: i64, h: &H) -> Offer {
        let [positive, negative] = match self.follow(h) {
            Follow::Not(header) => return Offer::Refused(header),
            Follow::With(unions) => unions,
        };
        if is_stale(h.sum()) {
            self.push(t, H::stale(h.sum()));
            return Offer::Taken;
        }
        if positive.first_grows || negative.first_grows {
            self.relayout(&positive.spans, &negative.spans);
        }
        let mut h = h.clone();
        respan(&mut h, &positive.spans, &negative.spans);
        self.push(t, h);
        Offer::Taken
    }

    fn follow(&self, h: &H) -> Follow {
        let gauge = h.hint() == CounterResetHint::Gauge;
        if (self.header == GAUGE) != gauge {
            return Follow::Not(if gauge { GAUGE } else { UNKNOWN });
        }
        let refused = if gauge { GAUGE } else { RESET };
        if h.hint() == CounterResetHint::CounterReset {
            return Follow::Not(RESET);
        }
        if is_stale(h.sum()) {
            let none = || spans::Union { spans: Vec::new(), first_grows: false, second_grows: false };
            return Follow::With([none(), none()]);
        }
        let unknown = if gauge { GAUGE } else { UNKNOWN };
        if is_stale(self.last.sum()) {
            return Follow::Not(unknown);
        }
        let (mine, theirs) = (self.last.layout(), h.layout());
        if mine.schema != theirs.schema || mine.zero_threshold != theirs.zero_threshold {
            return Follow::Not(unknown);
        }
        let same_bounds = mine.schema != CUSTOM_BUCKETS_SCHEMA || mine.custom_values == theirs.custom_values;
        if !same_bounds || (!gauge && h.counts_less(&self.last)) {
            return Follow::Not(refused);
        }
        let union = |side| {
            let (a, b) = (self.last.absolute(side), h.absolute(side));
            spans::union((self.last.spans(side), &a), (h.spans(side), &b), !gauge)
        };
        match (union(Side::Positive), union(Side::Negative)) {
            (Some(positive), Some(negative)) => Follow::With([positive, negative]),
            _ => Follow::Not(RESET),
        }
    }

    fn push(&mut self, t: i64, h: H) {
        let delta = t.wrapping_sub(self.t);
        put_varbit_int(&mut self.out, delta.wrapping_sub(self.delta));
        h.put_next(&self.last, &mut self.state, &mut self.out);
        (self.t, self.delta, self.last) = (t, delta, h);
        self.count += 1;
        self.out.bytes_mut()[..2].copy_from_slice(&self.count.to_be_bytes());
    }

    fn relayout(&mut self, positive: &[Span], negative: &[Span]) {
        // The bytes are this encoder's own, so they decode.
        let samples = decode::<H>(&self.finish()).unwrap_or_default();
        let mut samples = samples.into_iter().map(|(t, mut h)| {
            if !is_stale(h.sum()) {
                respan(&mut h, positive, negative);
            }
            (t, h)
        });
        let Some((t, first)) = samples.next() else { return };
        *self = Self::begin_with(t, &first, self.header);
        for (t, h) in samples {
            self.push(t, h);
        }
    }
}

fn respan<H: Native>(h: &mut H, positive: &[Span], negative: &[Span]) {
    for (side, to) in [(Side::Positive, positive), (Side::Negative, negative)] {
        if h.spans(side) != to {
            let counts = spans::spread(h.spans(side), &h.absolute(side), to);
            h.set_buckets(side, to, &counts);
        }
    }
}

/// Reads a chunk of histograms, one after the other.
struct HistogramDecoder<'a, H: Native> {
    reader: BitReader<'a>,
    bytes: usize,
    header: u8,
    left: u16,
    first: bool,
    t: i64,
    delta: i64,
    last: H,
    /// Whether `last` is the same as the one before it.
    repeats: bool,
    state: H::State,
}

impl<'a, H: Native> HistogramDecoder<'a, H> {
    fn new(data: &'a [u8]) -> Result<Self, Damage> {
        let left = sample_count(data)?;
        let Some(header) = data.get(2).copied() else {
            return Err(Damage::new(2, "expected a histogram chunk of at least 3 bytes"));
        };
        let mut reader = BitReader::new(&data[3..]);
        let layout = if left == 0 { Layout::default() } else { Layout::take(&mut reader, data.len() * 8)? };
        // Every sample gets the spans and bounds that the chunk has once, so these two must not multiply
        // beyond what any histogram needs.
        let shared = layout.positive.len() + layout.negative.len() + layout.custom_values.len();
        if shared * usize::from(left) > data.len() * MOST_SHARED_PER_BYTE {
            let what = format!("{shared} spans and bounds for {left} samples in {} bytes", data.len());
            return Err(Damage::new(3, what));
        }
        Ok(Self {
            reader,
            bytes: data.len(),
            header: header & GAUGE,
            left,
            first: true,
            t: 0,
            delta: 0,
            last: H::zero(&layout),
            repeats: false,
            state: H::State::default(),
        })
    }

    /// Moves to the next sample; `None` after the last one.
    fn next(&mut self) -> Option<Result<i64, Damage>> {
        self.left = self.left.checked_sub(1)?;
        if self.first {
            self.first = false;
            self.t = take_varbit_int(&mut self.reader);
            self.last.take_first(&mut self.state, &mut self.reader);
            self.last.set_hint(hint(self.header, true));
        } else {
            self.delta = self.delta.wrapping_add(take_varbit_int(&mut self.reader));
            self.t = self.t.wrapping_add(self.delta);
            let hint = hint(self.header, false);
            self.repeats = self.last.take_next(&mut self.state, &mut self.reader) && self.last.hint() == hint;
            self.last.set_hint(hint);
        }
        if self.reader.overrun() {
            self.left = 0;
            return Some(Err(Damage::new(self.bytes, "a histogram chunk ends within a sample")));
        }
        Some(Ok(self.t))
    }
}

/// What a reader may conclude: only within a chunk is it certain that there was no reset
/// (`counterResetHint` in `histogram_meta.go`).
fn hint(header: u8, first: bool) -> CounterResetHint {
    match (header, first) {
        (GAUGE, _) => CounterResetHint::Gauge,
        (_, false) => CounterResetHint::NotCounterReset,
        (_, true) => CounterResetHint::Unknown,
    }
}

/// All histograms of a chunk.
pub(crate) fn decode<H: Native>(data: &[u8]) -> Result<Vec<(i64, H)>, Damage> {
    let mut decoder = HistogramDecoder::<H>::new(data)?;
    let mut out = Vec::new();
    while let Some(t) = decoder.next() {
        let t = t?;
        let sum = decoder.last.sum();
        out.push((t, if is_stale(sum) { H::stale(sum) } else { decoder.last.clone() }));
    }
    Ok(out)
}

/// Appends all histograms of a chunk as PromQL computes with them; on an error `out` is as it was.
pub(crate) fn decode_floats<H: Native>(data: &[u8], out: &mut Column) -> Result<(), Damage> {
    let mut decoder = HistogramDecoder::<H>::new(data)?;
    let (base_t, base_h) = (out.histogram_times.len(), out.histograms.len());
    while let Some(t) = decoder.next() {
        let t = match t {
            Ok(t) => t,
            Err(damage) => {
                out.histogram_times.truncate(base_t);
                out.histograms.truncate(base_h);
                return Err(damage);
            }
        };
        let sum = decoder.last.sum();
        let h = match out.histograms.last() {
            // Of a phase that is over, or a service at rest, there are many.
            Some(before) if decoder.repeats => Arc::clone(before),
            _ if is_stale(sum) => Arc::new(FloatHistogram::stale(sum)),
            _ => Arc::new(decoder.last.to_float()),
        };
        out.histogram_times.push(t);
        out.histograms.push(h);
    }
    Ok(())
}
