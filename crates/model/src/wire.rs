//! The protobuf wire format, as little of it as expositions and remote read need.
//!
//! Source: "Encoding" in the Protocol Buffers documentation. Invariant: a reader never reads past its bytes
//! and never allocates by a length that it has not checked against them.

use crate::Span;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {message}")]
pub struct WireError {
    /// The offset in the slice that the reader was made of.
    pub at: usize,
    /// What is wrong.
    pub message: &'static str,
}

/// A field's value.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// A number of any integer type, a boolean or an enumeration.
    Varint(u64),
    /// The bits of a double.
    Fixed64(u64),
    /// A text, a message, or numbers packed together.
    Bytes(&'a [u8]),
    /// Four bytes that nothing here has a use for.
    Fixed32,
}

impl<'a> Field<'a> {
    /// The number.
    ///
    /// # Errors
    /// Where the field is of another wire type.
    pub fn varint(self) -> Result<u64, WireError> {
        if let Self::Varint(v) = self { Ok(v) } else { Err(MISTYPED) }
    }

    /// The double.
    ///
    /// # Errors
    /// Where the field is of another wire type.
    pub fn double(self) -> Result<f64, WireError> {
        if let Self::Fixed64(v) = self { Ok(f64::from_bits(v)) } else { Err(MISTYPED) }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Where the field is of another wire type.
    pub fn bytes(self) -> Result<&'a [u8], WireError> {
        if let Self::Bytes(v) = self { Ok(v) } else { Err(MISTYPED) }
    }

    /// The text.
    ///
    /// # Errors
    /// Where the field is of another wire type, or no UTF-8.
    pub fn text(self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| MISTYPED)
    }

    /// Appends signed numbers, which stand packed in one field or each in a field of its own: writers do either.
    ///
    /// # Errors
    /// Where the field is of another wire type, or cut short.
    pub fn sints(self, out: &mut Vec<i64>) -> Result<(), WireError> {
        match self {
            Self::Varint(v) => out.push(unzigzag(v)),
            _ => {
                let mut reader = Reader::new(self.bytes()?);
                while !reader.is_empty() {
                    out.push(unzigzag(reader.varint()?));
                }
            }
        }
        Ok(())
    }

    /// Appends doubles, likewise.
    ///
    /// # Errors
    /// Where the field is of another wire type, or cut short.
    pub fn doubles(self, out: &mut Vec<f64>) -> Result<(), WireError> {
        match self {
            Self::Fixed64(v) => out.push(f64::from_bits(v)),
            _ => {
                let mut reader = Reader::new(self.bytes()?);
                while !reader.is_empty() {
                    out.push(f64::from_bits(reader.fixed64()?));
                }
            }
        }
        Ok(())
    }

    /// A span of a native histogram's buckets: `{1: sint32 offset, 2: uint32 length}`.
    ///
    /// # Errors
    /// Where the field is no such message.
    pub fn span(self) -> Result<Span, WireError> {
        let mut span = Span::default();
        fields(self.bytes()?, |number, field| {
            match number {
                1 => span.offset = unzigzag(field.varint()?) as i32,
                2 => span.length = field.varint()? as u32,
                _ => {}
            }
            Ok(())
        })?;
        Ok(span)
    }

    /// A label: `{1: string name, 2: string value}`.
    ///
    /// # Errors
    /// Where the field is no such message.
    pub fn label(self) -> Result<(&'a str, &'a str), WireError> {
        let (mut name, mut value) = ("", "");
        fields(self.bytes()?, |number, field| {
            match number {
                1 => name = field.text()?,
                2 => value = field.text()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((name, value))
    }
}

const MISTYPED: WireError = WireError { at: 0, message: "a field is not of its type, or not valid UTF-8" };

/// Calls `each` with the number and the value of every field of a message.
///
/// # Errors
/// Where the bytes are no message, and what `each` says.
pub fn fields<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(u64, Field<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.field()? {
        each(number, field)?;
    }
    Ok(())
}

/// Reads fields one by one.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of the bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Whether all bytes have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, WireError> {
        Err(WireError { at: self.at, message })
    }

    /// A number.
    ///
    /// # Errors
    /// Where the bytes end within it, or it has more than 64 bits.
    pub fn varint(&mut self) -> Result<u64, WireError> {
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
    ///
    /// # Errors
    /// Where the bytes end before.
    pub fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        self.take(length)
    }

    /// Eight bytes, the lowest first.
    ///
    /// # Errors
    /// Where there are fewer.
    pub fn fixed64(&mut self) -> Result<u64, WireError> {
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
    ///
    /// # Errors
    /// Where the bytes are no message.
    pub fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, WireError> {
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
#[must_use]
pub fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// Appends fields. What has its type's default value is left out, as proto3 does.
#[derive(Debug, Default)]
pub struct Writer {
    /// What has been written.
    pub out: Vec<u8>,
}

impl Writer {
    /// A number without a key.
    pub fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.out.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.out.push(v as u8);
    }

    fn key(&mut self, number: u64, wire_type: u64) {
        self.varint(number << 3 | wire_type);
    }

    /// An unsigned number, a boolean or an enumeration.
    pub fn uint(&mut self, number: u64, v: u64) {
        if v != 0 {
            self.key(number, 0);
            self.varint(v);
        }
    }

    /// A signed number in zigzag form.
    pub fn sint(&mut self, number: u64, v: i64) {
        self.uint(number, zigzag(v));
    }

    /// A double.
    pub fn double(&mut self, number: u64, v: f64) {
        if v.to_bits() != 0 {
            self.key(number, 1);
            self.out.extend_from_slice(&v.to_le_bytes());
        }
    }

    /// A double, written even where it is zero: for fields of which a reader asks whether they are there.
    pub fn present_double(&mut self, number: u64, v: f64) {
        self.key(number, 1);
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    /// Bytes, written even where there are none.
    pub fn bytes(&mut self, number: u64, v: &[u8]) {
        self.key(number, 2);
        self.varint(v.len() as u64);
        self.out.extend_from_slice(v);
    }

    /// A text.
    pub fn text(&mut self, number: u64, v: &str) {
        if !v.is_empty() {
            self.bytes(number, v.as_bytes());
        }
    }

    /// A message within; written even where it is empty, because its presence says something.
    pub fn message(&mut self, number: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.out);
    }

    /// Signed numbers in one field.
    pub fn packed_sint(&mut self, number: u64, values: &[i64]) {
        if !values.is_empty() {
            self.message(number, |w| values.iter().for_each(|v| w.varint(zigzag(*v))));
        }
    }

    /// Doubles in one field.
    pub fn packed_double(&mut self, number: u64, values: &[f64]) {
        if !values.is_empty() {
            self.message(number, |w| values.iter().for_each(|v| w.out.extend_from_slice(&v.to_le_bytes())));
        }
    }
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}
