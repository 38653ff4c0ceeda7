//! The protobuf wire format, as little of it as the exposition format needs.
//!
//! Source: "Encoding" in the Protocol Buffers documentation. Invariant: a reader never reads past its bytes
//! and never allocates by a length that it has not checked against them.

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireError {
    /// The offset in the slice that the reader was made of.
    pub(super) at: usize,
    pub(super) message: &'static str,
}

/// A field's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Field<'a> {
    pub(super) fn varint(self) -> Option<u64> {
        if let Self::Varint(v) = self { Some(v) } else { None }
    }

    pub(super) fn double(self) -> Option<f64> {
        if let Self::Fixed64(v) = self { Some(f64::from_bits(v)) } else { None }
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(v) = self { Some(v) } else { None }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        self.bytes().and_then(|b| std::str::from_utf8(b).ok())
    }
}

/// Reads fields one by one.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, WireError> {
        Err(WireError { at: self.at, message })
    }

    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else { return self.fail("the message is cut short") };
            self.at += 1;
            if shift == 63 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail("a number is longer than 64 bits")
    }

    /// A length and as many bytes.
    pub(super) fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        self.take(length)
    }

    pub(super) fn fixed64(&mut self) -> Result<u64, WireError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.get(..length)) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => self.fail("a field is longer than the message that holds it"),
        }
    }

    /// The next field and its number, or `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, WireError> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed64()?),
            2 => Field::Bytes(self.delimited()?),
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            _ => return self.fail("a field of a wire type that protobuf does not have"),
        };
        Ok(Some((key >> 3, value)))
    }
}

/// A signed number from its zigzag form.
pub(super) fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Appends fields. What has its type's default value is left out, as proto3 does.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
}

impl Writer {
    pub(super) fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.out.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.out.push(v as u8);
    }

    fn key(&mut self, number: u64, wire_type: u64) {
        self.varint(number << 3 | wire_type);
    }

    pub(super) fn uint(&mut self, number: u64, v: u64) {
        if v != 0 {
            self.key(number, 0);
            self.varint(v);
        }
    }

    pub(super) fn sint(&mut self, number: u64, v: i64) {
        self.uint(number, zigzag(v));
    }

    pub(super) fn double(&mut self, number: u64, v: f64) {
        if v.to_bits() != 0 {
            self.key(number, 1);
            self.out.extend_from_slice(&v.to_le_bytes());
        }
    }

    pub(super) fn bytes(&mut self, number: u64, v: &[u8]) {
        self.key(number, 2);
        self.varint(v.len() as u64);
        self.out.extend_from_slice(v);
    }

    pub(super) fn text(&mut self, number: u64, v: &str) {
        if !v.is_empty() {
            self.bytes(number, v.as_bytes());
        }
    }

    /// A message within; written even where it is empty, because its presence says something.
    pub(super) fn message(&mut self, number: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.out);
    }

    pub(super) fn packed_sint(&mut self, number: u64, values: &[i64]) {
        if !values.is_empty() {
            self.message(number, |w| values.iter().for_each(|v| w.varint(zigzag(*v))));
        }
    }

    pub(super) fn packed_double(&mut self, number: u64, values: &[f64]) {
        if !values.is_empty() {
            self.message(number, |w| values.iter().for_each(|v| w.out.extend_from_slice(&v.to_le_bytes())));
        }
    }
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}
