//! XOR-compressed floats ("Gorilla"), encoding 1. Invariant: values are kept as bits, NaN payloads included.
//!
//! The first sample is a varint time and a 64-bit value, the second a uvarint time difference and an XOR, the
//! others a difference of differences in 1, 16, 20, 24 or 68 bits and an XOR.

use crate::{
    bits::{BitReader, BitWriter, XorWindow, fits, sign},
    buf::{put_uvarint, put_varint},
    error::Damage,
};

/// Builds one chunk of floats.
#[derive(Clone, Debug)]
pub(crate) struct XorEncoder {
    out: BitWriter,
    count: u16,
    t: i64,
    delta: i64,
    value: f64,
    window: XorWindow,
}

impl XorEncoder {
    pub(crate) fn new() -> Self {
        let out = BitWriter::with_header(&[0, 0]);
        Self { out, count: 0, t: 0, delta: 0, value: 0.0, window: XorWindow::UNSET }
    }

    /// Appends a sample; times ascend, and the caller stops before 65,536 samples.
    pub(crate) fn push(&mut self, t: i64, value: f64) {
        let delta = t.wrapping_sub(self.t);
        match self.count {
            0 => {
                let mut first = Vec::with_capacity(10);
                put_varint(&mut first, t);
                self.put_bytes(&first);
                self.out.put(value.to_bits(), 64);
            }
            1 => {
                let mut second = Vec::with_capacity(10);
                put_uvarint(&mut second, delta as u64);
                self.put_bytes(&second);
                self.window.put(&mut self.out, value, self.value);
            }
            _ => {
                self.put_dod(delta.wrapping_sub(self.delta));
                self.window.put(&mut self.out, value, self.value);
            }
        }
        if self.count > 0 {
            self.delta = delta;
        }
        (self.t, self.value) = (t, value);
        self.count += 1;
        self.out.bytes_mut()[..2].copy_from_slice(&self.count.to_be_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.out.put(u64::from(*b), 8);
        }
    }

    fn put_dod(&mut self, dod: i64) {
        let bits = dod as u64;
        if dod == 0 {
            self.out.put_bit(false);
        } else if fits(dod, 14) {
            self.out.put((0b10 << 14) | (bits & 0x3fff), 16);
        } else if fits(dod, 17) {
            self.out.put((0b110 << 17) | (bits & 0x1_ffff), 20);
        } else if fits(dod, 20) {
            self.out.put((0b1110 << 20) | (bits & 0xf_ffff), 24);
        } else {
            self.out.put(0b1111, 4);
            self.out.put(bits, 64);
        }
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        self.out.finish()
    }
}

/// Appends the samples of a chunk; on an error the vectors are as they were.
pub(crate) fn decode(data: &[u8], times: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), Damage> {
    let count = usize::from(super::sample_count(data)?);
    if count == 0 {
        return Ok(());
    }
    // A sample takes two bits at least; this keeps memory within a small multiple of the file.
    if count > data.len() * 4 {
        return Err(Damage::new(0, format!("{count} samples in a chunk of {} bytes", data.len())));
    }
    let (base_t, base_v) = (times.len(), values.len());
    times.resize(base_t + count, 0);
    values.resize(base_v + count, 0.0);
    let filled = fill(&data[2..], &mut times[base_t..], &mut values[base_v..]);
    if filled.is_err() {
        times.truncate(base_t);
        values.truncate(base_v);
    }
    filled
}

/// How many chunks are read in turn.
const LANES: usize = 3;

/// Appends the samples of several chunks, which follow each other; on an error the vectors are as they were.
///
/// Where one sample's bits end is known only when it has been read, so a single chunk keeps a processor waiting;
/// chunks know nothing of each other, so several are read in turn.
pub(crate) fn decode_all(
    chunks: &[&[u8]],
    times: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), (usize, Damage)> {
    let (base_t, base_v) = (times.len(), values.len());
    let mut done = 0;
    while done < chunks.len() {
        let several = chunks[done..].first_chunk();
        if several.is_some_and(|several| decode_lanes(several, times, values)) {
            done += LANES;
            continue;
        }
        if let Err(damage) = decode(chunks[done], times, values) {
            times.truncate(base_t);
            values.truncate(base_v);
            return Err((done, damage));
        }
        done += 1;
    }
    Ok(())
}

