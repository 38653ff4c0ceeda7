//! How frames travel. Invariant: whatever is done to the bytes, the frames that a client can put together are the same.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::dialects::{Dialect, Frame};
use crate::server::{Do, raw};

/// How a response is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    pub(super) name: &'static str,
    /// Bytes of a piece; `None` for a piece for each frame.
    piece: Option<usize>,
    line_end: &'static str,
    has_comments: bool,
    /// What is between `data:` and the data.
    space: &'static str,
    is_gzip: bool,
    has_end: bool,
    /// Whether an error comes after some frames.
    pub(super) has_error: bool,
    /// Whether the connection breaks after some frames.
    pub(super) is_cut: bool,
    /// Whether the body is as long as the connection.
    is_until_close: bool,
}

/// Frames that come before an error or a break.
const BEFORE: usize = 3;

impl Wire {
    /// A piece for each frame, and no more.
    pub(super) const PLAIN: Self = Self {
        name: "plain",
        piece: None,
        line_end: "\n",
        has_comments: false,
        space: " ",
        is_gzip: false,
        has_end: true,
        has_error: false,
        is_cut: false,
        is_until_close: false,
    };

    pub(super) fn all() -> Vec<Self> {
        vec![
            Self::PLAIN,
            Self { name: "coalesced", piece: Some(usize::MAX), ..Self::PLAIN },
            Self { name: "bytes", piece: Some(1), ..Self::PLAIN },
            Self { name: "sevens", piece: Some(7), ..Self::PLAIN },
            Self { name: "crlf", line_end: "\r\n", ..Self::PLAIN },
            Self { name: "crlf-cut", line_end: "\r\n", piece: Some(3), ..Self::PLAIN },
            Self { name: "comments", has_comments: true, ..Self::PLAIN },
            Self { name: "tight", space: "", ..Self::PLAIN },
            Self { name: "gzip", is_gzip: true, ..Self::PLAIN },
            Self { name: "gzip-cut", is_gzip: true, piece: Some(5), ..Self::PLAIN },
            Self { name: "endless", has_end: false, ..Self::PLAIN },
            Self { name: "until-close", is_until_close: true, ..Self::PLAIN },
            Self { name: "error", has_error: true, ..Self::PLAIN },
            Self { name: "error-coalesced", has_error: true, piece: Some(usize::MAX), ..Self::PLAIN },
            Self { name: "broken", is_cut: true, ..Self::PLAIN },
        ]
    }

    /// The frames that are sent whole, the error apart.
    pub(super) fn sent<'f>(&self, frames: &'f [Frame]) -> Vec<&'f Frame> {
        let most = if self.has_error || self.is_cut { BEFORE } else { usize::MAX };
        frames.iter().filter(|frame| self.has_end || !frame.is_end).take(most).collect()
    }

    /// What the server does.
    pub(super) fn actions(&self, dialect: &Dialect, frames: &[Frame]) -> Vec<Do> {
        let sent = self.sent(frames);
        let mut texts: Vec<String> = sent.iter().map(|frame| self.text(dialect, frame)).collect();
        if self.has_error {
            texts.push(self.text(dialect, &dialect.error()));
        }
        let whole: Vec<u8> = texts.concat().into_bytes();
        let whole = if self.is_gzip { gzip(&whole) } else { whole };
        let pieces: Vec<Vec<u8>> = match self.piece {
            None if !self.is_gzip => {
                texts.into_iter().map(String::into_bytes).filter(|t| !t.is_empty()).collect()
            }
            None => vec![whole],
            Some(most) => whole.chunks(most.min(whole.len().max(1))).map(<[u8]>::to_vec).collect(),
        };
        let kind =
            if dialect.is_ndjson { "application/x-ndjson" } else { "text/event-stream; charset=utf-8" };
        let coding = if self.is_gzip { "content-encoding: gzip\r\n" } else { "" };
        let framing = if self.is_until_close { "connection: close" } else { "transfer-encoding: chunked" };
        let mut actions =
            vec![raw(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{coding}{framing}\r\n\r\n"))];
        for piece in pieces {
            let bytes = if self.is_until_close { piece } else { chunk(&piece) };
            actions.push(raw(bytes));
        }
        match (self.is_cut, self.is_until_close) {
            (true, _) | (false, true) => actions.push(Do::Close),
            (false, false) => actions.push(raw(chunk(&[]))),
        }
        actions
    }

    fn text(&self, dialect: &Dialect, frame: &Frame) -> String {
        let end = self.line_end;
        if dialect.is_ndjson {
            return format!("{}{end}", frame.data);
        }
        let comment = if self.has_comments { format!(": keep-alive{end}{end}") } else { String::new() };
        let id = if self.has_comments { format!("id: 7{end}retry: 100{end}") } else { String::new() };
        let event = frame.event.map(|name| format!("event:{}{name}{end}", self.space)).unwrap_or_default();
        format!("{comment}{event}{id}data:{}{}{end}{end}", self.space, frame.data)
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}
