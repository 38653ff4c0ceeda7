//! The head of a response: status, headers, and how the body ends (RFC 9112, 6.3).
//!
//! Invariant: a head beyond the limits, or one that says two things about its body, is an error.

use std::mem::MaybeUninit;

use httparse::{Error, Header, ParserConfig, Response, Status};

use crate::client::{ErrorClass, Failure, reply::Intake};

/// The most headers that a response may have.
const MAX_HEADERS: usize = 256;
/// The most bytes of a head.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A head that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Whether the server keeps the connection for another request.
    pub(super) is_kept: bool,
}

/// Reads a head at the start of `bytes` and hands that of a final response to `intake`; `None` where it is not
/// whole.
pub(super) fn parse(
    bytes: &[u8],
    is_head_request: bool,
    intake: &mut impl Intake,
) -> Result<Option<Found>, Failure> {
    let mut few = [const { MaybeUninit::uninit() }; 24];
    match read(bytes, &mut few, is_head_request, intake) {
        Err(Error::TooManyHeaders) => {}
        result => return result.map_err(|e| broken(&e.to_string())).and_then(|f| limited(f, bytes)),
    }
    let mut many = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    match read(bytes, &mut many, is_head_request, intake) {
        Err(Error::TooManyHeaders) => Err(Failure::new(
            ErrorClass::TooLarge,
            format!("the response has more than {MAX_HEADERS} headers"),
        )),
        result => result.map_err(|e| broken(&e.to_string())).and_then(|f| limited(f, bytes)),
    }
}

fn limited(found: Option<Result<Found, Failure>>, bytes: &[u8]) -> Result<Option<Found>, Failure> {
    match found {
        Some(found) => {
            let found = found?;
            check_length(found.length).map(|()| Some(found))
        }
        None => check_length(bytes.len()).map(|()| None),
    }
}

/// Whether a head of so many bytes is within the limit.
pub(super) fn check_length(bytes: usize) -> Result<(), Failure> {
    if bytes > MAX_HEAD_BYTES {
        let detail = format!("the head of the response is longer than {MAX_HEAD_BYTES} bytes");
        return Err(Failure::new(ErrorClass::TooLarge, detail));
    }
    Ok(())
}

/// Whether the empty line that ends a head may be in what came after the first `before` bytes; so a head that
/// comes byte by byte is not read again for each.
pub(super) fn may_be_whole(bytes: &[u8], before: usize) -> bool {
    let tail = &bytes[before.saturating_sub(3)..];
    tail.windows(2).any(|w| w == b"\n\n") || tail.windows(3).any(|w| w == b"\n\r\n")
}

fn broken(what: &str) -> Failure {
    Failure::new(ErrorClass::Protocol, format!("the response is not HTTP/1.1: {what}"))
}

/// An error of the parser, or what is wrong with a head that it took.
type Read = Result<Option<Result<Found, Failure>>, Error>;

fn read<'b>(
    bytes: &'b [u8],
    headers: &mut [MaybeUninit<Header<'b>>],
    is_head_request: bool,
    intake: &mut impl Intake,
) -> Read {
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, headers)?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let (status, is_old) = (response.code.unwrap_or(0), response.version == Some(0));
    let found = facts(response.headers, is_old).map(|facts| {
        let is_bodiless = is_head_request || status < 200 || matches!(status, 204 | 304);
        let framing = if is_bodiless { Framing::None } else { facts.framing };
        Found { length, status, framing, is_kept: facts.is_kept && status != 101 }
    });
    if found.is_ok() && (status >= 200 || status == 101) {
        intake.head(status, response.headers);
    }
    Ok(Some(found))
}

struct Facts {
    framing: Framing,
    is_kept: bool,
}

fn facts(headers: &[Header<'_>], is_old: bool) -> Result<Facts, Failure> {
    let (mut length, mut coding) = (None, None);
    let mut is_kept = !is_old;
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("content-length") {
            let n = digits(value).ok_or_else(|| broken("its content-length is not a number"))?;
            if length.is_some_and(|before| before != n) {
                return Err(broken("it has two lengths"));
            }
            length = Some(n);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            coding = Some(last_word(value).eq_ignore_ascii_case(b"chunked"));
        } else if name.eq_ignore_ascii_case("connection") {
            for word in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                if word.eq_ignore_ascii_case(b"close") {
                    is_kept = false;
                } else if word.eq_ignore_ascii_case(b"keep-alive") && is_old {
                    is_kept = true;
                }
            }
        }
    }
    let framing = match (coding, length) {
        (Some(true), _) => Framing::Chunked,
        (Some(false), _) | (None, None) => Framing::UntilClose,
        (None, Some(n)) => Framing::Length(n),
    };
    Ok(Facts { framing, is_kept })
}

