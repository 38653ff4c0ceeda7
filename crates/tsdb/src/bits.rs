//! Bit streams, most significant bit first, and the variable-width numbers in them.
//!
//! Source: Prometheus `tsdb/docs/bstream.md`, `tsdb/chunkenc/{varbit,xor}.go` v3.5.3. Invariant: a reader may
//! run past its end, where it reads zeros; a reader asks [`BitReader::overrun`] before using the result.

/// Appends bits to a byte vector.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, in the low `held` bits, of which there are at most 63.
    pending: u64,
    held: u32,
}

impl BitWriter {
    /// A writer whose first bytes are `header`.
    pub(crate) fn with_header(header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(header);
        Self { bytes, pending: 0, held: 0 }
    }

    /// Writes the low `n` bits of `value`, `n` from 1 to 64.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, n: u32) {
        let value = value & (u64::MAX >> (64 - n));
        let free = 64 - self.held;
        if n < free {
            self.pending = (self.pending << n) | value;
            self.held += n;
            return;
        }
        // The word is full: it is what was pending, moved up, and the first bits of the value.
        let rest = n - free;
        let high = if free == 64 { 0 } else { self.pending << free };
        self.bytes.extend_from_slice(&(high | (value >> rest)).to_be_bytes());
        self.pending = if rest == 0 { 0 } else { value & (u64::MAX >> (64 - rest)) };
        self.held = rest;
    }

    pub(crate) fn put_bit(&mut self, bit: bool) {
        self.put(u64::from(bit), 1);
    }

    /// How many bytes the stream takes as it is.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.held.div_ceil(8) as usize
    }

    /// The stream so far, its last byte padded with zeros.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        out.extend_from_slice(&self.bytes);
        if self.held > 0 {
            let tail = (self.pending << (64 - self.held)).to_be_bytes();
            out.extend_from_slice(&tail[..self.held.div_ceil(8) as usize]);
        }
        out
    }

    /// Changes bytes that are complete, such as a header.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// Reads bits from a slice, a word at a time.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// In bits from the start of `data`.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Whether more was read than there is.
    pub(crate) fn overrun(&self) -> bool {
        self.at > self.data.len() * 8
    }

    /// The next bits, left-aligned; at least 57 of them are valid, zeros beyond the end.
    #[inline(always)]
    pub(crate) fn peek(&self) -> u64 {
        let byte = self.at >> 3;
        let word = match self.data.get(byte..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => tail_word(self.data, byte),
        };
        word << (self.at & 7)
    }

    #[inline(always)]
    pub(crate) fn skip(&mut self, n: u32) {
        self.at += n as usize;
    }

    /// The next `n` bits, `n` from 0 to 64.
    #[inline(always)]
    pub(crate) fn take(&mut self, n: u32) -> u64 {
        if n == 0 {
            return 0;
        }
        if n <= 56 {
            let bits = self.peek() >> (64 - n);
            self.skip(n);
            return bits;
        }
        let high = self.peek() >> 32;
        self.skip(32);
        let low = self.peek() >> (96 - n);
        self.skip(n - 32);
        (high << (n - 32)) | low
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(8) as u8
    }

    /// A byte-wise LEB128 number, which need not start on a byte's boundary.
    pub(crate) fn uvarint(&mut self) -> u64 {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let b = self.byte();
            value |= u64::from(b & 0x7f).checked_shl(shift).unwrap_or(0);
            if b < 0x80 {
                break;
            }
        }
        value
    }

    pub(crate) fn varint(&mut self) -> i64 {
        let u = self.uvarint();
        ((u >> 1) as i64) ^ -((u & 1) as i64)
    }
}

/// Widths by the number of leading ones, in the variable-width numbers of histogram chunks.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `x` fits into `n` bits, of which the range is `-(2^(n-1) - 1) ..= 2^(n-1)`.
pub(crate) fn fits(x: i64, n: u32) -> bool {
    let half = 1i64 << (n - 1);
    (1 - half..=half).contains(&x)
}

/// Undoes what [`fits`] allows: values above the half are negative.
#[inline(always)]
pub(crate) fn sign(bits: u64, n: u32) -> i64 {
    if bits > 1u64 << (n - 1) { bits.wrapping_sub(1u64 << n) as i64 } else { bits as i64 }
}

fn put_prefixed(out: &mut BitWriter, value: u64, class: u32) {
    if class == 8 {
        out.put(0xff, 8);
    } else {
        // `class` ones and a zero.
        out.put((1 << (class + 1)) - 2, class + 1);
    }
    out.put(value, WIDTHS[class as usize]);
}

pub(crate) fn put_varbit_int(out: &mut BitWriter, value: i64) {
    if value == 0 {
        return out.put_bit(false);
    }
    let class = (1..8).find(|c| fits(value, WIDTHS[*c as usize])).unwrap_or(8);
    put_prefixed(out, value as u64, class);
}

pub(crate) fn put_varbit_uint(out: &mut BitWriter, value: u64) {
    if value == 0 {
        return out.put_bit(false);
    }
    let class = (1..8).find(|c| value >> WIDTHS[*c as usize] == 0).unwrap_or(8);
    put_prefixed(out, value, class);
}

