//! Byte-wise decoding and encoding of what the formats share: big-endian integers, LEB128 numbers, strings.
//! Invariant: a decoder never reads past its slice, and a length is checked before it is believed.

use crate::error::Damage;

type Result<T> = std::result::Result<T, Damage>;

/// Reads forward through a slice.
#[derive(Clone, Debug)]
pub(crate) struct Decoder<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.data.len() - self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.data.len()
    }

    pub(crate) fn fail<T>(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Result<T> {
        Err(Damage::new(self.at, what))
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.left() {
            return self.fail(format!("expected {n} more bytes, found {}", self.left()));
        }
        let taken = &self.data[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        let mut out = [0; N];
        out.copy_from_slice(taken);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn be32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn be64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn be64_signed(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn float(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.be64()?))
    }

    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64> {
        // Most numbers of an index take one byte.
        match self.data.get(self.at) {
            Some(b) if *b < 0x80 => {
                self.at += 1;
                Ok(u64::from(*b))
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64> {
        let (mut value, mut shift) = (0u64, 0u32);
        for (i, b) in self.data[self.at..].iter().enumerate().take(10) {
            if shift == 63 && *b > 1 {
                break;
            }
            value |= u64::from(b & 0x7f) << shift;
            if *b < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
            shift += 7;
        }
        self.fail("expected a variable-length number of at most 64 bits")
    }

    pub(crate) fn varint(&mut self) -> Result<i64> {
        let u = self.uvarint()?;
        Ok(((u >> 1) as i64) ^ -((u & 1) as i64))
    }

    /// A count of things that take at least `least` bytes each, so that it never asks for memory that the
    /// slice cannot fill.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize> {
        let start = self.at;
        let n = self.uvarint()?;
        if n > (self.left() / least.max(1)) as u64 {
            return Err(Damage::new(start, format!("a count of {n} in {} bytes", self.left())));
        }
        Ok(n as usize)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.count(1)?;
        self.take(n)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str> {
        let start = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| Damage::new(start, "expected UTF-8"))
    }
}

pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, n: i64) {
    put_uvarint(out, ((n << 1) ^ (n >> 63)) as u64);
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_uvarint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_be32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(crate) fn put_be64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_be_bytes());
}

pub(crate) fn put_float(out: &mut Vec<u8>, v: f64) {
    put_be64(out, v.to_bits());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_uvarint(&mut out, n);
            put_varint(&mut out, n as i64);
            let mut d = Decoder::new(&out);
            assert_eq!(d.uvarint(), Ok(n));
            assert_eq!(d.varint(), Ok(n as i64));
            assert!(d.is_empty());
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        let endless = [0xff; 11];
        assert!(Decoder::new(&endless).uvarint().is_err());
        let mut huge = Vec::new();
        put_uvarint(&mut huge, u64::MAX);
        assert!(Decoder::new(&huge).bytes().is_err());
        assert!(Decoder::new(&huge).count(8).is_err());
        assert!(Decoder::new(&[2, 0xc3, 0x28]).str().is_err());
        assert!(Decoder::new(&[0, 0, 0]).be32().is_err());
    }
}
