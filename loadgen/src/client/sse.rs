//! Server-sent events, parsed as their bytes come in (WHATWG HTML, 9.2 "Server-sent events").
//!
//! Invariant: memory is bounded by the limit on an event; a longer one is an error, and bytes that are not
//! UTF-8 are replaced as the specification has it.

use memchr::{memchr, memchr2};

/// The most bytes of one line or one event's data.
pub(crate) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<'e> {
    /// The `event` field; empty stands for `message`.
    pub(crate) name: &'e str,
    /// The `data` lines, joined by newlines.
    pub(crate) data: &'e str,
}

/// An event that is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The state between two pieces of a stream. Its buffers are used again for each event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    name: String,
    data: String,
    has_data: bool,
    after_cr: bool,
    past_start: bool,
}

impl Parser {
    /// Takes the next bytes and gives each event that they complete to `emit`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        let mut rest = bytes;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            if self.line.is_empty() {
                self.end_line(&rest[..end], &mut emit)?;
            } else {
                self.extend(&rest[..end])?;
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut emit)?;
                self.line = line;
                self.line.clear();
            }
            let is_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if is_cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.extend(rest)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], emit: &mut impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        let mut line = line;
        if !self.past_start {
            self.past_start = true;
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                emit(Event { name: &self.name, data: &self.data });
            }
            self.name.clear();
            self.data.clear();
            return Ok(());
        }
        let (field, value) = match memchr(b':', line) {
            Some(at) => (&line[..at], line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])),
            None => (line, &[][..]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                if self.data.len() + value.len() > MAX_EVENT_BYTES {
                    return Err(TooLong);
                }
                self.data.push_str(&String::from_utf8_lossy(value));
            }
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            // Comments, ids and reconnection times change nothing here.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        for piece in pieces {
            parser
                .push(piece, |e| out.push((e.name.to_owned(), e.data.to_owned())))
                .expect("within the limits");
        }
        out
    }

    fn check(pieces: &[&[u8]], want: &[(&str, &str)]) {
        let want: Vec<_> = want.iter().map(|(n, d)| ((*n).to_owned(), (*d).to_owned())).collect();
        assert_eq!(events(pieces), want);
        // Every split of the stream gives the same events.
        let whole: Vec<u8> = pieces.concat();
        for at in 0..=whole.len() {
            assert_eq!(events(&[&whole[..at], &whole[at..]]), want, "split at {at}");
        }
    }

    #[test]
    fn events_survive_any_split() {
        check(&[b"data: a\n\ndata:b\n\n"], &[("", "a"), ("", "b")]);
        check(&[b"data: a\r\n\r\ndata: b\r\rdata: c\n\n"], &[("", "a"), ("", "b"), ("", "c")]);
        check(&[b"event: done\ndata: {\ndata: }\n\n"], &[("done", "{\n}")]);
        check(&[b": a comment\n\nid: 7\nretry: 5\n\n"], &[]);
        check(&["\u{feff}data: \u{e9}\n\n".as_bytes()], &[("", "é")]);
        check(&[b"data\n\n"], &[("", "")]);
        check(&[b"data: cut"], &[]);
        check(&[b"data: \xff\n\n"], &[("", "\u{fffd}")]);
    }

    #[test]
    fn an_event_that_never_ends_is_an_error() {
        let mut parser = Parser::default();
        let piece = [b'x'; 65_536];
        assert!((0..17).any(|_| parser.push(&piece, |_| {}) == Err(TooLong)));
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "y".repeat(60_000));
        assert!((0..20).any(|_| parser.push(line.as_bytes(), |_| {}) == Err(TooLong)));
    }
}