#[inline(always)]
fn take_prefixed(reader: &mut BitReader<'_>) -> (u64, u32) {
    let word = reader.peek();
    let class = word.leading_ones().min(8);
    if class == 0 {
        reader.skip(1);
        return (0, 0);
    }
    let width = WIDTHS[class as usize];
    let prefix = if class == 8 { 8 } else { class + 1 };
    if prefix + width <= 57 {
        reader.skip(prefix + width);
        return ((word << prefix) >> (64 - width), width);
    }
    reader.skip(prefix);
    (reader.take(width), width)
}

#[inline(always)]
pub(crate) fn take_varbit_int(reader: &mut BitReader<'_>) -> i64 {
    match take_prefixed(reader) {
        (bits, 0 | 64) => bits as i64,
        (bits, width) => sign(bits, width),
    }
}

#[inline(always)]
pub(crate) fn take_varbit_uint(reader: &mut BitReader<'_>) -> u64 {
    take_prefixed(reader).0
}

/// The state of an XOR-compressed stream of floats: the bits that the last explicit window left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct XorWindow {
    pub(crate) leading: u32,
    pub(crate) trailing: u32,
}

impl XorWindow {
    /// Before anything was written: no window can be reused.
    pub(crate) const UNSET: Self = Self { leading: 0xff, trailing: 0 };
    /// Before anything was read.
    pub(crate) const FULL: Self = Self { leading: 0, trailing: 0 };

    /// Writes `new`, given that `old` came before.
    pub(crate) fn put(&mut self, out: &mut BitWriter, new: f64, old: f64) {
        let delta = new.to_bits() ^ old.to_bits();
        if delta == 0 {
            return out.put_bit(false);
        }
        let (leading, trailing) = (delta.leading_zeros().min(31), delta.trailing_zeros());
        if self.leading != 0xff && leading >= self.leading && trailing >= self.trailing {
            out.put(0b10, 2);
            out.put(delta >> self.trailing, 64 - self.leading - self.trailing);
            return;
        }
        (self.leading, self.trailing) = (leading, trailing);
        let width = 64 - leading - trailing;
        // A width of 64 does not fit into its six bits and is written as 0.
        out.put(0b11, 2);
        out.put(u64::from(leading), 5);
        out.put(u64::from(width & 63), 6);
        out.put(delta >> trailing, width);
    }

    /// Takes the window that `word`, which starts with a set bit, names, and returns the width of the prefix.
    #[inline(always)]
    fn choose(&mut self, word: u64) -> u32 {
        let explicit = (word >> 62) & 1 == 1;
        let (leading, width) = (((word >> 57) & 31) as u32, ((word >> 51) & 63) as u32);
        let width = if width == 0 { 64 } else { width };
        // Only damage makes a window wider than a word; the value is then as wrong as the chunk is.
        let leading = leading.min(64 - width);
        self.leading = if explicit { leading } else { self.leading };
        self.trailing = if explicit { 64 - leading - width } else { self.trailing };
        if explicit { 13 } else { 2 }
    }

    /// Reads the XOR with the value before.
    #[inline(always)]
    pub(crate) fn take(&mut self, reader: &mut BitReader<'_>) -> u64 {
        let word = reader.peek();
        if word >> 63 == 0 {
            reader.skip(1);
            return 0;
        }
        let prefix = self.choose(word);
        reader.skip(prefix);
        reader.take(64 - self.leading - self.trailing) << self.trailing
    }
}

#[cold]
fn tail_word(data: &[u8], from: usize) -> u64 {
    let mut chunk = [0u8; 8];
    let tail = data.get(from..).unwrap_or(&[]);
    chunk[..tail.len()].copy_from_slice(tail);
    u64::from_be_bytes(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varbits_come_back_at_every_alignment() {
        let mut values = vec![0i64, 1, -1, i64::MIN, i64::MAX];
        for n in [3, 4, 6, 9, 12, 18, 25, 32, 56, 57] {
            let half = 1i64 << (n - 1);
            values.extend([half - 1, half, half + 1, 1 - half, -half, -half - 1]);
        }
        for offset in 0..8 {
            let mut out = BitWriter::default();
            if offset > 0 {
                out.put(0, offset);
            }
            for v in &values {
                put_varbit_int(&mut out, *v);
                put_varbit_uint(&mut out, *v as u64);
            }
            let bytes = out.finish();
            assert_eq!(bytes.len(), out.len());
            let mut reader = BitReader::new(&bytes);
            reader.skip(offset);
            for v in &values {
                assert_eq!(take_varbit_int(&mut reader), *v);
                assert_eq!(take_varbit_uint(&mut reader), *v as u64);
            }
            assert!(!reader.overrun());
        }
    }

    #[test]
    fn floats_come_back_bit_for_bit() {
        let values =
            [0.0, -0.0, 1.0, 1.5, f64::NAN, f64::from_bits(0x7ff0_0000_0000_0002), f64::MIN, 3.25, 3.25];
        let (mut out, mut window, mut last) = (BitWriter::default(), XorWindow::UNSET, 12.0);
        for v in values {
            window.put(&mut out, v, last);
            last = v;
        }
        let bytes = out.finish();
        let (mut reader, mut window, mut last) = (BitReader::new(&bytes), XorWindow::FULL, 12.0f64.to_bits());
        for v in values {
            last ^= window.take(&mut reader);
            assert_eq!(last, v.to_bits());
        }
    }

    #[test]
    fn reading_past_the_end_is_noticed() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.take(64), 0xff << 56);
        assert!(reader.overrun());
        assert_eq!(reader.take(57), 0);
    }
}
