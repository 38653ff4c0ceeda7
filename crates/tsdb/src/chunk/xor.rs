//! XOR-compressed floats ("Gorilla"), encoding 1. Invariant: values are kept as bits, NaN payloads included.
//!
//! The first sample is a varint time and a 64-bit value, the second a uvarint time difference and an XOR, the
//! others a difference of differences in 1, 16, 20, 24 or 68 bits and an XOR.

use crate::{
    bits::{BitBuffer, BitReader, BitWriter, XorWindow, fits, sign},
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

/// Decodes into slots that are there; what a chunk that ends early leaves in them is of no use.
fn fill(data: &[u8], times: &mut [i64], values: &mut [f64]) -> Result<(), Damage> {
    let mut slots = times.iter_mut().zip(values.iter_mut());
    let mut reader = BitReader::new(data);
    let mut t = reader.varint();
    let mut value = reader.take(64);
    if let Some((t_out, v_out)) = slots.next() {
        (*t_out, *v_out) = (t, f64::from_bits(value));
    }
    let mut delta = 0i64;
    let mut window = XorWindow::FULL;
    if let Some((t_out, v_out)) = slots.next() {
        delta = reader.uvarint() as i64;
        t = t.wrapping_add(delta);
        value ^= window.take(&mut reader);
        (*t_out, *v_out) = (t, f64::from_bits(value));
    }
    let mut bits = BitBuffer::new(&reader);
    for (t_out, v_out) in slots {
        bits.refill();
        if bits.word >> 63 == 0 {
            bits.skip(1);
        } else {
            delta = delta.wrapping_add(take_dod(&mut bits));
            bits.refill();
        }
        t = t.wrapping_add(delta);
        value ^= take_xor(&mut bits, &mut window);
        (*t_out, *v_out) = (t, f64::from_bits(value));
    }
    if bits.overrun() {
        return Err(Damage::new(data.len(), "a chunk ends before its last sample"));
    }
    Ok(())
}

#[inline(always)]
fn take_dod(bits: &mut BitBuffer<'_>) -> i64 {
    let (prefix, width) = match bits.word.leading_ones() {
        1 => (2, 14),
        2 => (3, 17),
        3 => (4, 20),
        _ => {
            bits.skip(4);
            return bits.take(64) as i64;
        }
    };
    let dod = (bits.word << prefix) >> (64 - width);
    bits.skip(prefix + width);
    sign(dod, width)
}

/// As [`XorWindow::take`], from a buffer that holds at least 40 bits.
#[inline(always)]
fn take_xor(bits: &mut BitBuffer<'_>, window: &mut XorWindow) -> u64 {
    let word = bits.word;
    if word >> 63 == 0 {
        bits.skip(1);
        return 0;
    }
    // Which of the two forms comes next is hard to foresee, so both are computed and one is chosen.
    let prefix = window.choose(word);
    let width = 64 - window.leading - window.trailing;
    let delta = if prefix + width <= bits.held {
        bits.skip(prefix + width);
        (word << prefix) >> (64 - width)
    } else {
        bits.skip(prefix);
        bits.take(width)
    };
    delta << window.trailing
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
        }
        assert!(decode(&[0xff, 0xff, 0, 0], &mut Vec::new(), &mut Vec::new()).is_err());
    }
}
