//! The chunked transfer coding (RFC 9112, 7.1), decoded as its bytes come in. Invariant: what is handed on are
//! the bytes of the chunks, in order, and memory does not grow with what is not.

use crate::client::{ErrorClass, Failure};

/// The most bytes of extensions and trailers of a body, which are read and dropped.
const MAX_IGNORED_BYTES: u32 = 64 * 1024;

/// The state between two pieces of a body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    /// The size as far as it was read, then the bytes of the chunk that are left.
    left: u64,
    ignored: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    #[default]
    Start,
    Size,
    /// Between the size and the end of its line.
    Extension,
    Data,
    /// Behind a chunk: its line's end is due.
    DataEnd,
    DataLf,
    /// At the start of a trailer, or of the empty line that ends the body.
    Trailer,
    /// Inside a trailer.
    TrailerLine,
    LastLf,
    Done,
}

impl Chunked {
    /// Takes the next bytes, hands those of chunks on, and gives how many bytes it took: all of them, unless the
    /// body ends before.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut emit: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut used = 0;
        while used < bytes.len() && self.at != At::Done {
            if self.at == At::Data {
                let rest = bytes.len() - used;
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest);
                emit(&bytes[used..used + n])?;
                self.left -= n as u64;
                used += n;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
            } else {
                self.at = self.step(bytes[used])?;
                used += 1;
            }
        }
        Ok(used)
    }

    /// Whether the body has ended.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// One byte that is not of a chunk.
    fn step(&mut self, byte: u8) -> Result<At, Failure> {
        Ok(match (self.at, byte) {
            (At::Start, _) => {
                self.left = 0;
                self.digit(byte)?
            }
            (At::Size, b'\n') | (At::Extension, b'\n') => self.size_ends(),
            (At::Size, b'\r' | b';' | b' ' | b'\t') => At::Extension,
            (At::Size, _) => self.digit(byte)?,
            (At::Extension, _) => self.ignore(At::Extension)?,
            (At::DataEnd, b'\r') => At::DataLf,
            (At::DataEnd | At::DataLf, b'\n') => At::Start,
            (At::Trailer, b'\r') => At::LastLf,
            (At::Trailer | At::LastLf, b'\n') => At::Done,
            (At::TrailerLine, b'\n') => At::Trailer,
            (At::Trailer | At::TrailerLine, _) => self.ignore(At::TrailerLine)?,
            _ => return Err(broken("a chunk does not end where its size says")),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<At, Failure> {
        let digit =
            char::from(byte).to_digit(16).ok_or_else(|| broken("the size of a chunk is not a number"))?;
        if self.left >> 60 != 0 {
            return Err(broken("the size of a chunk is beyond all bounds"));
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(At::Size)
    }

    fn size_ends(&mut self) -> At {
        if self.left == 0 { At::Trailer } else { At::Data }
    }

    fn ignore(&mut self, at: At) -> Result<At, Failure> {
        self.ignored += 1;
        if self.ignored > MAX_IGNORED_BYTES {
            let detail = format!("chunk extensions and trailers of more than {MAX_IGNORED_BYTES} bytes");
            return Err(Failure::new(ErrorClass::TooLarge, detail));
        }
        Ok(at)
    }
}

fn broken(what: &str) -> Failure {
    Failure::new(ErrorClass::Protocol, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), ErrorClass> {
        let (mut chunked, mut out, mut used) = (Chunked::default(), Vec::new(), 0);
        for piece in pieces {
            let take = |bytes: &[u8]| {
                out.extend_from_slice(bytes);
                Ok(())
            };
            used += chunked.push(piece, take).map_err(|f| f.class)?;
        }
        Ok((out, chunked.is_done(), used))
    }

    #[test]
    fn bodies_survive_any_split() {
        let check = |body: &[u8], want: &[u8], rest: usize| {
            for at in 0..=body.len() {
                let (out, is_done, used) = decode(&[&body[..at], &body[at..]]).expect("a body");
                assert_eq!((out.as_slice(), is_done, used), (want, true, body.len() - rest), "split at {at}");
            }
        };
        check(b"3\r\nabc\r\n0\r\n\r\n", b"abc", 0);
        check(b"A;x=\"y\"\r\n0123456789\r\n01 \r\nz\r\n000\r\nx: y\r\nz: a\r\n\r\nHTTP", b"0123456789z", 4);
        check(b"1\na\n0\n\n", b"a", 0);
        check(b"0\r\n\r\n", b"", 0);
    }

    #[test]
    fn what_breaks_the_rules_is_an_error() {
        let check = |body: &[u8], want: ErrorClass| assert_eq!(decode(&[body]), Err(want));
        check(b"zz\r\n", ErrorClass::Protocol);
        check(b"\r\n", ErrorClass::Protocol);
        check(b"-1\r\n", ErrorClass::Protocol);
        check(b"1\r\nab\r\n", ErrorClass::Protocol);
        check(b"11111111111111111\r\n", ErrorClass::Protocol);
        check(&[b"1;".as_slice(), &[b'x'; 70_000]].concat(), ErrorClass::TooLarge);
        check(&[b"0\r\n".as_slice(), &b"x: y\r\n".repeat(20_000)].concat(), ErrorClass::TooLarge);
        assert_eq!(decode(&[b"5\r\nab"]).map(|d| d.1), Ok(false));
    }
}
