//! The events of a response: server-sent events or lines of JSON, packed or not. Invariant: memory is bounded by the
//! limit on an event, whatever a response unpacks to.

use http::{HeaderMap, header};
use memchr::memchr;

use super::{
    ErrorClass, Failure,
    coding::{Coding, Unpacker},
    sse::{self, Event, MAX_EVENT_BYTES, TooLong},
};

/// Reads the events of one response.
pub(super) struct EventReader {
    form: Form,
    coding: Coding,
    /// Made with the first bytes that are packed.
    unpacker: Option<Unpacker>,
}

enum Form {
    ServerSent(sse::Parser),
    Lines(Lines),
}

impl EventReader {
    /// A reader for a response with these headers; `None` if it says that it has no events.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let form = match kind.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => Form::ServerSent(sse::Parser::default()),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Form::Lines(Lines::default()),
            _ => return None,
        };
        Some(Self { form, coding: Coding::of(headers), unpacker: None })
    }

    /// Takes the next bytes and gives each event that they complete to `emit`.
    pub(super) fn push(&mut self, bytes: &[u8], mut emit: impl FnMut(Event<'_>)) -> Result<(), Failure> {
        if self.coding == Coding::Plain {
            return self.form.push(bytes, &mut emit);
        }
        let unpacker = match &mut self.unpacker {
            Some(unpacker) => unpacker,
            none => none.insert(Unpacker::of(self.coding)?),
        };
        unpacker.push(bytes, &mut |piece| self.form.push(piece, &mut emit))
    }

    /// The response has ended: a last line needs no end.
    pub(super) fn finish(&mut self, emit: impl FnMut(Event<'_>)) {
        if let Form::Lines(lines) = &mut self.form {
            lines.finish(emit);
        }
    }
}

impl Form {
    fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(Event<'_>)) -> Result<(), Failure> {
        let pushed = match self {
            Self::ServerSent(parser) => parser.push(bytes, emit),
            Self::Lines(lines) => lines.push(bytes, emit),
        };
        pushed.map_err(|TooLong| {
            let detail = format!("an event is longer than {MAX_EVENT_BYTES} bytes");
            Failure::new(ErrorClass::TooLarge, detail)
        })
    }
}

/// Lines, each an event.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line whose end has not come yet.
    unfinished: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            self.unfinished.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.finish(&mut *emit);
        }
        if self.unfinished.len() + rest.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.unfinished.extend_from_slice(rest);
        Ok(())
    }

    fn finish(&mut self, mut emit: impl FnMut(Event<'_>)) {
        let line = String::from_utf8_lossy(&self.unfinished);
        let data = line.trim();
        if !data.is_empty() {
            emit(Event { name: "", data });
        }
        self.unfinished.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn reader(kind: &str, coding: Option<&str>) -> EventReader {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, coding.parse().expect("a header"));
        }
        EventReader::of(&headers).expect("events")
    }

    fn events(mut reader: EventReader, pieces: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        for piece in pieces {
            reader.push(piece, |e| out.push(e.data.to_owned())).expect("within the limits");
        }
        reader.finish(|e| out.push(e.data.to_owned()));
        out
    }

    #[test]
    fn lines_survive_any_split() {
        let whole = b"{\"a\":1}\r\n\n{\"b\":2}\n{\"c\":3}";
        for at in 0..=whole.len() {
            let got =
                events(reader("application/x-ndjson; charset=utf-8", None), &[&whole[..at], &whole[at..]]);
            assert_eq!(got, [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#], "split at {at}");
        }
    }

    #[test]
    fn packed_events_come_as_they_arrive() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"data: one\n\n").expect("packed");
        encoder.flush().expect("packed");
        let first = encoder.get_ref().clone();
        encoder.write_all(b"data: two\n\n").expect("packed");
        let whole = encoder.finish().expect("packed");
        let mut reader = reader("text/event-stream", Some("gzip"));
        let mut out = Vec::new();
        reader.push(&first, |e| out.push(e.data.to_owned())).expect("valid");
        assert_eq!(out, ["one"], "before the second was written");
        reader.push(&whole[first.len()..], |e| out.push(e.data.to_owned())).expect("valid");
        assert_eq!(out, ["one", "two"]);
        let broken = reader.push(b"junk behind the end", |_| {}).and_then(|()| reader.push(&[0; 64], |_| {}));
        assert_eq!(broken.expect_err("not gzip").class, ErrorClass::Protocol);
    }

    #[test]
    fn a_line_that_never_ends_is_an_error() {
        let mut reader = reader("application/x-ndjson", None);
        let piece = [b'x'; 65_536];
        assert!((0..17).any(|_| reader.push(&piece, |_| {}).is_err_and(|f| f.class == ErrorClass::TooLarge)));
    }
}