/// Decodes chunks in turn, if all of them have samples enough and none is damaged; else nothing is appended.
fn decode_lanes(chunks: &[&[u8]; LANES], times: &mut Vec<i64>, values: &mut Vec<f64>) -> bool {
    let count = |data: &[u8]| super::sample_count(data).map_or(0, usize::from);
    let counts = chunks.map(count);
    if (0..LANES).any(|i| counts[i] < 2 || counts[i] > chunks[i].len() * 4) {
        return false;
    }
    let (base_t, base_v) = (times.len(), values.len());
    let total = counts.iter().sum::<usize>();
    times.resize(base_t + total, 0);
    values.resize(base_v + total, 0.0);
    let (mut rest_t, mut rest_v) = (&mut times[base_t..], &mut values[base_v..]);
    let mut slots: [(&mut [i64], &mut [f64]); LANES] = std::array::from_fn(|i| {
        let (t, after_t) = std::mem::take(&mut rest_t).split_at_mut(counts[i]);
        let (v, after_v) = std::mem::take(&mut rest_v).split_at_mut(counts[i]);
        (rest_t, rest_v) = (after_t, after_v);
        (t, v)
    });
    let mut lanes: [Lane<'_>; LANES] =
        std::array::from_fn(|i| Lane::begin(&chunks[i][2..], slots[i].0, slots[i].1));
    let common = counts.into_iter().min().unwrap_or(0);
    in_turn(&mut lanes, &mut slots, common);
    for (lane, (t, v)) in lanes.iter_mut().zip(&mut slots) {
        lane.fill(&mut t[common..], &mut v[common..]);
    }
    let whole = !lanes.iter().any(Lane::overrun);
    if !whole {
        times.truncate(base_t);
        values.truncate(base_v);
    }
    whole
}

/// Reads the third sample of every lane and those after it, up to `end`, which no lane has fewer slots than. The
/// lanes are copies with names, for the compiler to keep them in registers.
fn in_turn(lanes: &mut [Lane<'_>; LANES], slots: &mut [(&mut [i64], &mut [f64]); LANES], end: usize) {
    let [a, b, c] = lanes;
    let (mut a_now, mut b_now, mut c_now) = (a.clone(), b.clone(), c.clone());
    let [(a_t, a_v), (b_t, b_v), (c_t, c_v)] = slots;
    for at in 2..end {
        (a_t[at], a_v[at]) = a_now.next();
        (b_t[at], b_v[at]) = b_now.next();
        (c_t[at], c_v[at]) = c_now.next();
    }
    (*a, *b, *c) = (a_now, b_now, c_now);
}

/// Decodes into slots that are there; what a chunk that ends early leaves in them is of no use.
fn fill(data: &[u8], times: &mut [i64], values: &mut [f64]) -> Result<(), Damage> {
    let mut lane = Lane::begin(data, times, values);
    let first = times.len().min(2);
    lane.fill(&mut times[first..], &mut values[first..]);
    if lane.overrun() {
        return Err(Damage::new(data.len(), "a chunk ends before its last sample"));
    }
    Ok(())
}

/// A chunk that is being read, and its last sample.
#[derive(Clone)]
struct Lane<'a> {
    bits: BitReader<'a>,
    t: i64,
    delta: i64,
    value: u64,
    /// The bits of a XOR that the last explicit window holds, and the zeros after them.
    width: u32,
    trailing: u32,
}

impl<'a> Lane<'a> {
    /// Reads the first two samples, or the one that there is a slot for.
    fn begin(data: &'a [u8], times: &mut [i64], values: &mut [f64]) -> Self {
        let mut bits = BitReader::new(data);
        let (t, value) = (bits.varint(), bits.take(64));
        let mut lane = Self { bits, t, delta: 0, value, width: 64, trailing: 0 };
        let mut slots = times.iter_mut().zip(values.iter_mut());
        if let Some((t_out, v_out)) = slots.next() {
            (*t_out, *v_out) = (t, f64::from_bits(value));
        }
        if let Some((t_out, v_out)) = slots.next() {
            lane.delta = lane.bits.uvarint() as i64;
            let word = lane.bits.peek();
            (*t_out, *v_out) = lane.advance(word);
        }
        lane
    }

    /// The third sample, and every other after it.
    #[inline(always)]
    fn next(&mut self) -> (i64, f64) {
        let mut word = self.bits.peek();
        if word >> 63 == 0 {
            self.bits.skip(1);
            word <<= 1;
        } else {
            self.delta = self.delta.wrapping_add(take_dod(&mut self.bits));
            word = self.bits.peek();
        }
        self.advance(word)
    }

    /// Moves on by the difference in time and by the XOR that `word`, of which 56 bits count, starts with.
    #[inline(always)]
    fn advance(&mut self, word: u64) -> (i64, f64) {
        self.t = self.t.wrapping_add(self.delta);
        // Which of the three forms comes next is hard to foresee, so all are computed and one is chosen.
        let (set, explicit) = (word >> 63 == 1, word >> 62 == 0b11);
        let (leading, width) = (((word >> 57) & 31) as u32, ((word >> 51) & 63) as u32);
        let width = if width == 0 { 64 } else { width };
        // Only damage makes a window wider than a word; the value is then as wrong as the chunk is.
        let trailing = 64 - width - leading.min(64 - width);
        self.width = if explicit { width } else { self.width };
        self.trailing = if explicit { trailing } else { self.trailing };
        let prefix = if explicit { 13 } else { 1 + u32::from(set) };
        let width = if set { self.width } else { 0 };
        let xor = if prefix + width <= 56 {
            self.bits.skip(prefix + width);
            // In two steps, as the width may be nothing.
            ((word << prefix) >> 1) >> (63 - width)
        } else {
            self.bits.skip(prefix);
            self.bits.take(width)
        };
        self.value ^= xor << self.trailing;
        (self.t, f64::from_bits(self.value))
    }

    fn fill(&mut self, times: &mut [i64], values: &mut [f64]) {
        for (t, v) in times.iter_mut().zip(values) {
            (*t, *v) = self.next();
        }
    }

    fn overrun(&self) -> bool {
        self.bits.overrun()
    }
}

/// A difference of differences that is not zero.
#[inline(always)]
fn take_dod(bits: &mut BitReader<'_>) -> i64 {
    let word = bits.peek();
    let (prefix, width) = match word.leading_ones() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            bits.skip(4);
            return bits.take(64) as i64;
        }
    };
    bits.skip(prefix + width);
    sign((word << prefix) >> (64 - width), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(samples: &[(i64, f64)]) -> Vec<u8> {
        let mut encoder = XorEncoder::new();
        for (t, v) in samples {
            encoder.push(*t, *v);
        }
        let data = encoder.finish();
        let (mut times, mut values) = (vec![7], vec![7.0]);
        decode(&data, &mut times, &mut values).expect("decodes");
        let got: Vec<_> = times[1..].iter().zip(&values[1..]).map(|(t, v)| (*t, v.to_bits())).collect();
        let want: Vec<_> = samples.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        assert_eq!(got, want);
        // Several at a time, one of them shorter than the others, give the same.
        let mut short = XorEncoder::new();
        samples.iter().take(3).for_each(|(t, v)| short.push(*t, *v));
        let (short, mut times, mut values) = (short.finish(), vec![7], vec![7.0]);
        decode_all(&[&data, &short, &data, &data, &short], &mut times, &mut values).expect("decodes");
        let got: Vec<_> = times[1..].iter().zip(&values[1..]).map(|(t, v)| (*t, v.to_bits())).collect();
        let head = &want[..want.len().min(3)];
        assert_eq!(got, [&want, head, &want, &want, head].concat());
        data
    }

    #[test]
    fn samples_come_back_bit_for_bit() {
        check(&[]);
        check(&[(i64::MIN, f64::NAN)]);
        check(&[(-5, 1.0), (i64::MAX, -0.0)]);
        let stale = assay_model::stale_nan();
        let mut mixed = vec![(1_700_000_000_000, 0.0), (1_700_000_001_000, 0.0), (1_700_000_002_000, stale)];
        let (mut t, mut v) = (1_700_000_003_000i64, 1.0f64);
        for i in 0..400i64 {
            t += 1000 + [0, 1, -7, 8191, 8192, 8193, 65_536, 524_288, 1 << 40][(i % 9) as usize].max(-999);
            v = if i % 5 == 0 { v } else { v * 1.37 + i as f64 };
            mixed.push((t, v));
        }
        check(&mixed);
    }

    /// The bytes that the format's description gives for these samples.
    #[test]
    fn bytes_are_those_of_the_format() {
        let data = check(&[(1000, 1.0), (2000, 1.0), (3000, 1.0), (4001, 2.0)]);
        // 4 samples; varint 1000; 1.0; uvarint 1000, 0; 0, 0; 10 + 14 bits of 1, 11 01100.. XOR.
        assert_eq!(data[..4], [0, 4, 0xd0, 0x0f]);
        assert_eq!(data[4..12], 1.0f64.to_be_bytes());
        assert_eq!(data[12..14], [0xe8, 0x07]);
        // Bits: 0 | 0 0 | 10 00000000000001 | 11 00001 001011 + 11 significant bits of the XOR.
        let xor = 1.0f64.to_bits() ^ 2.0f64.to_bits();
        assert_eq!((xor.leading_zeros(), xor.trailing_zeros()), (1, 52));
        let tail: String = data[14..].iter().map(|b| format!("{b:08b}")).collect();
        let want = ["000", "10", "00000000000001", "11", "00001", "001011", "11111111111"].concat();
        assert!(tail.starts_with(&want), "{tail}");
    }

    #[test]
    fn damage_is_an_error_and_leaves_the_output_alone() {
        let good = check(&[(1, 1.0), (2, 2.5), (3, 1e300), (5, -4.0)]);
        for cut in 0..good.len() {
            let (mut times, mut values) = (Vec::new(), Vec::new());
            assert!(decode(&good[..cut], &mut times, &mut values).is_err(), "cut at {cut}");
            assert!(times.is_empty() && values.is_empty());
            let four = [&good[..], &good, &good[..cut], &good];
            let (at, _) = decode_all(&four, &mut times, &mut values).expect_err("cut");
            assert!(at == 2 && times.is_empty() && values.is_empty());
        }
        assert!(decode(&[0xff, 0xff, 0, 0], &mut Vec::new(), &mut Vec::new()).is_err());
    }
}