fn last_word(value: &[u8]) -> &[u8] {
    value.rsplit(|b| *b == b',').next().unwrap_or_default().trim_ascii()
}

fn digits(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stamped::Stamps;

    /// Takes the status of the head.
    #[derive(Default)]
    struct Seen(Option<u16>);

    impl Intake for Seen {
        fn head(&mut self, status: u16, _: &[Header<'_>]) {
            self.0 = Some(status);
        }
        fn head_map(&mut self, status: u16, _: http::HeaderMap) {
            self.0 = Some(status);
        }
        fn piece(&mut self, _: &[u8], _: &Stamps) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn of(text: &str) -> Result<Option<Found>, ErrorClass> {
        parse(text.as_bytes(), false, &mut Seen::default()).map_err(|f| f.class)
    }

    #[test]
    fn the_framing_is_what_the_headers_say() {
        let check = |headers: &str, framing: Framing, is_kept: bool| {
            let text = format!("HTTP/1.1 200 OK\r\n{headers}\r\nrest");
            let want = Found { length: text.len() - 4, status: 200, framing, is_kept };
            assert_eq!(of(&text), Ok(Some(want)), "{headers}");
        };
        check("", Framing::UntilClose, true);
        check("content-length: 12\r\n", Framing::Length(12), true);
        check("Content-Length: 12\r\ncontent-length: 12\r\n", Framing::Length(12), true);
        check("content-length: 12\r\nconnection: Close\r\n", Framing::Length(12), false);
        check("transfer-encoding: gzip, Chunked\r\ncontent-length: 5\r\n", Framing::Chunked, true);
        check("transfer-encoding: gzip\r\n", Framing::UntilClose, true);
        assert_eq!(
            of("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"),
            Err(ErrorClass::Protocol)
        );
        assert_eq!(of("HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n"), Err(ErrorClass::Protocol));
    }

    #[test]
    fn some_responses_have_no_body() {
        for text in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 N\r\ncontent-length: 5\r\n\r\n"] {
            assert_eq!(of(text).ok().flatten().map(|f| f.framing), Some(Framing::None), "{text}");
        }
        let head = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true, &mut Seen::default());
        assert_eq!(head.ok().flatten().map(|f| f.framing), Some(Framing::None));
    }

    #[test]
    fn old_servers_close_unless_they_say_otherwise() {
        let kept = |headers: &str| {
            of(&format!("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n{headers}\r\n"))
                .ok()
                .flatten()
                .map(|f| f.is_kept)
        };
        assert_eq!((kept(""), kept("connection: keep-alive\r\n")), (Some(false), Some(true)));
    }

    #[test]
    fn only_a_final_response_is_handed_on() {
        let seen = |text: &str| {
            let mut seen = Seen::default();
            let _ = parse(text.as_bytes(), false, &mut seen);
            seen.0
        };
        assert_eq!(seen("HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(seen("HTTP/1.1 200 O"), None);
        assert_eq!(seen("HTTP/1.1 418 Teapot\r\n\r\n"), Some(418));
    }

    #[test]
    fn heads_are_limited() {
        let with = |n: usize| {
            let headers: String = (0..n).map(|i| format!("x-{i}: {i}\r\n")).collect();
            of(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).map(|f| f.is_some())
        };
        assert_eq!((with(20), with(256), with(257)), (Ok(true), Ok(true), Err(ErrorClass::TooLarge)));
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD_BYTES));
        assert_eq!(of(&long), Err(ErrorClass::TooLarge));
        assert_eq!(of("\0\u{1} this is not HTTP\r\n\r\n"), Err(ErrorClass::Protocol));
    }

    #[test]
    fn the_end_of_a_head_is_found_across_pieces() {
        let text = b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n";
        for before in 1..text.len() {
            assert!(may_be_whole(text, before), "{before}");
        }
        assert!(!may_be_whole(&text[..text.len() - 1], 5));
    }
}
